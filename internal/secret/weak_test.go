package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/internal/secret"
)

func TestWeakValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"popcorn", "is a published example"},
		{"flowise", "is a published example"},
		{"AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD", "is a published example"},
		{"dBuuuB_FHLvU8T9eUNlxQF9ppqRxwWpXXQ42kM2_fb", "is a published example"},
		{" your_generated_key\n", "is a published example"},
		{"<32-byte-hex-string>", "is a published example"},
		{"", "is shorter than 32 characters"},
		{"shortkey123", "is shorter than 32 characters"},
		{"0f9d8c7b6a5f4e3d2c1b0a9f8e7d6c5", "is shorter than 32 characters"},
		{strings.Repeat("x", 64), "repeats itself"},
		{"changemechangemechangemechangeme", "repeats itself"},
		{"0123456789abcdef0123456789abcdef", "repeats itself"},
		{"a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6", "repeats itself"},
		{"abcdefghijklmnopqrstuvwxyz0123456789", "consists of neighboring characters"},
		{"9876543210zyxwvutsrqponmlkjihgfedcba", "consists of neighboring characters"},
		{"this is my super secret key for flowise", "consists of commonly guessed words"},
		{"your-super-secret-jwt-key-change-this-in-production", "consists of commonly guessed words"},
		{"my-jwt-auth-token-secret-for-development", "consists of commonly guessed words"},
		{"correct horse battery staple correct secret", "consists of commonly guessed words"},
		{"abababababababababababababababcdabababab", "consists of neighboring characters"},
		{"axaxaxaxaxqaxaxaxaxaxaxwaxaxaxaxaxaxax", "is not random enough"},
		{"gravel-oboe-mantle-quiver-sunset-walnut-pixel-drum", ""},
		{"mwpHktuYbkTyHWtmyNFPyr2G/tY8SSXW", ""},
		{"8c1f0b7c5de84a51b3f0d9a7c2e64f10", ""},
	} {
		if got := secret.Weakness(tt.text); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

// The output of `openssl rand` and similar tools never counts as weak. The seed is fixed, so that
// each run is the same.
func TestWeak_RandomValues(t *testing.T) {
	t.Parallel()
	source := rand.NewChaCha8([32]byte{1})
	for range 2_000 {
		raw := make([]byte, 32)
		_, _ = source.Read(raw)
		for _, text := range []string{
			hex.EncodeToString(raw[:16]), hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw[:24]),
			base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		} {
			if why := secret.Weakness(text); why != "" {
				t.Fatalf("%s %s", text, why)
			}
		}
	}
}
