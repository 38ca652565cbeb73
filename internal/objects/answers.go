package objects

import (
	"bytes"
	"encoding/json"
	"strings"

	"sluice/internal/profile"
)

// Created is a builder's description of an object that it has created or changed.
type Created struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	KeyName     string `json:"keyName"`
	Type        string `json:"type"`
	Details     string `json:"details"`
	UpdatedDate string `json:"updatedDate"`
}

// Title is the object's name for people. Some objects keep their name in a JSON text.
func (c *Created) Title() string {
	if c.Name+c.KeyName == "" && c.Details != "" {
		var inner struct {
			Name string `json:"name"`
		}
		if json.Unmarshal([]byte(c.Details), &inner) == nil {
			return inner.Name
		}
	}
	return c.Name + c.KeyName
}

// Newest finds the object that was just created in a list of all objects: the latest one that is
// still unassigned and, unless title is empty, has that title.
func Newest(list []Created, title string, taken func(id string) bool) Created {
	var found Created
	for _, c := range list {
		if !taken(c.ID) && (title == "" || c.Title() == title) &&
			(found.ID == "" || c.UpdatedDate > found.UpdatedDate) {
			found = c
		}
	}
	return found
}

// LessonIDs returns the ids of an object's parts that an answer lists.
func LessonIDs(body []byte, lesson *profile.Lesson) []string {
	list := json.RawMessage(body)
	switch lesson.At {
	case "":
	case ".":
		list = bytes.Join([][]byte{[]byte("["), body, []byte("]")}, nil)
	default:
		var root map[string]json.RawMessage
		if json.Unmarshal(body, &root) != nil {
			return nil
		}
		list = root[lesson.At]
	}
	var elements []json.RawMessage
	if json.Unmarshal(list, &elements) != nil {
		return nil
	}
	ids := make([]string, 0, len(elements))
	for _, el := range elements {
		var members map[string]json.RawMessage
		if lesson.By != "." && json.Unmarshal(el, &members) == nil {
			el = members[lesson.By]
		}
		if id := Text(el); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// SetTrue sets members of an object, separated by blanks, to true: those that make a builder's page
// read-only. A body that is not an object is unchanged.
func SetTrue(body []byte, members string) []byte {
	var root map[string]json.RawMessage
	if err := json.Unmarshal(body, &root); err != nil || root == nil {
		return body
	}
	for _, member := range strings.Fields(members) {
		root[member] = json.RawMessage("true")
	}
	return joinObject(root)
}

// Text decodes a JSON string; "" for any other value.
func Text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
