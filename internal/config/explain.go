package config

import (
	"fmt"
	"strings"
)

// Item is a variable with what it is set to. No field holds a secret.
type Item struct {
	Variable
	Value  string `json:"value"`           // as it counts, with its unit; masked when secret, "" when not set
	Set    bool   `json:"set"`             // given by the operator
	Source string `json:"source"`          // where the value came from
	Effect string `json:"effect"`          // what this value does now, in a sentence
	Expect string `json:"expected"`        // what a value looks like
	Fault  string `json:"fault,omitempty"` // what is wrong with the value
}

// UnknownNameError is a name that no variable has.
type UnknownNameError struct {
	Name string
	Near string // the declared name nearest to it, "" if none is near
}

// Error names the nearest variable, if there is one.
func (e *UnknownNameError) Error() string {
	if e.Near != "" {
		return fmt.Sprintf("there is no variable %s; did you mean %s?", e.Name, e.Near)
	}
	return fmt.Sprintf("there is no variable %s; `sluice config list --all` shows all of them", e.Name)
}

// Explain returns the variable called name, in any case, under its own name, an alias or either with _FILE. The error is an
// *UnknownNameError.
func (l *Loaded) Explain(name string) (Item, error) {
	v, ok := lookup(strings.ToUpper(name))
	if !ok {
		return Item{}, &UnknownNameError{Name: name, Near: suggestion(name)}
	}
	return l.item(v), nil
}

// List returns all variables in the order of Describe.
func (l *Loaded) List() []Item {
	items := make([]Item, len(registry))
	for i := range registry {
		items[i] = l.item(&registry[i])
	}
	return items
}

// Source says where the value of the variable called name came from.
func (l *Loaded) Source(name string) Source {
	if r, ok := l.items[name]; ok {
		return r.source
	}
	return Source{}
}

func (l *Loaded) item(v *Variable) Item {
	r := l.items[v.Name]
	item := Item{Variable: *v, Value: r.shown, Set: r.set, Source: r.source.under(v.Name), Effect: v.effect(r), Expect: v.Expects()}
	if r.fault != nil {
		item.Fault = r.fault.Problem
		item.Value = r.fault.Value
	}
	return item
}

// effect is the sentence for the value that counts.
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
