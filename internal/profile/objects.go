package profile

import (
	"fmt"
	"slices"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/flow"
)

// The kinds of things inside an object. They belong to the object's workspace.
const (
	// Execution is one run of a flow.
	Execution flow.Kind = "execution"
	// Feedback is a person's opinion on an answer of a flow.
	Feedback flow.Kind = "feedback"
	// Upsert is an entry of a flow's upsert history.
	Upsert flow.Kind = "upsert"
	// Chunk is a piece of a document store.
	Chunk flow.Kind = "chunk"
	// DatasetRow is a row of a dataset.
	DatasetRow flow.Kind = "row"
	// Job is a flow run in progress, Message one of its chat messages, ChatSession a chat.
	Job         flow.Kind = "job"
	Message     flow.Kind = "message"
	ChatSession flow.Kind = "session"
	// Part is anything else that the builder lists for a flow and finds by its own id: a trace, a
	// trigger. If it was not listed yet, the builder decides about it, in the account of the
	// workspace.
	Part flow.Kind = "part"
	// File is a stored file. Its name is a path that contains the id of the object around it.
	File flow.Kind = "file"
)

// inside reports whether things of a kind are found through the object around them.
func inside(k flow.Kind) bool {
	return slices.Contains(
		[]flow.Kind{Execution, Feedback, Upsert, Chunk, DatasetRow, File, Part, Job, Message, ChatSession},
		k,
	)
}

// Inside reports whether the id belongs to a thing inside an object.
func (r IDRef) Inside() bool { return inside(r.Kind) }

// owned reports whether objects of a kind have their own owner.
func owned(k flow.Kind) bool {
	return slices.Contains([]flow.Kind{
		flow.Chatflow, flow.Agentflow, flow.Assistantflow, flow.Credential, flow.Tool, flow.Variable,
		flow.DocumentStore, flow.Assistant, flow.APIKey,
		flow.Template, flow.MCPServer, flow.Dataset, flow.Evaluator, flow.Evaluation, flow.Project, flow.StoredFile,
	}, k)
}

// The values of Listing.By for lists that are not made of objects.
const (
	// ByOptions is a list of choices. The id is at the beginning of name or id, if the element has
	// an id at all.
	ByOptions = "options"
	// ByPath is a list of files. The path of each contains the id of the object around it.
	ByPath = "path"
	// ByExport is an object with many lists, of objects or of things inside them.
	ByExport = "export"
)

// Listing says where the answer of an endpoint has objects, so that those of other workspaces can
// be removed. The list is the whole answer, or its member At with the number of elements in the
// member "total".
type Listing struct {
	// At is the member that holds the list if the answer is an object; empty means "data".
	At string `yaml:"at"`
	// By is the member of each element that holds the id of the object that it is, or is inside; or
	// it is ByOptions, ByPath or ByExport.
	By string `yaml:"by"`
	// Pages reports that the builder understands page and limit. Sluice then splits the list into
	// pages itself, after filtering.
	Pages bool `yaml:"pages"`
	// Most is how many elements the builder puts on a page at most, if it never returns the whole
	// list; 0 if it does.
	Most int `yaml:"most"`
	// Accounts reports that each account of the builder has its own list; Sluice joins them. An
	// unknown object in an account's list belongs to the account's workspace.
	Accounts bool `yaml:"accounts"`
	// Kind is the kind of elements that are not known yet; empty means flows.
	Kind flow.Kind `yaml:"kind"`
}

// Lesson says where the answer of an endpoint has ids of things inside the object that the request
// names.
type Lesson struct {
	// At is the member that holds the list. Empty means that the answer is the list, "." that the
	// answer is the one element.
	At string `yaml:"at"`
	// By is the member of each element that holds its id; "." means that the element is the id.
	By string `yaml:"by"`
	// Kind is the kind of these things, if Sluice must do more than remember them: Job or
	// ChatSession.
	Kind flow.Kind `yaml:"kind"`
	// Parent is the placeholder, parameter or key of a body that names the object.
	Parent string `yaml:"parent"`
}

// checkObjects finds contradictions in a row's statements about objects.
func checkObjects(e *Endpoint) error {
	r := &e.Result
	switch {
	case r.Creates != "" && !owned(r.Creates):
		return fmt.Errorf("creates: there is no kind %q", r.Creates)
	case r.List != nil && r.List.By == "":
		return fmt.Errorf("list: by is needed")
	case r.List != nil && r.List.Most > 0 && !r.List.Pages:
		return fmt.Errorf("list: most needs pages")
	case r.Learn != nil && (r.Learn.By == "" || r.Learn.Parent == ""):
		return fmt.Errorf("learn: by and parent are needed")
	case r.Hides != nil && (r.Hides.Member == "" || r.Hides.Where == "" || r.Hides.Is == ""):
		return fmt.Errorf("hides: member, where and is are needed")
	case (r.Deletes || r.Renames) && len(e.Flow)+len(e.Objects) == 0:
		return fmt.Errorf("deletes and renames need the place of an id")
	case len(e.Permissions) > 0 && authz.ClassOf(e.Permissions[0]) != e.Action:
		return fmt.Errorf("permission %q is no part of %q", e.Permissions[0], e.Action)
	}
	for _, p := range e.Permissions {
		if !authz.IsPermission(string(p)) {
			return fmt.Errorf("permission %q does not exist", p)
		}
	}
	for _, b := range e.Body {
		for _, p := range b.Permissions {
			if authz.ClassOf(p) != b.Action {
				return fmt.Errorf("permission %q is no part of %q", p, b.Action)
			}
		}
	}
	return nil
}

// Asks lists the permissions for a flow of this kind; a person needs one of them to use the
// endpoint. For an unknown kind it lists all. If the list is empty, Action itself is checked.
func (e *Endpoint) Asks(kind flow.Kind) []authz.Action {
	switch kind {
	case flow.Agentflow:
		return e.askAgent
	case flow.Chatflow, flow.Assistantflow:
		return e.askFlow
	}
	return e.Permissions
}

// without lists the permissions that do not start with prefix.
func without(prefix string, permissions []authz.Action) []authz.Action {
	var left []authz.Action
	for _, p := range permissions {
		if !strings.HasPrefix(string(p), prefix) {
			left = append(left, p)
		}
	}
	return left
}

// prepare precomputes the values that every request needs.
func (e *Endpoint) prepare() {
	e.askAgent, e.askFlow = without("chatflows:", e.Permissions), without("agentflows:", e.Permissions)
	for _, list := range [...][]IDRef{e.Flow, e.Objects} {
		for _, ref := range list {
			e.NamesInBody = e.NamesInBody || ref.In == InBody && ref.Kind != ""
			e.NamesObjects = e.NamesObjects || ref.Kind != ""
		}
	}
	for _, name := range e.params {
		named := func(ref IDRef) bool { return ref.In == InPath && ref.Name == name && ref.Kind != "" }
		if !slices.ContainsFunc(e.Flow, named) && !slices.ContainsFunc(e.Objects, named) {
			e.Loose = append(e.Loose, name)
		}
	}
	e.ReadsAnswer = e.Result.Reads()
}
