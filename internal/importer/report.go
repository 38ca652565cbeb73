package importer

import "fmt"

// Kind is what an Item is.
type Kind string

// The kinds of things. Their texts are stored with what was brought.
const (
	KindPerson     Kind = "person"
	KindWorkspace  Kind = "workspace"
	KindKey        Kind = "key"
	KindCredential Kind = "credential"
	KindFlow       Kind = "flow"
	KindProject    Kind = "project"
	KindVariable   Kind = "variable"
	KindFile       Kind = "file"
	KindAccount    Kind = "account"
)

// Kinds are all kinds in the order of reports.
func Kinds() []Kind {
	return []Kind{
		KindPerson,
		KindWorkspace,
		KindKey,
		KindCredential,
		KindAccount,
		KindProject,
		KindFlow,
		KindVariable,
		KindFile,
	}
}

// words are the kinds as people call one and several of them.
var words = map[Kind][2]string{
	KindPerson:     {"person", "people"},
	KindWorkspace:  {"workspace", "workspaces"},
	KindKey:        {"API key", "API keys"},
	KindCredential: {"credential", "credentials"},
	KindAccount:    {"account", "accounts"},
	KindFlow:       {"flow", "flows"},
	KindProject:    {"project", "projects"},
	KindVariable:   {"variable", "variables"},
	KindFile:       {"file", "files"},
}

// Words are a number of things of a kind.
func (k Kind) Words(n int) string {
	if n == 1 {
		return "1 " + words[k][0]
	}
	return fmt.Sprintf("%d %s", n, words[k][1])
}

// Plural is what people call several things of a kind.
func (k Kind) Plural() string { return words[k][1] }

// Outcome is what becomes of an Item.
type Outcome string

const (
	// Added is brought now.
	Added Outcome = "new"
	// Moved was nobody's here and gets its owner now.
	Moved Outcome = "moved"
	// There was brought before, or belongs where it should already.
	There Outcome = "there"
	// Skipped cannot be brought; Why says why.
	Skipped Outcome = "skipped"
	// Stays has no place in Sluice and goes on in the builder; Why says why.
	Stays Outcome = "stays"
)

// Item is one thing of an installation and what becomes of it. It never holds a secret.
type Item struct {
	Kind Kind `json:"kind"`
	// Name is what the builder calls it, User the name of the user there whom it belongs to; both
	// as they can be shown.
	Name string `json:"name"`
	User string `json:"user,omitempty"`
	// Origin is its id in the builder, Target its id here.
	Origin string `json:"origin"`
	Target string `json:"target,omitempty"`
	// Workspace is the name of the workspace here that it belongs to.
	Workspace string  `json:"workspace,omitempty"`
	Outcome   Outcome `json:"outcome"`
	// Why is a sentence for people; may be empty for what is new or there.
	Why string `json:"why,omitempty"`
}

// Report is what an import does, or has done.
type Report struct {
	// Database and Revision are those of the Installation.
	Database string `json:"database"`
	Revision string `json:"revision"`
	// App is the name of the connected builder; "" if there is none.
	App string `json:"app,omitempty"`
	// Applied tells that the changes were made.
	Applied bool   `json:"applied"`
	Items   []Item `json:"items"`
	// Notes are sentences about the whole.
	Notes []string `json:"notes"`
}

// Count is the number of things of a kind with an outcome.
func (r *Report) Count(k Kind, o Outcome) (n int) {
	for _, i := range r.Items {
		if i.Kind == k && i.Outcome == o {
			n++
		}
	}
	return n
}

// Changes is how many things are brought or moved.
func (r *Report) Changes() (n int) {
	for _, k := range Kinds() {
		n += r.Count(k, Added) + r.Count(k, Moved)
	}
	return n
}
