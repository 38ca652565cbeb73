package secret

import (
	"fmt"
	"strings"
)

// Warnings are sentences for the operator about secrets that were ignored or are not well
// protected. They contain no secrets.
func (k *Keyring) Warnings() []string { return k.warnings }

// GivenRoot is the value of the root key's variable, even if it is weak; "" if it was not given.
// The product that the variable is named after has encrypted its own secrets with it.
func (k *Keyring) GivenRoot() string { return k.givenRoot }

// judge collects the warnings. rootTrouble is Config.RootTrouble.
func (k *Keyring) judge(given Given, rootTrouble func(key string) string) {
	if !strings.HasPrefix(given.As, "FLOWISE_") {
		k.givenRoot = strings.TrimSpace(given.Text)
	}
	trouble := ""
	if k.givenRoot != "" && rootTrouble != nil {
		if said := rootTrouble(k.givenRoot); said != "" {
			trouble = " " + said
		}
	}
	explained := false
	for _, w := range k.weak {
		instead := "another one"
		if w.Name == Root {
			instead = "the root key of " + k.seal.root.where
		}
		text := fmt.Sprintf(
			"%s (%s) %s, so it is treated as not set, and Sluice uses %s.",
			w.Name,
			w.Where,
			w.Why,
			instead,
		)
		if w.Name == Root && w.text == k.givenRoot {
			text, explained = text+trouble, true
		}
		k.warnings = append(k.warnings, text)
	}
	if trouble != "" && !explained {
		k.warnings = append(k.warnings, string(Root)+" works for Sluice."+trouble)
	}
	if k.seal.former {
		k.warnings = append(
			k.warnings,
			"The root key of this node ("+k.seal.root.where+") is a previous one. It opens the secrets until the "+
				"vault's key is rotated. Give this node the current root key.",
		)
	}
	for _, path := range k.seal.folder.openToOthers() {
		k.warnings = append(
			k.warnings,
			fmt.Sprintf("The key file %s can be read by other users of this machine: chmod 600 %s", path, path),
		)
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
