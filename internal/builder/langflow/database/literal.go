package database

import (
	"bytes"
	"encoding/json"
	"strings"
)

// literals counts the plaintext secrets in a flow: component fields that Langflow shows as
// passwords and whose value is not a variable's name. It returns 0 for unreadable flows.
func literals(data []byte) int {
	if !bytes.Contains(data, []byte(`"password"`)) {
		return 0
	}
	var f struct {
		Nodes []struct {
			Data struct {
				Node struct {
					Template map[string]json.RawMessage `json:"template"`
				} `json:"node"`
			} `json:"data"`
		} `json:"nodes"`
	}
	if json.Unmarshal(data, &f) != nil {
		return 0
	}
	count := 0
	for _, n := range f.Nodes {
		for _, raw := range n.Data.Node.Template {
			var field struct {
				Password   bool `json:"password"`
				LoadFromDB bool `json:"load_from_db"`
				Value      any  `json:"value"`
			}
			if json.Unmarshal(raw, &field) != nil || !field.Password || field.LoadFromDB {
				continue
			}
			if value, ok := field.Value.(string); ok && strings.TrimSpace(value) != "" {
				count++
			}
		}
	}
	return count
}
