package factor

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/descope/virtualwebauthn"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/pquerna/otp/hotp"

	"sluice/internal/authz"
	"sluice/internal/login"
	"sluice/internal/problem"
)

func TestParseCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, code, factor string }{
		{"123456", "123456", login.FactorTOTP},
		{" 123 456\n", "123456", login.FactorTOTP},
		{"123-456", "123456", login.FactorTOTP},
		{"123\u00a0456", "123456", login.FactorTOTP},
		{"0o1l-2345-6789-abcd", "001123456789abcd", login.FactorRecovery},
		{"ABCD–EFGH–JKMN–PQRS", "abcdefghjkmnpqrs", login.FactorRecovery},
		{"abcdefghjkmnpqrs", "abcdefghjkmnpqrs", login.FactorRecovery},
		{"abcd-efgh-jkmn-pqru", "", ""},
		{"abcd-efgh-jkmn-pqrſ", "", ""},
		{"12345", "", ""},
		{"1234567", "", ""},
		{"12345a", "", ""},
		{"+12345", "", ""},
		{"", "", ""},
		{"\xff\xfe\xfd\xfc\xfb\xfa", "", ""},
		{strings.Repeat(" ", 95) + "123456", "", ""},
	} {
		code, factor, err := parseCode(tt.text)
		if code != tt.code || factor != tt.factor || (err == nil) != (tt.code != "") {
			t.Errorf("%q: %q, %q, %v", tt.text, code, factor, err)
		}
	}
}

