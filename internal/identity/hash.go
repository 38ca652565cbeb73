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
	// bcryptLimit is how much of its input bcrypt uses; x/crypto refuses more.
	bcryptLimit = 72
	// longTag marks a hash whose password was longer and went through SHA-384 first. 384 bits make 64 base64 characters: no NUL byte, below the limit.
	longTag = "sha384+"
	// foreignTag marks a hash that another product has made, of the password's first 72 bytes as they were typed. It is replaced by one of our own when its owner signs in.
	foreignTag = "bcrypt72+"
)

// hashPassword makes the stored form of a password: a bcrypt string, tagged where the password was hashed before.
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

// verifyPassword compares in constant time. upgrade is true for a right password whose hash was made with fewer rounds than wanted.
func verifyPassword(stored, password string, rounds int) (ok, upgrade bool, err error) {
	if hash, foreign := strings.CutPrefix(stored, foreignTag); foreign {
		return verifyForeign(hash, password)
	}
	input := []byte(norm.NFKC.String(password))
	hash, long := strings.CutPrefix(stored, longTag)
	if long {
		input = digest(input)
	} else if len(input) > bcryptLimit {
		// An untagged hash belongs to a short password, so this one is wrong; the work is done all the same, for equal time.
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
