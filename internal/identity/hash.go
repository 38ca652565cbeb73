package identity

import (
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"
)

const (
	// bcryptLimit is how many bytes of its input bcrypt uses. x/crypto refuses more.
	bcryptLimit = 72
	// longTag marks the hash of a longer password, which went through SHA-384 first. 384 bits are
	// 64 base64 characters: no NUL byte, and below the limit.
	longTag = "sha384+"
	// foreignTag marks a hash from another product, of the password's first 72 bytes as typed. One
	// of our own replaces it when its owner signs in.
	foreignTag = "bcrypt72+"
)

// hashPassword returns the stored form of a password: a bcrypt string, tagged if the password was
// pre-hashed.
func hashPassword(password string, rounds int) (string, error) {
	input, tag := []byte(norm.NFKC.String(password)), ""
	if len(input) > bcryptLimit {
		input, tag = digest(input), longTag
	}
	hash, err := bcrypt.GenerateFromPassword(input, rounds)
	if err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	return tag + string(hash), nil
}

// verifyPassword compares in constant time. upgrade is true for a correct password whose hash has
// too few rounds.
func verifyPassword(stored, password string, rounds int) (ok, upgrade bool, err error) {
	if hash, foreign := strings.CutPrefix(stored, foreignTag); foreign {
		return verifyForeign(hash, password)
	}
	input := []byte(norm.NFKC.String(password))
	hash, long := strings.CutPrefix(stored, longTag)
	if long {
		input = digest(input)
	} else if len(input) > bcryptLimit {
		// An untagged hash belongs to a short password, so this one is wrong. The work is still
		// done, for equal time.
		_ = bcrypt.CompareHashAndPassword([]byte(hash), input[:bcryptLimit])
		return false, false, nil
	}
	err = bcrypt.CompareHashAndPassword([]byte(hash), input)
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("reading a stored password hash: %w", err)
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return false, false, fmt.Errorf("reading a stored password hash: %w", err)
	}
	return true, cost < rounds, nil
}

func digest(input []byte) []byte {
	sum := sha512.Sum384(input)
	return []byte(base64.RawStdEncoding.EncodeToString(sum[:]))
}
