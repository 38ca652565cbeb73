package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"sluice/internal/config"
)

const (
	defaultWidth = 120 // when the output is not a terminal
	minWidth     = 60
	maxWidth     = 160
	maxValue     = 34 // longer values are cut in a list; explain shows them in full
	minEffect    = 40 // narrower than this, an effect gets separate lines
	gap          = "  "
)

func valueOf(item config.Item) string {
	if item.Value == "" {
		return "not set"
	}
	return item.Value
}

func sourceOf(item config.Item) string {
	if !item.Set && item.Value == "" {
		return ""
	}
	return item.Source
}

// effectOf is the effect as a list shows it: effects that many variables share are shortened.
func effectOf(item config.Item) string {
	switch {
	case item.Fault != "":
		return "Wrong: it " + item.Fault + "."
	case item.Theirs:
		return fmt.Sprintf("Only %s reads it.", item.From)
	case !item.Wired:
		return "Checked, but not used by this version yet."
	}
	return item.Effect
}

// printItems prints a table for each group.
func printItems(w io.Writer, items []config.Item, width int) error {
	var b strings.Builder
	for _, group := range config.Groups() {
		var rows [][4]string
		for _, item := range items {
			if item.Group == group {
				rows = append(rows, [4]string{item.Name, cut(valueOf(item), maxValue), sourceOf(item), effectOf(item)})
			}
		}
		if len(rows) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(string(group) + "\n")
		writeTable(&b, rows, width)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeTable(b *strings.Builder, rows [][4]string, width int) {
	var widths [3]int
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	left := 2 + widths[0] + widths[1] + widths[2] + 3*len(gap)
	for _, row := range rows {
		head := "  " + pad(row[0], widths[0]) + gap + pad(row[1], widths[1]) + gap + pad(row[2], widths[2])
		if width-left >= minEffect {
			b.WriteString(wrap(head+gap+row[3], left, left, width))
			continue
		}
		b.WriteString(strings.TrimRight(head, " ") + "\n")
		b.WriteString(wrap("      "+row[3], 6, 6, width))
	}
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", width-utf8.RuneCountInString(s))
}

// cut shortens s to at most n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

func printWrapped(w io.Writer, line string, indent, width int) error {
	_, err := io.WriteString(w, wrap(line, indent, indent, width))
	return err
}

// wrap breaks line at blanks so that it fits into width characters, unless a single word is wider.
// The first head characters stay together; continuation lines begin with indent blanks.
func wrap(line string, head, indent, width int) string {
	runes := []rune(line)
	head = min(head, len(runes))
	var b strings.Builder
	b.WriteString(string(runes[:head]))
	column, fresh := head, true
	for _, word := range strings.Fields(string(runes[head:])) {
		size := utf8.RuneCountInString(word)
		switch {
		case fresh:
		case column+1+size > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column, fresh = column+size, false
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}