func FuzzParseCode(f *testing.F) {
	for _, seed := range []string{"123456", "123 456", "abcd-efgh-jkmn-pqrs", "OIL0-1234-5678-9abc", "１２３４５６",
		"K234-5678-9abc-defg", "\x00", "------", "123456-", strings.Repeat("a", 101)} {
		f.Add(seed)
	}
	digits, recovery := regexp.MustCompile(`^[0-9]{6}$`), regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{16}$`)
	f.Fuzz(func(t *testing.T, text string) {
		code, factor, err := parseCode(text)
		switch {
		case err != nil:
			if !problem.Is(err, problem.Invalid) || code != "" {
				t.Errorf("%q: %q, %v", text, code, err)
			}
		case factor == login.FactorTOTP && digits.MatchString(code),
			factor == login.FactorRecovery && recovery.MatchString(code):
			// A parsed value parses to itself.
			if again, same, err := parseCode(code); err != nil || again != code || same != factor {
				t.Errorf("%q: read as %q, which reads as %q, %v", text, code, again, err)
			}
		default:
			t.Errorf("%q: %q as %q", text, code, factor)
		}
	})
}

// The vectors of RFC 6238 appendix B for SHA-1, in six of their eight digits.
func TestTOTP_RFC6238(t *testing.T) {
	t.Parallel()
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // "12345678901234567890"
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471",
		1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		steps, offset, err := matchTOTP(secret, code, time.Unix(at, 0))
		if err != nil || len(steps) != 1 || steps[0] != at/30 || offset != 0 {
			t.Errorf("%d: %v, %d, %v", at, steps, offset, err)
		}
	}
	early, err := hotp.GenerateCode(secret, 5)
	if err != nil {
		t.Fatal(err)
	}
	if steps, offset, err := matchTOTP(secret, early, time.Unix(0, 0)); err != nil || len(steps) != 0 || offset != 5 {
		t.Errorf("at the beginning of time: %v, %d, %v", steps, offset, err)
	}
	if _, _, err := matchTOTP("not base32!", "123456", time.Unix(59, 0)); err == nil {
		t.Error("an invalid secret is accepted")
	}
}

// The image must contain exactly the modules of the code, with the quiet zone that scanners need,
// and nothing that a strict content security policy refuses.
func TestQRImage(t *testing.T) {
	t.Parallel()
	const text = "otpauth://totp/Sluice%20sluice.example:ann?issuer=Sluice&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	image, err := qrSVG(text)
	if err != nil {
		t.Fatal(err)
	}
	want, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	size := want.Bounds().Dx()
	drawn := map[[2]int]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(image, -1) {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+1])
		}
		if n[2] != n[3] {
			t.Errorf("a run that does not close: %s", m[0])
		}
		for x := range n[2] {
			drawn[[2]int{n[0] + x - 4, n[1] - 4}] = true
		}
	}
	for y := range size {
		for x := range size {
			if r, _, _, _ := want.At(x, y).RGBA(); (r == 0) != drawn[[2]int{x, y}] {
				t.Fatalf("module %d, %d differs", x, y)
			}
			delete(drawn, [2]int{x, y})
		}
	}
	if len(drawn) != 0 {
		t.Errorf("%d modules outside of the code", len(drawn))
	}
	if !strings.Contains(image, `viewBox="0 0 `+strconv.Itoa(size+8)+" "+strconv.Itoa(size+8)+`"`) ||
		strings.Contains(image, "style") {
		t.Errorf("%.300s", image)
	}
	for d := xml.NewDecoder(strings.NewReader(image)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := qrSVG(strings.Repeat("x", 5000)); !problem.Is(err, problem.Invalid) {
		t.Errorf("too much text: %v", err)
	}
}

// Real answers of browsers, as toJSON writes them, and near misses.
var (
	assertionSeeds = []string{
		`{"type":"public-key","id":"AAAA","rawId":"AAAA","response":{"authenticatorData":"SZYN5YgOjGh0NBcPZHZgW4_krr` +
			`mihjLHmVzzuoMdl2MFAAAAAQ","clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIj` +
			`oiQUFBQSIsIm9yaW` +
			`dpbiI6Imh0dHBzOi8vc2x1aWNlLmV4YW1wbGUifQ","signature":"MEUCIQ","userHandle":"YW5u"},"clien` +
			`tExtensionResul` +
			`ts":{}}`,
		`{"type":"public-key","id":"AAAA","rawId":"AAAA","response":{}}`,
		`{"type":"public-key"}`,
		`{}`,
		`[]`,
		`null`,
		`"x"`,
		``,
		`{"id":"AAAA","rawId":"AAAB","type":"public-key"}`,
		`{"type":"public-key","id":"AAAA","rawId":"AAAA","response":{"authenticatorData":"SZYN5YgOjGh0NBcPZHZgW4_krr` +
			`mihjLHmVzzuoMdl2PFAAAAAQ","clientDataJSON":"e30"}}`,
	}
	creationSeeds = []string{
		`{"type":"public-key","id":"AAAA","rawId":"AAAA","response":{"attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oG` +
			`hhdXRoRGF0YVg","clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIiwiY2hhbGxlbmdlIjoiQUFBQ` +
			`SIsIm9yaWdpbiI6I` +
			`mh0dHBzOi8vc2x1aWNlLmV4YW1wbGUifQ","transports":["internal"]},"clientExtensionResults":{"c` +
			`redProps":{"rk"` +
			`:true}}}`,
		`{"type":"public-key","id":"AAAA","rawId":"AAAA","response":{"attestationObject":"oA","clientDataJSON":"e30"}}`,
		`{}`,
		`[]`,
		`null`,
		``,
		`{"type":"public-key","id":"AAAA","rawId":"AAAA","response":{"attestationObject":"o2NmbXRmcGFja2VkZ2F0dFN0bX` +
			`SiY2FsZyZjc2lnQGhhdXRoRGF0YUA","clientDataJSON":"e30"}}`,
	}
)

const fuzzChallenge = "sixteen bytes at least, here"

func fuzzCeremony(user string) ceremony {
	rp := RelyingParty{ID: "sluice.example", Origin: "https://sluice.example"}
	return ceremony{RP: rp, Session: webauthn.SessionData{
		Challenge:        base64.RawURLEncoding.EncodeToString([]byte(fuzzChallenge)),
		RelyingPartyID:   rp.ID,
		UserID:           []byte(user),
		UserVerification: protocol.VerificationRequired,
		CredParams:       webauthn.CredentialParametersDefault(),
	}}
}

// fuzzDevice is an authenticator with one key, and its answer to the creation that fuzzCeremony
// asks for.
func fuzzDevice() (virtualwebauthn.RelyingParty, virtualwebauthn.Authenticator, virtualwebauthn.Credential, []byte) {
	rp := virtualwebauthn.RelyingParty{ID: "sluice.example", Name: "Sluice", Origin: "https://sluice.example"}
	auth, key := virtualwebauthn.NewAuthenticatorWithOptions(
		virtualwebauthn.AuthenticatorOptions{UserHandle: []byte("ann")},
	), virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(key.Key.AttestationData()) != 77 {
		// A coordinate with a leading zero byte, which the virtual authenticator shortens.
		key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	return rp, auth, key, []byte(
		virtualwebauthn.CreateAttestationResponse(rp, auth, key,
			virtualwebauthn.AttestationOptions{Challenge: []byte(fuzzChallenge)}),
	)
}

// Any input is refused with a problem that may be shown, because no one can guess a signature. The
// seeds contain a signature that is valid for another challenge.
func FuzzAssertion(f *testing.F) {
	for _, seed := range assertionSeeds {
		f.Add([]byte(seed))
	}
	who := authz.Principal{Kind: authz.Person, ID: "ann", Name: "ann"}
	rp, auth, key, created := fuzzDevice()
	made, err := fuzzCeremony("ann").created(who, created)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(
		[]byte(
			virtualwebauthn.CreateAssertionResponse(rp, auth, key,
				virtualwebauthn.AssertionOptions{Challenge: []byte("another ceremony")}),
		),
	)
	owner := passkeyOwner{who: who, keys: []webauthn.Credential{*made}}
	w, err := fuzzCeremony("").RP.verifier()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, response []byte) {
		answer, err := parseAssertion(response)
		if err != nil {
			if !problem.Is(err, problem.Invalid) {
				t.Errorf("%v", err)
			}
			return
		}
		if _, _, err := w.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return owner, nil },
			fuzzCeremony("").Session, answer); err == nil {
			t.Errorf("accepted: %s", response)
		}
		if _, err := w.ValidateLogin(owner, fuzzCeremony("ann").Session, answer); err == nil {
			t.Errorf("accepted: %s", response)
		}
	})
}

// An enrollment proves only itself, so the test checks only that garbage is refused with a problem
// and that accepted input has a key.
func FuzzCreation(f *testing.F) {
	for _, seed := range creationSeeds {
		f.Add([]byte(seed))
	}
	who := authz.Principal{Kind: authz.Person, ID: "ann", Name: "ann"}
	_, _, _, created := fuzzDevice()
	if _, err := fuzzCeremony("ann").created(who, created); err != nil {
		f.Fatalf("the seed that should be accepted: %v", err)
	}
	f.Add(created)
	f.Fuzz(func(t *testing.T, response []byte) {
		made, err := fuzzCeremony("ann").created(who, response)
		if err != nil && !problem.Is(err, problem.Invalid) {
			t.Errorf("%v", err)
		}
		if err == nil && (len(made.ID) == 0 || len(made.PublicKey) == 0) {
			t.Errorf("a passkey without a key: %+v", made)
		}
	})
}
