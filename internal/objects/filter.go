package objects

import (
	"bytes"
	"encoding/json"

	"sluice/internal/flow"
	"sluice/internal/profile"
)

// Filter decides which elements of lists belong to a workspace.
type Filter struct {
	// Owners is the map of the app. Workspace is the one whose objects are kept.
	Owners    *flow.Objects
	Workspace string
	// Learn remembers that an object contains a part, which lists of parts reveal.
	Learn func(inner, parent string)
}

// Keep lists the elements that belong to the workspace. by is as in profile.Listing.
func (f Filter) Keep(elements []json.RawMessage, by string) []json.RawMessage {
	kept := make([]json.RawMessage, 0, len(elements))
	for _, el := range elements {
		own := f.lists
		switch by {
		case profile.ByOptions:
			own = f.offers
		case profile.ByPath:
			own = f.reads
		}
		if own(el, by) {
			kept = append(kept, el)
		}
	}
	return kept
}

// owns reports whether an object belongs to the workspace.
func (f Filter) owns(id string) bool {
	workspace, _, ok := f.Owners.Owner(id)
	return ok && workspace == f.Workspace
}

// lists reports whether an element is an object of the workspace, or part of one.
func (f Filter) lists(el json.RawMessage, by string) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(el, &members) != nil {
		return false
	}
	id := Text(members[by])
	if !f.owns(id) {
		return false
	}
	if by != "id" {
		if inner := Text(members["id"]); inner != "" {
			f.Learn(inner, id)
		}
	}
	return true
}

// offers reports whether an element of a list of options may be shown: it names nothing of another
// workspace, and if it begins with the id of an object, the object is the workspace's own. Most
// options are not objects at all, but models or regions.
func (f Filter) offers(el json.RawMessage, _ string) bool {
	foreign := false
	EachUUID(el, func(id [16]byte) bool {
		workspace, ok := f.Owners.OwnerOf(id)
		foreign = ok && workspace != f.Workspace
		return !foreign
	})
	if foreign {
		return false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(el, &members) != nil {
		return true
	}
	for _, key := range [...]string{"name", "id"} {
		if s := Text(members[key]); len(s) >= 36 && IsUUID(s[:36]) && !f.owns(s[:36]) {
			return false
		}
	}
	return true
}

// reads reports whether a file belongs to an object of the workspace.
func (f Filter) reads(el json.RawMessage, by string) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(el, &members) != nil {
		return false
	}
	own, foreign := false, false
	EachUUID([]byte(Text(members[by])), func(id [16]byte) bool {
		workspace, ok := f.Owners.OwnerOf(id)
		own, foreign = own || ok && workspace == f.Workspace, foreign || ok && workspace != f.Workspace
		return true
	})
	return own && !foreign
}

// Export filters every list of an export. Parts name the object that contains them; all other
// elements are objects. ok is false if the text is not an export.
func (f Filter) Export(body []byte) (filtered []byte, ok bool, err error) {
	var root map[string]json.RawMessage
	if json.Unmarshal(body, &root) != nil {
		return nil, false, nil
	}
	for name, value := range root {
		var elements []map[string]json.RawMessage
		if bytes.HasPrefix(bytes.TrimSpace(value), []byte("{")) {
			delete(root, name)
			continue
		}
		if !bytes.HasPrefix(bytes.TrimSpace(value), []byte("[")) {
			continue
		}
		kept := []map[string]json.RawMessage{}
		if json.Unmarshal(value, &elements) == nil {
			for _, el := range elements {
				if f.exports(el) {
					kept = append(kept, el)
				}
			}
		}
		data, err := json.Marshal(kept)
		if err != nil {
			return nil, true, err
		}
		root[name] = data
	}
	filtered, err = json.Marshal(root)
	return filtered, true, err
}

func (f Filter) exports(el map[string]json.RawMessage) bool {
	for _, key := range [...]string{"chatflowid", "agentflowId", "storeId", "id"} {
		if id := Text(el[key]); id != "" {
			return f.owns(id)
		}
	}
	return false
}
