package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// Hiding names a secret in the answer of an endpoint: a member of an object, or of each object in a
// list, that is secret if another member says so. A builder may hide such values itself, but not
// necessarily in every release.
type Hiding struct {
	// Member is set to null if the member Where is the text Is, ignoring case.
	Member string `yaml:"member"`
	Where  string `yaml:"where"`
	Is     string `yaml:"is"`
}

// errNoObjects means that an answer holds something other than objects.
var errNoObjects = errors.New("the answer is neither an object nor a list of objects")

// Clean returns an answer without the secrets. An answer without secrets is unchanged.
func (h *Hiding) Clean(body []byte) ([]byte, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		clean, _, err := h.object(body)
		return clean, err
	}
	var list []json.RawMessage
	if json.Unmarshal(body, &list) != nil {
		return nil, errNoObjects
	}
	changed := false
	for i, el := range list {
		clean, hidden, err := h.object(el)
		if err != nil {
			return nil, err
		}
		list[i], changed = clean, changed || hidden
	}
	if !changed {
		return body, nil
	}
	return json.Marshal(list)
}

// object is Clean for one object.
func (h *Hiding) object(body []byte) (clean []byte, hidden bool, err error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members == nil {
		return nil, false, errNoObjects
	}
	var what string
	if json.Unmarshal(members[h.Where], &what) != nil || !strings.EqualFold(what, h.Is) ||
		members[h.Member] == nil || string(members[h.Member]) == "null" {
		return body, false, nil
	}
	members[h.Member] = json.RawMessage("null")
	clean, err = json.Marshal(members)
	return clean, true, err
}
