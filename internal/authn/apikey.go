package authn

import (
	"hash/crc32"
	"io"
	"strings"
)

// An API key reads "sluice_", 40 random base62 digits (238 bits), and the CRC-32 of all that in 6
// base62 digits. The prefix and the checksum let secret scanners tell keys from chance matches
// without asking Sluice.
const (
	keyStart    = "sluice_"
	keyRandom   = 40
	keyChecksum = 6
	keyChars    = len(keyStart) + keyRandom + keyChecksum
	// keyPrefix is how many characters of a key are stored in clear, to recognize it by. Five of
	// them are random, which leaves 208 secret bits.
	keyPrefix = 12
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// makeKey returns a new API key of random bytes.
func makeKey(random io.Reader) (string, error) {
	text := make([]byte, 0, keyChars)
	text = append(text, keyStart...)
	for raw := make([]byte, 64); len(text) < len(keyStart)+keyRandom; {
		if _, err := io.ReadFull(random, raw); err != nil {
			return "", err
		}
		for _, b := range raw {
			// 248 of the 256 values map evenly to 62 digits; the rest would make some digits more
			// likely.
			if b < 248 && len(text) < len(keyStart)+keyRandom {
				text = append(text, base62[b%62])
			}
		}
	}
	sum := checksum(string(text))
	return string(append(text, sum[:]...)), nil
}

// checksum is the CRC-32 (IEEE 802.3) of a text in base62, most significant digit first.
func checksum(text string) (out [keyChecksum]byte) {
	n := ^uint32(0)
	for i := range len(text) { // crc32.ChecksumIEEE would copy the text to the heap
		n = crc32.IEEETable[byte(n)^text[i]] ^ n>>8
	}
	n = ^n
	for i := keyChecksum - 1; i >= 0; i-- {
		out[i] = base62[n%62]
		n /= 62
	}
	return out
}

// keyFormed reports whether a text can be an API key: the form and the checksum are right.
func keyFormed(text string) bool {
	if len(text) != keyChars || !strings.HasPrefix(text, keyStart) {
		return false
	}
	for i := len(keyStart); i < keyChars; i++ {
		c := text[i]
		if !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z') {
			return false
		}
	}
	body := text[:keyChars-keyChecksum]
	sum := checksum(body)
	return text[keyChars-keyChecksum:] == string(sum[:])
}
