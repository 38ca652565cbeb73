package secret

import (
	"fmt"
	"strings"
)

// Warnings are sentences for the operator about secrets that were not used, or not well kept. None
// holds a secret.
func (k *Keyring) Warnings() []string { return k.warnings }

// LangflowKey is the value of LANGFLOW_SECRET_KEY as it was given, weak or not; "" if it was not.
// It is the Langflow instance's own key, under which that keeps its variables and API keys.
func (k *Keyring) LangflowKey() string { return k.langflow }

// judge notes what the operator should know.
func (k *Keyring) judge(given Given) {
	if !strings.HasPrefix(given.As, "FLOWISE_") {
		k.langflow = strings.TrimSpace(given.Text)
	}
	explained := false
	for _, w := range k.weak {
		instead := "another one"
		if w.Name == Root {
			instead = "the root key of " + k.seal.root.where
		}
		text := fmt.Sprintf("%s (%s) %s, so it counts as not set, and Sluice uses %s.", w.Name, w.Where, w.Why, instead)
		if w.Name == Root && w.text == k.langflow {
			text, explained = text+k.langflowTrouble(), true
		}
		k.warnings = append(k.warnings, text)
	}
	if trouble := k.langflowTrouble(); trouble != "" && !explained {
		k.warnings = append(k.warnings, "LANGFLOW_SECRET_KEY is good for Sluice."+trouble)
	}
	if k.seal.former {
		k.warnings = append(
			k.warnings,
			"The root key of this node ("+k.seal.root.where+") is a former one. It opens the secrets until the "+
				"vault's key is rotated: give this node the present root key.",
		)
	}
	for _, path := range k.seal.folder.openToOthers() {
		k.warnings = append(
			k.warnings,
			fmt.Sprintf("The key file %s can be read by other users of this machine: chmod 600 %s", path, path),
		)
	}
}

// langflowTrouble says what Langflow itself makes of its key, as a sentence with a blank before it;
// "" if all is well. Langflow uses a key of 32 characters and more as a Fernet key, of which
// exactly 32 bytes must be left after base64url decoding, and makes one of a shorter key in a way
// that changed with 1.10.1.
func (k *Keyring) langflowTrouble() string {
	text := k.langflow
	if text == "" || strings.HasPrefix(text, "<") {
		return ""
	}
	if len(text) < minLength {
		return fmt.Sprintf(
			" Langflow works with it, but before version 1.10.1 the key that it makes of so few characters (%d) can "+
				"be guessed.",
			len(text),
		)
	}
	if n := fernetBytes(text); n != 32 {
		return fmt.Sprintf(
			" Langflow itself cannot encrypt with it, so that no API key or credential can be saved there: its %d "+
				"characters decode to %s, and Fernet needs 32. `sluice secret generate` prints a value that is good "+
				"for both.",
			len(text),
			plural(n, "byte"),
		)
	}
	return ""
}

// fernetBytes is how many bytes Python's base64 decoder, which passes over foreign characters,
// makes of a key.
func fernetBytes(text string) int {
	n := 0
	for _, c := range text {
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '+' ||
			c == '/' {
			n++
		}
	}
	return n * 3 / 4
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
