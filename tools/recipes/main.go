// Command recipes carries out every recipe of CONTRIBUTING.md, so that recipes and sources cannot
// drift apart:
//
//	go run -C tools ./recipes            all of them
//	go run -C tools ./recipes mail job   some of them
//
// Each recipe has a file here, NAME.txt. It begins with the recipe's paragraph exactly as in
// CONTRIBUTING.md, so changing one requires changing the other. Sections follow, each with a
// headline:
//
//	-- file PATH --                  a new file
//	-- insert PATH after TEXT --     lines after the only line that contains TEXT
//	-- insert PATH before TEXT --    lines before it
//	-- change PATH: OLD => NEW --    replaces a text that occurs once in the file
//	-- append PATH --                lines at the end
//	-- golden --                     the recipe says `make golden`
//	-- run --                        commands that must succeed, one a line
//	-- without PATH, "MESSAGE" --     commands that must fail and print MESSAGE when what the
//	                                  recipe puts into PATH is forgotten
//
// All recipes are carried out in one copy of the sources, one after the other, and then tested.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(only []string) error {
	list, err := load("recipes")
	if err != nil {
		return err
	}
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		return err
	}
	if err := compare(string(text), list); err != nil {
		return err
	}
	if len(only) > 0 {
		list = slices.DeleteFunc(list, func(r recipe) bool { return !slices.Contains(only, r.name) })
	}
	k, err := newKitchen()
	if err != nil {
		return err
	}
	defer os.RemoveAll(k.dir)
	return k.cook(list)
}

// recipe is one of CONTRIBUTING.md with an example.
type recipe struct {
	name, text string
	parts      []part
}

// part is a section of a recipe's file: the verb and arguments of its headline, and the lines
// below. mark is the text that an insertion or a change looks for, or the expected message. word is
// before or after, or the new text of a change.
type part struct{ verb, path, word, mark, body string }

var headline = regexp.MustCompile(
	`^-- (?:(golden|run)|(file|append) (\S+)|(insert) (\S+) (after|before) (.+)|` +
		`(change) (\S+): (.+) => (.+)|(without) (\S+), "(.+)") --$`,
)

func load(folder string) (list []recipe, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r := recipe{name: strings.TrimSuffix(filepath.Base(path), ".txt")}
		for line := range strings.Lines(string(text)) {
			m := headline.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			switch {
			case m != nil:
				r.parts = append(r.parts, part{
					verb: m[1] + m[2] + m[4] + m[8] + m[12],
					path: m[3] + m[5] + m[9] + m[13],
					word: m[6] + m[11],
					mark: m[7] + m[10] + m[14],
				})
			case strings.HasPrefix(line, "-- ") && strings.HasSuffix(line, " --\n"):
				return nil, fmt.Errorf("%s: no such section: %s", path, line)
			case len(r.parts) == 0:
				r.text += line
			default:
				r.parts[len(r.parts)-1].body += line
			}
		}
		r.text = strings.TrimSpace(r.text)
		list = append(list, r)
	}
	return list, nil
}

// compare requires a recipe's file for each paragraph of the section "Recipes", and vice versa.
func compare(contributing string, list []recipe) error {
	_, section, found := strings.Cut(contributing, "\n## Recipes\n")
	if !found {
		return errors.New("CONTRIBUTING.md has no section Recipes")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var faults []error
	left := list
	for _, paragraph := range strings.Split(section, "\n\n") {
		paragraph = strings.TrimSpace(paragraph)
		if !strings.HasPrefix(paragraph, "**") {
			continue
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(paragraph, "**"), ".**")
		i := slices.IndexFunc(left, func(r recipe) bool { return r.text == paragraph })
		if i < 0 {
			faults = append(faults, fmt.Errorf("tools/recipes has no file with this text: %s …", title))
			continue
		}
		left = slices.Delete(slices.Clone(left), i, i+1)
	}
	for _, r := range left {
		faults = append(faults, fmt.Errorf("tools/recipes/%s.txt: its text is not in CONTRIBUTING.md", r.name))
	}
	return errors.Join(faults...)
}

// kitchen is a copy of the sources.
type kitchen struct{ dir string }

func newKitchen() (k kitchen, err error) {
	if k.dir, err = os.MkdirTemp("", "sluice-recipes-"); err != nil {
		return k, err
	}
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		return k, fmt.Errorf("listing the sources: %w", err)
	}
	for _, path := range strings.Split(strings.Trim(string(out), "\x00"), "\x00") {
		from := filepath.Join("..", path)
		info, err := os.Stat(from)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed and not committed yet
		}
		if err != nil {
			return k, err
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return k, err
		}
		if err := k.write(path, string(text), info.Mode().Perm()); err != nil {
			return k, err
		}
	}
	return k, nil
}

func (k kitchen) write(path, text string, mode os.FileMode) error {
	to := filepath.Join(k.dir, path)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, []byte(text), mode)
}

