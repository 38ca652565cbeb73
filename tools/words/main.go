// Command words checks the English of everything that people read: comments and texts of Go,
// templates, mails and documents. The rules are in rules.go, their reasons in docs/style.md.
//
//	go run -C tools ./words          fails for a text that breaks a rule
//	go run -C tools ./words -count   prints how often each rule is broken, and in which texts
//	go run -C tools ./words PATH…    looks at these files and folders only
//
// A text that has to break a rule, because programs compare it, has the reason beside it: a comment
// "words: REASON" on its line or the one above.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	count := flag.Bool("count", false, "print counts only")
	only := flag.String("kind", "", "only texts of this kind: comments, templates, mails, documents or \"texts in Go\"")
	flag.Parse()
	if err := run(flag.Args(), kind(*only), *count); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// fault is a text that breaks a rule.
type fault struct {
	text text
	rule *rule
	part string // what matched
}

func run(only []string, of kind, count bool) error {
	paths, err := sources(only)
	if err != nil {
		return err
	}
	var faults []fault
	texts, broken := map[kind]int{}, map[kind]int{}
	for _, path := range paths {
		found, err := read(path)
		if err != nil {
			return err
		}
		for _, t := range found {
			if of != "" && t.kind != of {
				continue
			}
			texts[t.kind]++
			fs := check(t)
			if len(fs) > 0 {
				broken[t.kind]++
			}
			faults = append(faults, fs...)
		}
	}
	if count {
		report(faults, texts, broken)
		return nil
	}
	for _, f := range faults {
		fmt.Printf("%s:%d: %q: %s\n", f.text.path, f.text.line, strings.TrimSpace(f.part), f.rule.instead)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%d texts break a rule of docs/style.md", len(faults))
	}
	return nil
}

// check finds the rules that a text breaks.
func check(t text) []fault {
	var out []fault
	for i := range rules {
		if m := rules[i].pattern.FindString(t.words); m != "" {
			out = append(out, fault{text: t, rule: &rules[i], part: m})
		}
	}
	return out
}

// sources lists the files with texts, from the root of the repository.
func sources(only []string) ([]string, error) {
	args := []string{"ls-files", "--cached", "--others", "--exclude-standard"}
	if len(only) > 0 {
		args = append(append(args, "--"), only...)
	}
	list := exec.Command("git", args...)
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the sources: %w", err)
	}
	var paths []string
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		own := path == "docs/style.md" || strings.HasPrefix(path, "tools/words/") // they quote what they refuse
		if kindOf(path) != "" && !own && !strings.Contains(path, "/testdata/") {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

func report(faults []fault, texts, broken map[kind]int) {
	rulesBroken := map[string]int{}
	for _, f := range faults {
		rulesBroken[f.rule.name]++
	}
	names := make([]string, 0, len(rulesBroken))
	for name := range rulesBroken {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return rulesBroken[b] - rulesBroken[a] })
	for _, name := range names {
		fmt.Printf("%5d  %s\n", rulesBroken[name], name)
	}
	for _, k := range kinds {
		fmt.Printf("%s: %d of %d\n", k, broken[k], texts[k])
	}
}
