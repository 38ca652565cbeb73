package profile

import (
	"encoding/json"
	"slices"

	"sluice/internal/authz"
	"sluice/internal/flow"
)

// Needs reports whether the rule applies to a top-level key and its JSON value.
func (b *BodyRule) Needs(key string, value []byte) bool {
	if b.In == "" {
		return slices.Contains(b.Keys, key) && !b.harmless(value)
	}
	if key != b.In {
		return false
	}
	var elements []map[string]json.RawMessage
	if json.Unmarshal(value, &elements) != nil {
		return true // the builder may read it all the same
	}
	for _, el := range elements {
		for k, v := range el {
			if slices.Contains(b.Keys, k) && !b.harmless(v) {
				return true
			}
		}
	}
	return false
}

// harmless reports whether a value is one that the rule permits to everybody.
func (b *BodyRule) harmless(value []byte) bool {
	if !b.Unset && !b.Plain && len(b.Except) == 0 {
		return false
	}
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		return false
	}
	text, isText := v.(string)
	return b.Unset && (v == nil || v == false || v == "") || isText && slices.Contains(b.Except, text) ||
		b.Plain && plainNames(v)
}

// plainNames reports whether a value is a text, or a list of texts, that are plain names of files
// or folders.
func plainNames(v any) bool {
	switch v := v.(type) {
	case string:
		return v != "" && v[0] != '.' && baseName(v) && PlainText(v)
	case []any:
		for _, el := range v {
			if text, ok := el.(string); !ok || !plainNames(text) {
				return false
			}
		}
		return true
	}
	return false
}

// BodyRule asks for a further action when a JSON object (or form) in the body has one of the keys
// at its top level.
type BodyRule struct {
	// In is the top-level key of a list of objects that the rule is about instead; empty: the body
	// itself.
	In string
	// Keys are compared exactly, after the JSON string was decoded.
	Keys []string
	// Action is needed in addition to Endpoint.Action. Empty: the keys are the builder's to set and
	// are refused for everybody.
	Action authz.Action
	// Permissions are the finer names of Action, see Endpoint.Permissions.
	Permissions []authz.Action
	// Why is said where the keys are refused for everybody; empty: a general sentence.
	Why string
	// Drop takes the keys out of the body of somebody who lacks the right, and lets the request go
	// on without them.
	Drop bool
	// Mark is the key of Keys by which the builder opens a flow to strangers: wherever the rule
	// needs the action; empty: there is none.
	Mark string
	// Unset permits the values null, false and "" without the action: the builder's pages send them
	// for what is not used. See Needs.
	Unset bool
	// Except are texts that need no action. See Needs.
	Except []string
	// Plain permits texts, and lists of texts, that are plain names of files or folders. See Needs.
	Plain bool
}

// Asks is Endpoint.Asks for the rule.
func (b *BodyRule) Asks(kind flow.Kind) []authz.Action {
	switch kind {
	case flow.Agentflow:
		return without("chatflows:", b.Permissions)
	case flow.Chatflow, flow.Assistantflow:
		return without("agentflows:", b.Permissions)
	}
	return b.Permissions
}
