package importer

import "fmt"

// Kind is the type of an Item.
type Kind string

// The kinds of items. Their texts are stored with imported items.
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

// Kinds lists all kinds in the order of reports.
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

// words are the singular and plural names of the kinds.
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

// Words returns a number of items of a kind in words.
func (k Kind) Words(n int) string {
	if n == 1 {
		return "1 " + words[k][0]
	}
	return fmt.Sprintf("%d %s", n, words[k][1])
}

// Plural returns the plural name of a kind.
func (k Kind) Plural() string { return words[k][1] }

// Outcome is the import's decision about an Item.
type Outcome string

const (
	// Added is imported now.
	Added Outcome = "new"
	// Moved had no owner here and gets one now.
	Moved Outcome = "moved"
	// There was imported before, or already has the right owner.
	There Outcome = "there"
	// Skipped cannot be imported; Why explains it.
	Skipped Outcome = "skipped"
	// Stays has no place in Sluice and remains in the builder; Why explains it.
	Stays Outcome = "stays"
)

// Item is one item of an installation and its outcome. It never holds a secret.
type Item struct {
	Kind Kind `json:"kind"`
	// Name is its name in the builder, and User the name of the user there who owns it, both safe
	// to display.
	Name string `json:"name"`
	User string `json:"user,omitempty"`
	// Origin is its id in the builder, Target its id here.
	Origin string `json:"origin"`
	Target string `json:"target,omitempty"`
	// Workspace is the name of the workspace here that it belongs to.
	Workspace string  `json:"workspace,omitempty"`
	Outcome   Outcome `json:"outcome"`
	// Why is a sentence for people; can be empty for Added and There.
	Why string `json:"why,omitempty"`
}

// Report lists the changes of an import, before or after it runs.
type Report struct {
	// Database and Revision are those of the Installation.
	Database string `json:"database"`
	Revision string `json:"revision"`
	// App is the name of the connected builder; "" without one.
	App string `json:"app,omitempty"`
	// Applied reports that the changes were applied.
	Applied bool   `json:"applied"`
	Items   []Item `json:"items"`
	// Notes are sentences about the import as a whole.
	Notes []string `json:"notes"`
}

// Count is the number of items of a kind with an outcome.
func (r *Report) Count(k Kind, o Outcome) (n int) {
	for _, i := range r.Items {
		if i.Kind == k && i.Outcome == o {
			n++
		}
	}
	return n
}

// Changes is how many items are imported or moved.
func (r *Report) Changes() (n int) {
	for _, k := range Kinds() {
		n += r.Count(k, Added) + r.Count(k, Moved)
	}
	return n
}
