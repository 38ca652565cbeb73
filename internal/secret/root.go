package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sluice/internal/problem"
)

// RootFile is the root key's file name inside SECRETKEY_PATH.
const RootFile = "sluice_root.key"

// loadRoot reads the root key, or makes one. The file appears complete or not at all.
func loadRoot(folder string) (key []byte, path string, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, "", fmt.Errorf("making the folder for secret keys (SECRETKEY_PATH): %w", err)
	}
	path = filepath.Join(folder, RootFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeRoot(folder, path); err != nil {
			return nil, path, fmt.Errorf("making the root key: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, path, fmt.Errorf("reading the root key: %w", err)
	}
	key, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, path, problem.Newf(problem.Invalid, "The root key file %s is damaged: expected are 32 bytes in base64 (44 characters).", path).
			WithNext("Restore the file from a backup. Without it the secrets in the database cannot be opened.")
	}
	return key, path, nil
}

// makeRoot writes a random key to a temporary file and links it into place; if another process was faster, its key stands.
func makeRoot(folder, path string) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	temp, err := os.CreateTemp(folder, RootFile+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
