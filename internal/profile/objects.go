package profile

import (
	"fmt"
	"slices"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/flow"
)

// What lies inside an object and belongs where that belongs.
const (
	// Execution is one run of a flow.
	Execution flow.Kind = "execution"
	// Feedback is somebody's opinion on an answer of a flow.
	Feedback flow.Kind = "feedback"
	// Upsert is an entry of a flow's upsert history.
	Upsert flow.Kind = "upsert"
	// Chunk is a piece of a document store.
	Chunk flow.Kind = "chunk"
	// DatasetRow is a row of a dataset.
	DatasetRow flow.Kind = "row"
	// Job is a run of a flow that is under way, Message one of its chat messages, ChatSession a
	// chat.
	Job         flow.Kind = "job"
	Message     flow.Kind = "message"
	ChatSession flow.Kind = "session"
	// Part is what else the builder lists for a flow and finds by its own id: a trace, a trigger.
	// One that was not listed yet is left to the builder, in the account of the workspace.
	Part flow.Kind = "part"
	// File is a stored file; what names it is a path that has the id of the object which it lies
	// in.
	File flow.Kind = "file"
)

// inside reports whether something of a kind is found through what it lies in.
func inside(k flow.Kind) bool {
	return slices.Contains(
		[]flow.Kind{Execution, Feedback, Upsert, Chunk, DatasetRow, File, Part, Job, Message, ChatSession},
		k,
	)
}

// Inside reports whether the id is of something that lies in an object.
func (r IDRef) Inside() bool { return inside(r.Kind) }

// owned reports whether objects of a kind have an owner of their own.
func owned(k flow.Kind) bool {
	return slices.Contains([]flow.Kind{
		flow.Chatflow, flow.Agentflow, flow.Assistantflow, flow.Credential, flow.Tool, flow.Variable,
		flow.DocumentStore, flow.Assistant, flow.APIKey,
		flow.Template, flow.MCPServer, flow.Dataset, flow.Evaluator, flow.Evaluation, flow.Project, flow.StoredFile,
	}, k)
}

// How Listing.By names the objects of a list that is not made of objects.
const (
	// ByOptions is a list for a choice: the id is at the beginning of name or id, if it is one at
	// all.
	ByOptions = "options"
	// ByPath is a list of files: the path of each has the id of the object that it lies in.
	ByPath = "path"
	// ByExport is an object with many lists, each of objects or of what lies in them.
	ByExport = "export"
)

// Listing says where the answer of an endpoint has objects, so that those of other workspaces can
// be taken out. The list is the whole answer or the member At of it, beside which stands their
// number, "total".
type Listing struct {
	// At is the member that holds the list where the answer is an object; empty: "data".
	At string `yaml:"at"`
	// By is the member of each element that holds the id of the object which it is, or lies in; or
	// ByOptions, ByPath or ByExport.
	By string `yaml:"by"`
	// Pages tells that the builder understands page and limit. Sluice pages itself then, after
	// filtering.
	Pages bool `yaml:"pages"`
	// Most is how many elements the builder puts on a page at most, if it gives no whole list; 0:
	// it does.
	Most int `yaml:"most"`
	// Accounts tells that each account of the builder has a list of its own; they are put together.
	// What is in the list of an account and not known yet belongs to the account's workspace.
	Accounts bool `yaml:"accounts"`
	// Kind is what the elements are, for those that are not known yet; empty: flows.
	Kind flow.Kind `yaml:"kind"`
}

// Lesson says where the answer of an endpoint tells ids of what lies inside the object that the
// request names.
type Lesson struct {
	// At is the member that holds the list; empty: the answer is the list; ".": the answer is the
	// one element.
	At string `yaml:"at"`
	// By is the member of each element that holds its id; ".": the element is the id.
	By string `yaml:"by"`
	// Kind is what is learned, if it needs more than to be remembered: Job or ChatSession.
	Kind flow.Kind `yaml:"kind"`
	// Parent is the placeholder, parameter or key of a body that names the object.
	Parent string `yaml:"parent"`
}

// checkObjects finds contradictions in what a row says about objects.
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

// Asks lists the permissions of which a person needs one to use the endpoint for a flow of this
// kind; an unknown kind leaves all. None: Action itself is asked for.
func (e *Endpoint) Asks(kind flow.Kind) []authz.Action {
	switch kind {
	case flow.Agentflow:
		return e.askAgent
	case flow.Chatflow, flow.Assistantflow:
		return e.askFlow
	}
	return e.Permissions
}

// without lists the permissions that do not begin so.
func without(prefix string, permissions []authz.Action) []authz.Action {
	var left []authz.Action
	for _, p := range permissions {
		if !strings.HasPrefix(string(p), prefix) {
			left = append(left, p)
		}
	}
	return left
}

// prepare works out what is asked on every request.
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
