package profile

import (
	"encoding/json"
	"slices"
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
	return b.Unset && (v == nil || v == false || v == "") || isText && slices.Contains(b.Except, text) || b.Plain && plainNames(v)
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
