package config

import (
	"fmt"
	"strings"
)

const markdownHead = `# Configuration

<!-- Generated from internal/config by ` + "`make golden`" + `; change it there. -->

Sluice is configured by variables. A variable can be given in four places. The first one that sets it applies:

1. on the command line: ` + "`--set NAME=VALUE`" + `, or the flag that a command has for it, as ` + "`--port`" + `;
2. in the environment of the process;
3. in an env file named with ` + "`--env-file PATH`" + `; a ` + "`.env`" + ` of Flowise or Langflow can be given as it is;
4. otherwise the default in the tables below applies.

` + "`sluice config list`" + ` shows every variable with its value, where it came from and what it does; ` + "`sluice config explain NAME`" + ` shows
one, and ` + "`sluice config check --env-file .env`" + ` checks a file without starting anything.

- **From a file.** ` + "`NAME_FILE=/run/secrets/name`" + ` reads the value of any variable from a file; one trailing line break is dropped.
  ` + "`NAME`" + ` and ` + "`NAME_FILE`" + ` in the same place are an error.
- **Not set.** An empty value is treated as not set. So does a placeholder such as ` + "`<your-secret>`" + ` and, for secrets, a sample value
  published with a builder; both give a warning.
- **Booleans** are ` + "`true` or `false`, `yes` or `no`, `on` or `off`, `1` or `0`" + `, in any case.
- **Durations** are whole numbers of the unit that the table gives.
- **Mistakes stop the start**, all of them reported at once with variable, value (secrets masked), place and expectation. A
  misspelled ` + "`SLUICE_`" + ` name is a mistake too. Names are case-sensitive.
- **Secrets** are never printed: listings, messages and JSON say ` + "`set (44 characters)`" + `.

## Env files

One ` + "`NAME=VALUE`" + ` on a line, UTF-8, at most 1 MiB. Blank lines, lines beginning with ` + "`#`" + `, a leading ` + "`export`" + ` and blanks around
the ` + "`=`" + ` are fine. A value without quotes ends at a blank followed by ` + "`#`" + `. In single quotes or backticks every character
stands for itself; in double quotes ` + "`\\n`, `\\r`, `\\t`, `\\\"`, `\\\\` and `\\$`" + ` are understood. Quoted values may span lines. ` + "`${NAME}`" + ` is
not expanded. If a name occurs twice, the last one applies, with a warning.

## Exit codes

0: done. 1: it failed while running. 2: wrong usage or a wrong configuration; nothing was started.
`

// Markdown renders docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(markdownHead)
	for _, group := range Groups() {
		writeGroup(&b, group)
	}
	return b.String()
}

func writeGroup(b *strings.Builder, group Group) {
	fmt.Fprintf(b, "\n## %s\n\n", group)
	if group == GroupTheirs {
		b.WriteString(
			"Sluice knows these names but ignores the values. The builder reads them from its own environment.\n\n" +
				"| Variable | Builder | Meaning there |\n|---|---|---|\n",
		)
	} else {
		b.WriteString("| Variable | Default | Value | What it does |\n|---|---|---|---|\n")
	}
	for i := range registry {
		v := &registry[i]
		switch {
		case v.Group != group:
		case v.Theirs:
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", v.Name, v.From, cell(v.Text))
		default:
			fmt.Fprintf(
				b,
				"| `%s` | %s | %s | %s |\n",
				v.Name,
				cell(defaultCell(v)),
				cell(v.Expects()),
				cell(meaningCell(v)),
			)
		}
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func defaultCell(v *Variable) string {
	switch {
	case v.Default == "" && v.DefaultNote != "":
		return v.DefaultNote
	case v.Default == "":
		return "none"
	}
	return "`" + v.Default + "`"
}

func meaningCell(v *Variable) string {
	text := v.Text
	if len(v.Aliases) > 0 {
		text += " Also known as `" + strings.Join(v.Aliases, "`, `") + "`."
	}
	if v.Secret {
		text += " Secret."
	}
	if v.MaxWhy != "" {
		text += " The limit has a reason: " + v.MaxWhy + "."
	}
	if v.Differs != "" {
		text += " *" + v.Differs + "*"
	}
	if !v.Wired {
		text += " **Checked, but not used by this version yet.**"
	}
	return text
}
