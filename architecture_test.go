package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// importLine is the import rule: a package imports nothing to its right, and the three front ends
// (joined by "|") never import one another.
const importLine = "problem config dial guard db audit mail web authz identity secret authn login flow profile " +
	"builder app importer egress objects proxy|api|console server cli"

// configReaders are the only packages that may import config; the others get plain values.
var configReaders = []string{"server", "cli"}

// testOnly are packages that only tests may import. So is every package whose name ends in "test".
var testOnly = []string{"dbtest", "sluicetest"}

// nested are the packages that have packages below them: the parts of login, the variants of
// builder, and the generated queries of db.
var nested = []string{"db", "login", "builder"}

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
		if d.IsDir() && path != "." &&
			(strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
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
		s := source{
			path:      path,
			test:      strings.HasSuffix(path, "_test.go"),
			generated: ast.IsGenerated(file),
			file:      file,
			set:       set,
			lines:     strings.Count(string(text), "\n"),
		}
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
		owner, part, isPart := strings.Cut(s.pkg, "/")
		if s.test || owner == "" || isTestOnly(s.pkg) {
			continue
		}
		if isPart && !slices.Contains(nested, owner) {
			t.Errorf("%s: only %s have packages below them", s.path, strings.Join(nested, ", "))
		}
		if _, known := rank(owner); !known {
			t.Errorf(
				"%s: package %s has no place in the import line; add the word to importLine, DESIGN and "+
					"ARCHITECTURE.md",
				s.path,
				owner,
			)
			continue
		}
		for _, spec := range s.file.Imports {
			imported, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), "sluice/internal/")
			if !ok {
				continue
			}
			if why := refusedImport(owner, part, imported); why != "" {
				t.Errorf("%s imports %s: %s", s.path, imported, why)
			}
		}
	}
}

// refusedImport returns why a package (owner, or its part below it) may not import another one, or
// "".
func refusedImport(owner, part, imported string) string {
	other, otherPart, _ := strings.Cut(imported, "/")
	place, _ := rank(owner)
	otherPlace, _ := rank(other)
	switch {
	case isTestOnly(imported):
		return "it is for tests"
	case other == "config" && owner != "config" && !slices.Contains(configReaders, owner):
		return "pass values in the package's Config instead"
	case other == "builder" && otherPart != "" && owner != "server" && owner != "builder":
		return "only server knows the variants of builder"
	case other == owner && otherPart == "":
		return "" // a part imports the whole
	case other == owner && owner == "db":
		return ""
	case other == owner && part == "":
		return "the whole does not import its parts"
	case other == owner:
		if mine, _, _ := strings.Cut(part, "/"); !strings.HasPrefix(otherPart+"/", mine+"/") {
			return "the parts of a package do not import each other"
		}
		return ""
	case otherPlace >= place:
		return "it stands to the right of " + owner + " or beside it"
	}
	return ""
}

func isTestOnly(pkg string) bool {
	return slices.Contains(testOnly, pkg) || strings.Contains(pkg, "/") && strings.HasSuffix(pkg, "test")
}

// products are the names that appear only in their own package, in server, in documents and in e2e.
var products = []string{"flowise", "langflow"}

// namesProducts are the folders of internal whose code may name products, each with its reason.
// Tests may everywhere: they work with the products' fakes.
var namesProducts = map[string]string{
	"server": "it puts the products together",
	"config": "the variables of a product's .env file work here under their names",
	"cli":    "the command `sluice import langflow`, and the names of variables",
	"secret": "the names of variables, files and entries that products share with Sluice",
	"login":  "the names of variables",
	"authz":  "the permission names are a product's own, and the names of variables",
	"api":    "the kinds as an enum of the description of the API, and its examples",
}

func TestArchitecture_ProductNames(t *testing.T) {
	for _, s := range sources(t) {
		owner, part, _ := strings.Cut(s.pkg, "/")
		if s.pkg == "" || s.test || owner == "builder" && part != "" || namesProducts[owner] != "" {
			continue
		}
		text, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(strings.ToLower(string(text)), "\n") {
			for _, product := range products {
				if strings.Contains(line, product) {
					t.Errorf(
						"%s:%d names %s: what is about one product belongs into builder/%s",
						s.path,
						n+1,
						product,
						product,
					)
				}
			}
		}
	}
}

func TestArchitecture_PackageDocs(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || s.generated || strings.HasPrefix(s.pkg, "db/q") {
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

func TestArchitecture_ExportedDocs(t *testing.T) {
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

// undocumented returns the first exported name that a declaration leaves without a comment. A
// comment on a group of constants or variables counts for all.
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

func receiverExported(d *ast.FuncDecl) bool { return ast.IsExported(receiver(d)) }

// maxMethods is how many methods a receiver may have. Split a larger type by the dependencies of
// its methods.
const maxMethods = 45

func TestReceiversAreSmall(t *testing.T) {
	methods := map[string]int{}
	for _, s := range sources(t) {
		if s.test || s.generated || s.pkg == "" {
			continue
		}
		for _, decl := range s.file.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Recv != nil {
				methods[s.pkg+"."+receiver(d)]++
			}
		}
	}
	for name, n := range methods {
		if n > maxMethods {
			t.Errorf("%s has %d methods, at most %d", name, n, maxMethods)
		}
	}
}

// maxFiles is how many files a type and its methods may fill.
const maxFiles = 2

func TestArchitecture_FilesPerType(t *testing.T) {
	files := map[string]map[string]bool{}
	note := func(name, path string) {
		if files[name] == nil {
			files[name] = map[string]bool{}
		}
		files[name][filepath.Base(path)] = true
	}
	for _, s := range sources(t) {
		if s.test || s.generated || s.pkg == "" {
			continue
		}
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					note(s.pkg+"."+receiver(d), s.path)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok {
						note(s.pkg+"."+ts.Name.Name, s.path)
					}
				}
			}
		}
	}
	for name, in := range files {
		if len(in) > maxFiles {
			list := slices.Sorted(maps.Keys(in))
			t.Errorf(
				"%s and its methods fill %d files, at most %d: %s",
				name,
				len(in),
				maxFiles,
				strings.Join(list, ", "),
			)
		}
	}
}

// receiver is the name of a method's receiver type.
func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	switch generic := t.(type) {
	case *ast.IndexExpr:
		t = generic.X
	case *ast.IndexListExpr:
		t = generic.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}
