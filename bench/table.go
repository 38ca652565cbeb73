package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// line is one figure, with its mark, if any.
type line struct {
	name, value, mark string
	missed            bool
}

// table collects the figures of a run.
type table struct{ lines []line }

// note adds a figure without a mark.
func (t *table) note(name, format string, values ...any) {
	t.lines = append(t.lines, line{name: name, value: fmt.Sprintf(format, values...)})
}

// atLeast adds a figure that must not be below a mark.
func (t *table) atLeast(name string, v, mark float64, format string) {
	t.lines = append(t.lines, line{name, fmt.Sprintf(format, v), "at least " + fmt.Sprintf(format, mark), v < mark})
}

// atMost adds a figure that must not be above a mark.
func (t *table) atMost(name string, v, mark float64, format string) {
	t.lines = append(t.lines, line{name, fmt.Sprintf(format, v), "at most " + fmt.Sprintf(format, mark), v > mark})
}

// print writes the table and returns the number of missed marks.
func (t *table) print(out io.Writer) (missed int) {
	_, _ = fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, l := range t.lines {
		verdict := ""
		if l.mark != "" {
			verdict = "ok"
		}
		if l.missed {
			verdict = "MISSED"
			missed++
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.name, l.value, l.mark, verdict)
	}
	_ = w.Flush()
	return missed
}
