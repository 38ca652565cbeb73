package config

import (
	"fmt"
	"strings"
)

// Item is a variable with its current setting. No field holds a secret.
type Item struct {
	Variable
	Value  string `json:"value"`           // in effect, with its unit; masked when secret, "" when not set
	Set    bool   `json:"set"`             // given by the operator
	Source string `json:"source"`          // where the value came from
	Effect string `json:"effect"`          // the current effect of the value, in a sentence
	Expect string `json:"expected"`        // the expected form of a value
	Fault  string `json:"fault,omitempty"` // what is wrong with the value
}

// UnknownNameError is a name that no variable has.
type UnknownNameError struct {
	Name string
	Near string // the nearest declared name, "" if no name is near
}

// Error also suggests the nearest variable, if any.
func (e *UnknownNameError) Error() string {
	if e.Near != "" {
		return fmt.Sprintf("there is no variable %s; did you mean %s?", e.Name, e.Near)
	}
	return fmt.Sprintf("there is no variable %s; `sluice config list --all` shows all of them", e.Name)
}

// effect describes the effect of the value that counts.
func (v *Variable) effect(r *resolved) string {
	switch {
	case r.fault != nil:
		return "None: Sluice does not start with this value."
	case v.Theirs:
		return fmt.Sprintf("None here: only %s reads it.", v.From)
	case !v.Wired:
		return "None yet: the value is read and checked, but this version of Sluice does not act on it."
	}
	key := r.shown
	if r.parsed == nil {
		key = ""
	}
	sentence, ok := v.effects[key]
	if !ok {
		sentence = v.effects["*"]
	}
	return strings.ReplaceAll(sentence, "{value}", r.shown)
}
