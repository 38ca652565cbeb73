package database

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fernet/fernet-go"

	"sluice/internal/problem"
)

// Keys opens values that a Langflow encrypted with its LANGFLOW_SECRET_KEY, whichever way its
// version derived a Fernet key from it. It is a builder.Unsealer.
type Keys struct{ keys []*fernet.Key }

// fernetPrefix starts every Fernet token in base64 (version 0x80 and a time before the year 2106).
// Langflow treats values without it as plaintext.
const fernetPrefix = "gAAAAA"

// longSecret is the length in characters from which Langflow uses its secret directly as the Fernet
// key.
const longSecret = 32

// NewKeys derives the Fernet keys of a LANGFLOW_SECRET_KEY (lfx services/auth/utils,
// Langflow 1.0 to 1.13):
//
//	32 characters or more   base64url of the 32 bytes of the key; others are skipped, as in Python
//	fewer, since 1.10.1     SHA-256 of the text
//	fewer, before           the bytes of Python's random.seed(text)
//
// A text from which no version gets a usable key, such as the sample on Langflow's own page (42
// characters, 31 bytes), is problem.Invalid with the reason: Langflow itself cannot have encrypted
// anything with it.
func NewKeys(secret string) (*Keys, error) {
	if secret == "" {
		return nil, problem.New(problem.Invalid, "The secret key is empty.").
			WithField("LANGFLOW_SECRET_KEY").
			WithNext("Enter the LANGFLOW_SECRET_KEY that Langflow ran with, or the content of its file secret_key.")
	}
	if len([]rune(secret)) < longSecret {
		hashed := fernet.Key(sha256.Sum256([]byte(secret)))
		seeded := fernet.Key(pythonRandomBytes(secret))
		return &Keys{keys: []*fernet.Key{&hashed, &seeded}}, nil
	}
	raw := decodeLikePython(secret)
	if len(raw) != len(fernet.Key{}) {
		return nil, problem.Newf(problem.Invalid, "The secret key has %d characters, which decode to %d bytes. "+
			"Langflow's encryption needs exactly 32 bytes, so Langflow itself cannot encrypt with it.",
			len([]rune(secret)), len(raw)).
			WithField("LANGFLOW_SECRET_KEY").
			WithNext(`To create a usable one, run: python3 -c "import secrets; print(secrets.token_urlsafe(32))"`)
	}
	key := fernet.Key(raw)
	return &Keys{keys: []*fernet.Key{&key}}, nil
}

// Open decrypts a value. Values that are not Fernet tokens are plaintext in Langflow's tables and
// are returned unchanged. A token of another key is problem.Invalid.
func (k *Keys) Open(value string) (string, error) {
	if !sealed(value) {
		return value, nil
	}
	plaintext := fernet.VerifyAndDecrypt([]byte(value), 0, k.keys)
	if plaintext == nil {
		return "", problem.New(problem.Invalid, "The value was encrypted with another secret key.").
			WithField("LANGFLOW_SECRET_KEY").
			WithNext("Enter the key that this Langflow ran with.")
	}
	return string(plaintext), nil
}

// sealed reports whether a table value is encrypted.
func sealed(value string) bool { return strings.HasPrefix(value, fernetPrefix) }

// KeyTrouble says in a sentence what Langflow itself cannot do with a LANGFLOW_SECRET_KEY. It is ""
// if nothing is wrong, or if the text is a placeholder such as "<your key>".
func KeyTrouble(secret string) string {
	if secret == "" || strings.HasPrefix(secret, "<") {
		return ""
	}
	if len(secret) < longSecret {
		return fmt.Sprintf("Langflow works with it, but before version 1.10.1 the key that it derives from so "+
			"few characters (%d) can be guessed.", len(secret))
	}
	raw := decodeLikePython(secret)
	if len(raw) == len(fernet.Key{}) {
		return ""
	}
	decoded := "nothing"
	if len(raw) > 0 {
		decoded = fmt.Sprintf("%d bytes", len(raw))
	}
	return fmt.Sprintf("Langflow itself cannot encrypt with it, so no API key or credential can be saved there: "+
		"its %d characters decode to %s, and Fernet needs 32 bytes. `sluice secret generate` prints a value "+
		"that works for both.",
		len(secret), decoded)
}

// decodeLikePython is base64.urlsafe_b64decode of the text padded to a multiple of four characters
// (Modules/binascii.c, not strict): it skips characters outside of the alphabet, stops at the first
// complete padding, and fails without one where bytes are incomplete. Nil: it fails.
func decodeLikePython(text string) []byte {
	text += strings.Repeat("=", 4-utf8.RuneCountInString(text)%4)
	var clean []byte
	pads := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '+':
			c = '-'
		case c == '/':
			c = '_'
		case c == '=' && len(clean)%4 >= 2:
			pads++
			if len(clean)%4+pads >= 4 {
				return decoded(clean)
			}
			continue
		default:
			continue
		}
		clean, pads = append(clean, c), 0
	}
	if len(clean)%4 != 0 {
		return nil
	}
	return decoded(clean)
}

// decoded decodes base64url without padding.
func decoded(clean []byte) []byte {
	raw, err := base64.RawURLEncoding.DecodeString(string(clean))
	if err != nil {
		return nil
	}
	return raw
}

// pythonRandomBytes is CPython's bytes(random.getrandbits(8) for _ in range(32)) after
// random.seed(text) (Lib/random.py, Modules/_randommodule.c): the text and its SHA-512, as one big
// integer, seed a Mersenne Twister.
func pythonRandomBytes(text string) (out [32]byte) {
	sum := sha512.Sum512([]byte(text))
	seed := append([]byte(text), sum[:]...)
	for len(seed) > 4 && seed[0] == 0 {
		seed = seed[1:]
	}
	slices.Reverse(seed)
	for len(seed)%4 != 0 {
		seed = append(seed, 0)
	}
	words := make([]uint32, len(seed)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(seed[4*i:])
	}
	twister := newTwister(words)
	for i := range out {
		out[i] = byte(twister.next() >> 24)
	}
	return out
}
