// Command lines checks the width of the sources, and prints which files and functions are long.
//
//	go run -C tools ./lines   fails for a line over 120 columns and a comment over 100
//
// Generated files are exempt. So are lines that cannot be broken: struct tags, directives, and raw
// strings that reach over the limit.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxLine     = 120
	maxComment  = 100
	tabWidth    = 4
	longFile    = 800 // lines
	longFunc    = 80  // lines
	maxReported = 5   // lines of one file
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	list := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "*.go", "*.templ")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("listing the sources: %w", err)
	}
	var faults, long []string
	for _, path := range strings.Fields(string(out)) {
		text, err := os.ReadFile(filepath.Join("..", path))
		if os.IsNotExist(err) {
			continue // removed and not committed yet
		}
		if err != nil {
			return err
		}
		s, err := read(path, string(text))
		if err != nil {
			return err
		}
		if s.generated {
			continue
		}
		long = append(long, s.long...)
		faults = append(faults, s.report()...)
	}
	for _, line := range long {
		fmt.Println(line)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s", strings.Join(faults, "\n"))
	}
	return nil
}

// source holds the findings about one file.
type source struct {
	path      string
	generated bool
	wide      []string // faults, one for each line that is too wide
	long      []string // remarks
}

func (s source) report() []string {
	if len(s.wide) <= maxReported {
		return s.wide
	}
	more := fmt.Sprintf("%s: and %d more", s.path, len(s.wide)-maxReported)
	return append(slices.Clone(s.wide[:maxReported]), more)
}

func read(path, text string) (source, error) {
	s := source{path: path}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > longFile {
		s.long = append(s.long, fmt.Sprintf("%s: %d lines", path, len(lines)))
	}
	free, comment := map[int]bool{}, map[int]bool{}
	if strings.HasSuffix(path, ".go") {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.ParseComments)
		if err != nil {
			return s, err
		}
		s.generated = ast.IsGenerated(file)
		s.inspect(set, file, free)
		for _, group := range file.Comments {
			for _, c := range group.List {
				mark(comment, set, c.Pos(), c.End())
				if strings.HasPrefix(c.Text, "//go:") || strings.HasPrefix(c.Text, "//sys") {
					mark(free, set, c.Pos(), c.End())
				}
			}
		}
	}
	for i, line := range lines {
		number, width, limit := i+1, columns(line), maxLine
		begins := strings.HasPrefix(strings.TrimSpace(line), "//")
		if begins && (comment[number] || strings.HasSuffix(path, ".templ")) {
			limit = maxComment
		}
		if width > limit && !free[number] {
			s.wide = append(s.wide, fmt.Sprintf("%s:%d: %d columns, at most %d", path, number, width, limit))
		}
	}
	return s, nil
}

// inspect notes long functions, and the lines that cannot be broken.
func (s *source) inspect(set *token.FileSet, file *ast.File, free map[int]bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			length := set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1
			if length > longFunc {
				s.long = append(s.long, fmt.Sprintf("%s: %s has %d lines", s.path, n.Name.Name, length))
			}
		case *ast.Field:
			if n.Tag != nil {
				mark(free, set, n.Tag.Pos(), n.Tag.End())
			}
		case *ast.BasicLit:
			raw := n.Kind == token.STRING && n.Value[0] == '`'
			from, to := set.Position(n.Pos()), set.Position(n.End())
			if raw && (from.Line != to.Line || to.Column > maxLine-4*(tabWidth-1)) {
				mark(free, set, n.Pos(), n.End())
			}
		}
		return true
	})
}

// mark notes the lines from one position to another.
func mark(lines map[int]bool, set *token.FileSet, from, to token.Pos) {
	for line := set.Position(from).Line; line <= set.Position(to).Line; line++ {
		lines[line] = true
	}
}

func columns(line string) int {
	return utf8.RuneCountInString(line) + (tabWidth-1)*strings.Count(line, "\t")
}
