package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"sluice/internal/problem"
)

// Source is a place where secrets are stored. Sources are read in their order; the first good value
// counts.
type Source interface {
	// Get returns the text that is stored under a name, and where exactly, in words for people.
	// Both are "" if the source has no such text. An error means that the source cannot be read.
	Get(ctx context.Context, n Name) (text, where string, err error)
}

// keeper is a source that can also store secrets that Sluice creates.
type keeper interface {
	Source
	// Keep stores a text under an unused name and returns the text that is stored afterwards:
	// another node may have been faster.
	Keep(ctx context.Context, n Name, text string) (kept, where string, err error)
}

// Given is a value from the configuration.
type Given struct {
	// Text is the value, As the name under which it was given (perhaps an alias), Where the place:
	// "environment", ".env:12".
	Text, As, Where string
}

// environment holds the values of variables.
type environment map[Name]Given

// Get returns the variable's value.
func (e environment) Get(_ context.Context, n Name) (text, where string, err error) {
	g := e[n]
	text = strings.TrimSpace(g.Text)
	if text == "" {
		return "", "", nil
	}
	if where = g.Where; g.As != "" && g.As != string(n) {
		where += ", " + g.As
	}
	return text, where, nil
}

// maxSecretFile is the size of the largest file that is read, in bytes.
const maxSecretFile = 64 << 10

// files stores each secret in a file of a folder.
type files struct{ folder string }

// Get reads the secret's file, without blanks and line ends around the text.
func (f files) Get(_ context.Context, n Name) (text, where string, err error) {
	path := n.pathOf(f.folder)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("reading the key file: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return "", "", fmt.Errorf("reading the key file %s: %w", path, err)
	}
	if len(content) > maxSecretFile {
		return "", "", problem.Newf(
			problem.Invalid,
			"The key file %s is larger than 64 KiB: it does not hold a secret.",
			path,
		)
	}
	return strings.TrimSpace(string(content)), "file " + path, nil
}

// Keep writes the text to a temporary file and links it into place: the file appears complete or
// not at all, for its owner only. An existing file is unchanged.
func (f files) Keep(ctx context.Context, n Name, text string) (kept, where string, err error) {
	temp, err := f.write(n, text)
	if err != nil {
		return "", "", err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, n.pathOf(f.folder)); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", "", err
	}
	return f.Get(ctx, n)
}

// replace replaces the text of a file.
func (f files) replace(n Name, text string) error {
	temp, err := f.write(n, text)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, n.pathOf(f.folder)); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

func (f files) write(n Name, text string) (temp string, err error) {
	if err := os.MkdirAll(f.folder, 0o700); err != nil {
		return "", fmt.Errorf("creating the folder for secret keys (SECRETKEY_PATH): %w", err)
	}
	file, err := os.CreateTemp(f.folder, n.fileName()+".*")
	if err != nil {
		return "", fmt.Errorf("creating a key file: %w", err)
	}
	_, err = file.WriteString(text + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// openToOthers lists the key files that other users of this machine can read.
func (f files) openToOthers() (paths []string) {
	if runtime.GOOS == "windows" {
		return nil
	}
	for _, n := range append([]Name{Root}, keyNames...) {
		if info, err := os.Stat(n.pathOf(f.folder)); err == nil && info.Mode().Perm()&0o077 != 0 {
			paths = append(paths, filepath.Clean(n.pathOf(f.folder)))
		}
	}
	return paths
}

// found is a value and where it came from.
type found struct{ text, where string }

// Weak is a value that is treated as missing.
type Weak struct {
	Name       Name
	Where, Why string
	text       string
}

// resolve reads the sources in their order. It skips weak values and returns them separately.
func resolve(ctx context.Context, sources []Source, n Name) (f found, weak []Weak, err error) {
	for _, s := range sources {
		text, where, err := s.Get(ctx, n)
		if err != nil {
			return found{}, weak, err
		}
		if where == "" {
			continue
		}
		if why := Weakness(text); why != "" {
			weak = append(weak, Weak{Name: n, Where: where, Why: why, text: text})
			continue
		}
		return found{text: text, where: where}, weak, nil
	}
	return found{}, weak, nil
}

// prepareNext stores a new root key beside the current one. It uses the one that an interrupted
// rotation has left, unless that is in use already.
func (f files) prepareNext(ctx context.Context, present string) (string, error) {
	for {
		text, err := randomText()
		if err != nil {
			return "", err
		}
		kept, _, err := f.Keep(ctx, nextRoot, text)
		if err != nil {
			return "", fmt.Errorf("keeping the new root key: %w", err)
		}
		if kept != present && Weakness(kept) == "" {
			return kept, nil
		}
		if err := f.remove(nextRoot); err != nil {
			return "", err
		}
	}
}

// finishNext puts a new root key in place of the current one.
func (f files) finishNext(text string) error {
	if err := f.replace(Root, text); err != nil {
		return fmt.Errorf("putting the new root key into its place: %w", err)
	}
	return f.remove(nextRoot)
}

func (f files) remove(n Name) error {
	if err := os.Remove(n.pathOf(f.folder)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a key file: %w", err)
	}
	return nil
}
