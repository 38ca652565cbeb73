package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// importLine is the import rule: a package imports nothing that stands to its right, and the three fronts (joined by "|") never import one another.
const importLine = "problem config db audit mail web authz identity secret authn login flow profile app importer guard egress proxy|api|console server cli"

// configReaders are the only packages that may import config; the others get plain values.
var configReaders = []string{"server", "cli"}

// testOnly are packages that nothing but tests may import.
var testOnly = []string{"dbtest", "sluicetest"}

const (
	maxFileLines = 500
	maxFuncLines = 60
)

// source is one parsed Go file.
type source struct {
	path, pkg string // pkg is the folder below internal/, "" for the root
	test      bool
	generated bool
	lines     int
	file      *ast.File
	set       *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{path: path, test: strings.HasSuffix(path, "_test.go"), generated: ast.IsGenerated(file), file: file, set: set, lines: strings.Count(string(text), "\n")}
		if rest, ok := strings.CutPrefix(filepath.ToSlash(filepath.Dir(path)), "internal/"); ok {
			s.pkg = rest
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d files found; the test looks in the wrong place", len(out))
	}
	return out
}

// rank is a package's place in the import line; fronts share one.
func rank(pkg string) (place int, known bool) {
	for i, word := range strings.Fields(importLine) {
		if slices.Contains(strings.Split(word, "|"), pkg) {
			return i, true
		}
	}
	return 0, false
}

func TestImportRule(t *testing.T) {
	for _, s := range sources(t) {
		owner, _, nested := strings.Cut(s.pkg, "/")
		if s.test || owner == "" || slices.Contains(testOnly, owner) {
			continue
		}
		if nested && s.pkg != "db/q" {
			t.Errorf("%s: packages have one level; only db/q is nested", s.path)
		}
		place, known := rank(owner)
		if !known {
			t.Errorf("%s: package %s has no place in the import line; add the word to importLine, DESIGN and ARCHITECTURE.md", s.path, owner)
			continue
		}
		for _, spec := range s.file.Imports {
			imported, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), "sluice/internal/")
			imported, _, _ = strings.Cut(imported, "/")
			if !ok || imported == owner {
				continue
			}
			switch other, _ := rank(imported); {
			case slices.Contains(testOnly, imported):
				t.Errorf("%s imports %s, which is for tests", s.path, imported)
			case other >= place:
				t.Errorf("%s imports %s, which stands to the right of %s or beside it", s.path, imported, owner)
			case imported == "config" && !slices.Contains(configReaders, owner):
				t.Errorf("%s imports config; pass values in the package's Config instead", s.path)
			}
		}
	}
}

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated {
			continue
		}
		if !s.test && s.lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d: split it by what its parts know", s.path, s.lines, maxFileLines)
		}
		for _, decl := range s.file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || s.test {
				continue
			}
			if n := s.set.Position(fn.End()).Line - s.set.Position(fn.Pos()).Line + 1; n > maxFuncLines {
				t.Errorf("%s: %s has %d lines, more than %d", s.path, fn.Name.Name, n, maxFuncLines)
			}
		}
	}
}

func TestEveryPackageStatesItsModel(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || s.generated || s.pkg == "db/q" {
			continue
		}
		dir := filepath.Dir(s.path)
		documented[dir] = documented[dir] || s.file.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no package comment; write doc.go", dir)
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.generated || s.pkg == "" {
			continue
		}
		for _, decl := range s.file.Decls {
			if name := undocumented(decl); name != "" {
				t.Errorf("%s: %s is exported and has no comment", s.path, name)
			}
		}
	}
}

// undocumented returns the first exported name that a declaration leaves without a comment. A comment on a group of constants or variables counts for all.
func undocumented(decl ast.Decl) string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || receiverExported(d)) {
			return d.Name.Name
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch sp := spec.(type) {
			case *ast.TypeSpec:
				if sp.Name.IsExported() && d.Doc == nil && sp.Doc == nil {
					return sp.Name.Name
				}
			case *ast.ValueSpec:
				if sp.Names[0].IsExported() && d.Doc == nil && sp.Doc == nil && sp.Comment == nil {
					return sp.Names[0].Name
				}
			}
		}
	}
	return ""
}

func receiverExported(d *ast.FuncDecl) bool {
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}
