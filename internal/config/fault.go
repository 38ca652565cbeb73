package config

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with the configuration. None of its texts holds a secret.
type Fault struct {
	Name     string `json:"name"`               // variable, file or flag that is at fault
	Source   string `json:"source"`             // where the value came from
	Value    string `json:"value,omitempty"`    // as given, masked when secret; "" without a value to show
	Problem  string `json:"problem"`            // completes "NAME …"
	Expected string `json:"expected,omitempty"` // what would be accepted
	Example  string `json:"example,omitempty"`  // a line that would be accepted
}

// String is the fault as an indented block of lines.
func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s %s\n", f.Name, f.Problem)
	for _, row := range [][2]string{{"from", f.Source}, {"value", f.Value}, {"expected", f.Expected},
		{"example", f.Example}} {
		if row[1] != "" {
			fmt.Fprintf(&b, "      %-10s%s\n", row[0], row[1])
		}
	}
	return b.String()
}

// Error is an unusable configuration: all its faults at once.
type Error struct {
	Faults []Fault
}

// Error is a heading and one block for each fault.
func (e *Error) Error() string {
	var b strings.Builder
	if len(e.Faults) == 1 {
		b.WriteString("the configuration has an error\n")
	} else {
		fmt.Fprintf(&b, "the configuration has %d errors\n", len(e.Faults))
	}
	for _, f := range e.Faults {
		b.WriteString("\n" + f.String())
	}
	return strings.TrimSuffix(b.String(), "\n")
}
