package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sluice/internal/config"
)

type configCommand struct {
	List    configList    `cmd:"" help:"List the variables with value, source and effect."`
	Explain configExplain `cmd:"" help:"Explain one variable."`
	Check   configCheck   `cmd:"" help:"Check the configuration without starting anything."`
	Docs    configDocs    `cmd:"" hidden:"" help:"Print docs/configuration.md."`
}

type configList struct {
	JSON bool `name:"json" help:"Print a JSON array."`
	All  bool `name:"all" help:"Also list what only the builders read."`
}

// Run prints all variables. Its error lists everything that is wrong with them.
func (c *configList) Run(rt *Runtime) error {
	loaded, err := rt.inspect()
	if err != nil {
		return err
	}
	var items []config.Item
	for _, item := range loaded.List() {
		if c.All || !item.Theirs || item.Set {
			items = append(items, item)
		}
	}
	if c.JSON {
		err = printJSON(rt.Stdout, items)
	} else {
		err = printItems(rt.Stdout, items, rt.width())
	}
	return firstError(err, faultsOf(loaded))
}

type configExplain struct {
	Name string `arg:"" help:"Name of the variable, in any case."`
	JSON bool   `name:"json" help:"Print a JSON object."`
}

// Run prints one variable. Its error is that variable's fault; it ignores the faults of others.
func (c *configExplain) Run(rt *Runtime) error {
	loaded, err := rt.inspect()
	if err != nil {
		return err
	}
	item, err := loaded.Explain(c.Name)
	if err != nil {
		return &UsageError{Problem: err.Error()}
	}
	if c.JSON {
		err = printJSON(rt.Stdout, item)
	} else {
		err = printItem(rt.Stdout, item, rt.width())
	}
	if err == nil && item.Fault != "" {
		return &UsageError{Problem: fmt.Sprintf("%s %s", item.Name, item.Fault)}
	}
	return err
}

type configCheck struct{}

// Run prints the warnings and a closing line. Its error lists everything that is wrong.
func (configCheck) Run(rt *Runtime) error {
	loaded, err := rt.inspect()
	if err != nil {
		return err
	}
	for _, warning := range append(loaded.Warnings, weakSecrets(loaded.Values)...) {
		if err := printWrapped(rt.Stdout, "warning: "+warning, 9, rt.width()); err != nil {
			return err
		}
	}
	if err := faultsOf(loaded); err != nil {
		return err
	}
	set := 0
	for _, item := range loaded.List() {
		if item.Set && !item.Theirs {
			set++
		}
	}
	_, err = fmt.Fprintf(
		rt.Stdout,
		"The configuration is valid: %s, the others keep their defaults.\n",
		plural(set, "variable is set", "variables are set"),
	)
	return err
}

type configDocs struct{}

// Run prints the generated reference.
func (configDocs) Run(rt *Runtime) error {
	_, err := io.WriteString(rt.Stdout, config.Markdown())
	return err
}

func faultsOf(loaded *config.Loaded) error {
	if faults := loaded.Faults(); len(faults) > 0 {
		return &config.Error{Faults: faults}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func printItem(w io.Writer, item config.Item, width int) error {
	if _, err := fmt.Fprintf(w, "%s\n", item.Name); err != nil {
		return err
	}
	if err := printWrapped(w, "  "+item.Text, 2, width); err != nil {
		return err
	}
	rows := [][2]string{
		{"", ""},
		{"value", valueOf(item)},
		{"source", sourceOf(item)},
		{"effect", item.Effect},
		{"wrong", item.Fault},
		{"", ""},
		{
			"default",
			defaultOf(item),
		},
		{"expected", item.Expect},
		{"example", item.Example},
		{"aliases", strings.Join(item.Aliases, ", ")},
		{"differs", item.Differs},
		{"group", string(item.Group)},
		{"from", string(item.From)},
	}
	if item.Theirs {
		rows = append(rows[:4], [][2]string{{"group", string(item.Group)}, {"from", string(item.From)}}...)
	}
	for _, row := range rows {
		if err := printRow(w, row, width); err != nil {
			return err
		}
	}
	return nil
}

func printRow(w io.Writer, row [2]string, width int) error {
	const indent = 12
	switch {
	case row[0] == "":
		_, err := fmt.Fprintln(w)
		return err
	case row[1] == "":
		return nil
	}
	return printWrapped(w, fmt.Sprintf("  %-*s%s", indent-2, row[0], row[1]), indent, width)
}

func defaultOf(item config.Item) string {
	if item.Default != "" {
		return item.Default
	}
	if item.DefaultNote != "" {
		return item.DefaultNote
	}
	return "none"
}
