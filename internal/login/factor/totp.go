package factor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"image/color"
	"net/url"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/login"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// apps are authenticator apps: secrets that produce codes.
type apps struct {
	db      *db.DB
	logins  *login.Logins
	keyring *secret.Keyring
	now     func() time.Time
}

// Parameters that every authenticator app supports (RFC 6238 section 1.2 and the common key URI
// format).
const (
	totpDigits = 6
	totpPeriod = 30
	// totpSecretBytes is the length that RFC 4226 section 4 recommends.
	totpSecretBytes = 20
	// totpSkew is how many steps a code may be early or late (RFC 6238 section 5.2).
	totpSkew = 1
	// totpDrift is how many steps away a code is still recognized, to report that the clocks
	// differ. It is not accepted.
	totpDrift = 20
)

const (
	purposeTOTPEnrol = "totp-enrol"
	// purposeTOTPBurnt marks codes of a future step that a person has submitted too early. They
	// will not be accepted when their time comes.
	purposeTOTPBurnt = "totp-burnt"
	// totpBurntLife is longer than any code can be early.
	totpBurntLife = 2 * totpDrift * totpPeriod * time.Second
	// totpEnrolLife leaves time to install an app.
	totpEnrolLife = 15 * time.Minute
)

// TOTPOffer is a new secret for an authenticator app. It has no effect until FinishTOTP gets a code
// of it.
type TOTPOffer struct {
	// Token identifies the offer.
	Token string
	// Secret is for typing (base32), URL for opening the app on the same device, and QR (an SVG
	// image) for scanning.
	Secret, URL, QR string
}

// offer presents an account's secret for scanning and typing. Without a secret it creates a new
// one.
func (a *apps) offer(account string, secret []byte) (TOTPOffer, error) {
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer:      a.issuer(),
		AccountName: account,
		Secret:      secret,
		SecretSize:  totpSecretBytes,
		Period:      totpPeriod,
		Digits:      otp.DigitsSix,
		Algorithm:   otp.AlgorithmSHA1,
		Rand:        rand.Reader,
	})
	if err != nil {
		return TOTPOffer{}, fmt.Errorf("generating a secret for an authenticator app: %w", err)
	}
	image, err := qrSVG(key.URL())
	return TOTPOffer{Secret: key.Secret(), URL: key.URL(), QR: image}, err
}

// totpHeld is the state that waits for FinishTOTP.
type totpHeld struct{ Secret, Bound string }

// of reads a person's authenticator app.
func (a *apps) of(ctx context.Context, userID string) (row q.Totp, found bool, err error) {
	row, err = q.New(a.db.Read()).GetTOTP(ctx, userID)
	if errors.Is(err, sql.ErrNoRows) {
		return row, false, nil
	}
	if err != nil {
		return row, false, fmt.Errorf("reading the authenticator app: %w", err)
	}
	return row, true, nil
}

// judge checks whether a code is correct at this moment. The returned function spends its step: of
// several requests with the same code only one succeeds (RFC 6238 section 5.2).
func (a *apps) judge(ctx context.Context, p authz.Principal, code string) (func(*db.Tx) error, error) {
	row, found, err := a.of(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, wrongCode("Wrong code.").
			WithNext("You have no authenticator app; use a passkey or a recovery code.")
	}
	sealed, err := base64.StdEncoding.DecodeString(row.SecretSealed)
	if err != nil {
		return nil, fmt.Errorf("reading the app's secret: %w", err)
	}
	secret, err := a.keyring.Open(sealed, "totp", p.ID)
	if err != nil {
		return nil, err
	}
	steps, offset, err := matchTOTP(string(secret), code, a.now())
	if err != nil {
		return nil, err
	}
	if len(steps) == 0 {
		if err := a.burn(ctx, p.ID, a.now(), offset); err != nil {
			return nil, err
		}
		return nil, totpWrong(offset)
	}
	for _, step := range steps {
		if step > row.LastStep {
			return func(tx *db.Tx) error { return a.spend(ctx, tx, p.ID, step) }, nil
		}
	}
	return nil, totpUsed()
}

