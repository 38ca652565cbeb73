package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"sluice/internal/importer"
)

// shownItems is how many items of a kind and outcome are listed; the file of --report has all of
// them.
const shownItems = 8

// printReport prints the outcomes: a table of counts, then the imported items, and the others with
// the reason.
func printReport(out io.Writer, r *importer.Report, width int) error {
	fmt.Fprintf(out, "Langflow's database: %s (schema %s)\n", r.Database, r.Revision)
	if r.App != "" {
		fmt.Fprintf(out, "Connected Langflow:  %s\n", r.App)
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tto import\talready here\tleft out\tstay in Langflow\t")
	for _, k := range importer.Kinds() {
		bring, there, skipped, stay := r.Count(
			k,
			importer.Added,
		)+r.Count(
			k,
			importer.Moved,
		), r.Count(
			k,
			importer.There,
		), r.Count(
			k,
			importer.Skipped,
		), r.Count(
			k,
			importer.Stays,
		)
		if bring+there+skipped+stay > 0 {
			fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t\n", k.Plural(), bring, there, skipped, stay)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, part := range []struct {
		title    string
		outcomes []importer.Outcome
		kinds    []importer.Kind
	}{
		{"To import", []importer.Outcome{importer.Added},
			[]importer.Kind{importer.KindPerson, importer.KindWorkspace, importer.KindKey, importer.KindCredential,
				importer.KindFlow}},
		{"Flows that change owners", []importer.Outcome{importer.Moved}, []importer.Kind{importer.KindFlow}},
		{"Left out", []importer.Outcome{importer.Skipped, importer.Stays},
			[]importer.Kind{importer.KindPerson, importer.KindKey, importer.KindCredential, importer.KindProject,
				importer.KindFlow}},
	} {
		if err := printItemsOf(out, r, part.title, part.outcomes, part.kinds, width); err != nil {
			return err
		}
	}
	for i, note := range r.Notes {
		if i == 0 {
			fmt.Fprintln(out)
		}
		if err := printWrapped(out, "note: "+note, 6, width); err != nil {
			return err
		}
	}
	return nil
}

// printItemsOf lists items, grouped by reason.
func printItemsOf(
	out io.Writer,
	r *importer.Report,
	title string,
	outcomes []importer.Outcome,
	kinds []importer.Kind,
	width int,
) error {
	for _, k := range kinds {
		var reasons []string
		names := map[string][]string{}
		for _, i := range r.Items {
			// Without a connected Langflow, a single note replaces one line for each project and
			// flow.
			if i.Kind != k || !slices.Contains(outcomes, i.Outcome) ||
				r.App == "" && (k == importer.KindProject || k == importer.KindFlow) {
				continue
			}
			if _, ok := names[i.Why]; !ok {
				reasons = append(reasons, i.Why)
			}
			names[i.Why] = append(names[i.Why], itemName(i))
		}
		for _, why := range reasons {
			if title != "" {
				fmt.Fprintf(out, "\n%s\n", title)
				title = ""
			}
			list := names[why]
			if more := len(list) - shownItems; more > 0 {
				list = append(slices.Clone(list[:shownItems]), fmt.Sprintf("and %d more", more))
			}
			line := "  " + k.Words(len(names[why])) + ": " + strings.Join(list, ", ")
			if why != "" {
				line += ". " + why
			}
			if _, err := io.WriteString(out, wrap(line, 2, 4, width)); err != nil {
				return err
			}
		}
	}
	return nil
}

func itemName(i importer.Item) string {
	name := i.Name
	if name == "" {
		name = i.Origin
	}
	if i.User != "" && i.User != i.Name {
		name += " (" + i.User + ")"
	}
	return name
}

// brought summarizes the imported items in a few words.
func brought(r *importer.Report) string {
	var parts []string
	for _, k := range importer.Kinds() {
		if n := r.Count(k, importer.Added) + r.Count(k, importer.Moved); n > 0 {
			parts = append(parts, k.Words(n))
		}
	}
	return strings.Join(parts, ", ") + " brought"
}