// cook carries the recipes out, regenerates the generated files, and tests the recipes.
func (k kitchen) cook(list []recipe) error {
	golden := false
	for _, r := range list {
		for _, p := range r.parts {
			if err := k.change(p); err != nil {
				return fmt.Errorf("recipe %s: %w", r.name, err)
			}
			golden = golden || p.verb == "golden"
		}
	}
	// Every editor formats on save.
	if out, err := k.command("gofmt -w internal"); err != nil {
		return fmt.Errorf("the code of the recipes is not Go:\n%s", out)
	}
	if golden {
		if out, err := k.command("tools/golden.sh"); err != nil {
			return fmt.Errorf("make golden: %w\n%s", err, out)
		}
	}
	var faults []error
	for _, r := range list {
		began := time.Now()
		if err := k.try(r); err != nil {
			faults = append(faults, fmt.Errorf("recipe %s: %w", r.name, err))
		}
		fmt.Printf("recipe %-12s %5.1f s\n", r.name, time.Since(began).Seconds())
	}
	return errors.Join(faults...)
}

// change applies the change of one section.
func (k kitchen) change(p part) error {
	switch p.verb {
	case "file":
		if _, err := os.Stat(filepath.Join(k.dir, p.path)); err == nil {
			return fmt.Errorf("%s exists", p.path)
		}
		return k.write(p.path, p.body, 0o644)
	case "append":
		text, err := os.ReadFile(filepath.Join(k.dir, p.path))
		if err != nil {
			return err
		}
		return k.write(p.path, string(text)+p.body, 0o644)
	case "insert":
		return k.insert(p)
	case "change":
		return k.replace(p.path, p.mark, p.word)
	}
	return nil
}

// replace replaces a text, which must occur in the file exactly once.
func (k kitchen) replace(path, old, text string) error {
	whole, err := os.ReadFile(filepath.Join(k.dir, path))
	if err != nil {
		return err
	}
	if n := strings.Count(string(whole), old); n != 1 {
		return fmt.Errorf("%s: %s occurs %d times, want once", path, old, n)
	}
	return k.write(path, strings.Replace(string(whole), old, text, 1), 0o644)
}

func (k kitchen) insert(p part) error {
	text, err := os.ReadFile(filepath.Join(k.dir, p.path))
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(text), "\n")
	at := -1
	for i, line := range lines {
		if !strings.Contains(line, p.mark) {
			continue
		}
		if at >= 0 {
			return fmt.Errorf("%s: several lines contain %s", p.path, p.mark)
		}
		at = i
	}
	if at < 0 {
		return fmt.Errorf("%s: no line contains %s", p.path, p.mark)
	}
	if p.word == "after" {
		at++
	}
	return k.write(p.path, strings.Join(slices.Insert(lines, at, p.body), ""), 0o644)
}

// try runs the commands of a recipe, and then tests it without each part that could be forgotten.
func (k kitchen) try(r recipe) error {
	for _, p := range r.parts {
		switch p.verb {
		case "run":
			for command := range strings.Lines(p.body) {
				if out, err := k.command(command); err != nil {
					return fmt.Errorf("%s: %w\n%s", strings.TrimSpace(command), err, out)
				}
			}
		case "without":
			if err := k.without(r, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// without removes the part that the recipe adds to a file, and requires that a command notices.
func (k kitchen) without(r recipe, p part) error {
	path := filepath.Join(k.dir, p.path)
	whole, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, taken := string(whole), 0
	for _, q := range r.parts {
		if q.path != p.path {
			continue
		}
		gone := text
		switch q.verb {
		case "insert", "append":
			if gone, err = removed(q.body, text); err != nil {
				return fmt.Errorf("%s: %w", p.path, err)
			}
		case "change":
			gone = strings.Replace(text, q.word, q.mark, 1)
		case "file":
			gone = ""
		}
		if gone != text {
			text, taken = gone, taken+1
		}
	}
	if taken == 0 {
		return fmt.Errorf("it puts nothing into %s", p.path)
	}
	if text == "" {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		return err
	}
	out, err := k.command(strings.ReplaceAll(strings.TrimSpace(p.body), "\n", " && "))
	if err == nil || !strings.Contains(out, p.mark) {
		return fmt.Errorf("nothing says %q when %s is forgotten:\n%s", p.mark, p.path, out)
	}
	return os.WriteFile(path, whole, 0o644)
}

// removed returns text without the lines of body, which gofmt may have indented or aligned.
func removed(body, text string) (string, error) {
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	lines, want := strings.SplitAfter(text, "\n"), strings.Split(strings.Trim(body, "\n"), "\n")
	for i := 0; i+len(want) <= len(lines); i++ {
		if slices.EqualFunc(lines[i:i+len(want)], want, func(a, b string) bool { return words(a) == words(b) }) {
			return strings.Join(slices.Delete(lines, i, i+len(want)), ""), nil
		}
	}
	return "", errors.New("the inserted code is missing")
}

// cheapest are build flags for code that runs once. Compiling takes most of the time, and only a
// third as long without optimization; `make check` already vets.
const cheapest = "-buildvcs=false -trimpath -vet=off '-gcflags=sluice/...=-N -l'"

// command runs a line in the copy.
func (k kitchen) command(line string) (string, error) {
	c := exec.Command("bash", "-euo", "pipefail", "-c", line)
	c.Dir = k.dir
	c.Env = append(os.Environ(), "GOFLAGS="+cheapest)
	out, err := c.CombinedOutput()
	return string(out), err
}