// spend advances the last accepted step, unless another request was faster.
func (a *apps) spend(ctx context.Context, tx *db.Tx, userID string, step int64) error {
	burnt, err := a.logins.Pending.Marked(ctx, tx, purposeTOTPBurnt, a.burnt(userID, step))
	if err != nil {
		return err
	}
	if burnt {
		return totpUsed()
	}
	n, err := q.New(tx).SpendTOTP(ctx, q.SpendTOTPParams{AccountID: userID, Step: step, Now: a.now().UnixMilli()})
	if err != nil {
		return fmt.Errorf("using up the code: %w", err)
	}
	if n == 0 {
		return totpUsed()
	}
	return nil
}

// burn invalidates a code of a future step after the person has learned that it is correct but
// early. A guess must not profit from that hint.
func (a *apps) burn(ctx context.Context, userID string, now time.Time, offset int64) error {
	if offset <= 0 {
		return nil
	}
	return a.db.System(ctx, "one-time codes", func(tx *db.Tx) error {
		_, err := a.logins.Pending.Mark(ctx, tx, purposeTOTPBurnt, a.burnt(userID, totpStep(now)+offset), userID,
			totpBurntLife)
		return err
	})
}

func (a *apps) burnt(userID string, step int64) string {
	return a.logins.Hash("totp burnt", fmt.Sprintf("%s\x00%d", userID, step))
}

func totpUsed() error {
	return wrongCode("This code was already used.").WithNext("Wait until the app shows the next one.")
}

// totpWrong reports that a code is wrong and, if that is the reason, how much the clocks differ.
func totpWrong(offset int64) error {
	if offset == 0 {
		return wrongCode("Wrong code.").WithNext("Enter the code that the app currently shows for Sluice.")
	}
	behind := "behind"
	if offset > 0 {
		behind = "ahead of"
	}
	apart := time.Duration(max(offset, -offset)) * totpPeriod * time.Second
	return wrongCode(
		fmt.Sprintf("The clocks differ: your app's clock is about %s %s Sluice's.", apart, behind),
	).WithNext("Let your device set its time automatically, then enter the next code. If your time is right, " +
		"ask your admin to check the server's clock.")
}

func totpStep(at time.Time) int64 { return at.Unix() / totpPeriod }

// matchTOTP returns the steps within the skew for which a code is correct, latest first. If it is
// correct for none of them, offset is how many steps away the nearest match is (0 for no match). It
// takes the same time for every code.
func matchTOTP(secret, code string, now time.Time) (steps []int64, offset int64, err error) {
	at := totpStep(now)
	for d := int64(totpDrift); d >= -totpDrift; d-- {
		if at+d < 0 {
			continue
		}
		right, err := hotp.GenerateCode(secret, uint64(at+d))
		if err != nil {
			return nil, 0, fmt.Errorf("generating a code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(right), []byte(code)) != 1 {
			continue
		}
		if d >= -totpSkew && d <= totpSkew {
			steps = append(steps, at+d)
		} else if offset == 0 || max(d, -d) < max(offset, -offset) {
			offset = d
		}
	}
	if len(steps) > 0 {
		offset = 0
	}
	return steps, offset, nil
}

// issuer is the name of this installation in authenticator apps.
func (a *apps) issuer() string {
	u, err := url.Parse(a.logins.Link("", ""))
	if err != nil || u.Hostname() == "" || strings.Contains(u.Hostname(), ":") {
		return "Sluice"
	}
	return "Sluice " + u.Hostname()
}

func dark(c color.Color) bool { r, _, _, _ := c.RGBA(); return r == 0 }

// qrSVG draws a QR code (ISO/IEC 18004) as an image that is sharp at any size and needs no style.
func qrSVG(text string) (string, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", problem.New(problem.Invalid, "The name of the account is too long for a QR code.").WithCause(err)
	}
	const quiet = 4
	size := code.Bounds().Dx()
	var path strings.Builder
	for y := range size {
		for x := 0; x < size; x++ {
			run := 0
			for x+run < size && dark(code.At(x+run, y)) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	full := size + 2*quiet
	return fmt.Sprintf(
		`<svg xmlns="http://www.w3.org/2000/svg" class="qr" viewBox="0 0 %d %d" `+
			`shape-rendering="crispEdges" role="img" aria-label="QR code for an authenticator app">`+
			`<rect width="%d" height="%d" fill="#fff"/><path d="%s" fill="#000"/></svg>`,
		full,
		full,
		full,
		full,
		path.String(),
	), nil
}
