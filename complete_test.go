package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// These tests read sources and compile nothing, so that a page or a step that is half done is found
// in a second.

// TestComplete_PageSamples: what the samples leave out is looked at by no page test and shown in no
// preview.
func TestComplete_PageSamples(t *testing.T) {
	shown := strings.Builder{}
	for _, path := range glob(t, "internal/console/*_test.go") {
		shown.WriteString(read(t, path))
	}
	declaration, pages := regexp.MustCompile(`(?m)^templ (\w+Page)\(`), 0
	for _, path := range glob(t, "internal/console/*.templ") {
		for _, m := range declaration.FindAllStringSubmatch(read(t, path), -1) {
			pages++
			if !strings.Contains(shown.String(), m[1]+"(") {
				t.Errorf("%s of %s has no sample", m[1], filepath.Base(path))
			}
		}
	}
	if pages < 30 {
		t.Errorf("only %d pages were found", pages)
	}
}

// TestComplete_StepPages: an attempt at a step without a page cannot continue. Only the last step,
// the session, needs no page.
func TestComplete_StepPages(t *testing.T) {
	var steps []string
	ast.Inspect(parse(t, "internal/login/attempt.go"), func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Step" {
				steps = append(steps, spec.Names[0].Name)
			}
		}
		return true
	})
	if len(steps) < 6 {
		t.Errorf("only %d steps were found", len(steps))
	}
	paged := map[string]bool{}
	ast.Inspect(parse(t, "internal/console/steps.go"), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "stepPages" {
			return true
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			paged[e.(*ast.KeyValueExpr).Key.(*ast.SelectorExpr).Sel.Name] = true
		}
		return false
	})
	for _, step := range steps {
		if paged[step] == (step == "StepFinish") {
			t.Errorf("%s has a page in stepPages: %v", step, paged[step])
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
