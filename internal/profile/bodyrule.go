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
		return true // the builder may still accept it
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

// harmless reports whether the rule allows a value for everyone.
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

// BodyRule requires a further action if a JSON object (or form) in the body has one of the keys at
// its top level.
type BodyRule struct {
	// In is the top-level key of a list of objects; the rule then applies to these objects. Empty
	// means the body itself.
	In string
	// Keys are compared exactly, after decoding the JSON string.
	Keys []string
	// Action is required in addition to Endpoint.Action. If it is empty, only the builder sets the
	// keys, and they are refused for everyone.
	Action authz.Action
	// Permissions are the finer names of Action, see Endpoint.Permissions.
	Permissions []authz.Action
	// Why explains why the keys are refused for everyone; empty means a general sentence.
	Why string
	// Drop removes the keys from the body if the person lacks the permission, and lets the request
	// continue without them.
	Drop bool
	// Mark is the one of Keys by which the builder opens a flow to strangers whenever the rule
	// requires the action; empty for none.
	Mark string
	// Unset allows the values null, false and "" without the action, because the builder's pages
	// send them for unused keys. See Needs.
	Unset bool
	// Except are texts that require no action. See Needs.
	Except []string
	// Plain allows texts, and lists of texts, that are plain names of files or folders. See Needs.
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
