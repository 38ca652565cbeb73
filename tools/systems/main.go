// Command systems checks that Sluice compiles for systems other than this one, without compiling:
//
//	go run -C tools ./systems darwin windows
//
// It type-checks every package from its source, with the files that a build for that system uses. A
// build would compile all dependencies again for each system, which takes minutes on a fresh
// machine. It checks function bodies in Sluice's own packages only.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	root, err := filepath.Abs("..")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	faults := 0
	for _, system := range os.Args[1:] {
		n, err := check(root, system)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", system, err)
			n++
		}
		faults += n
	}
	if faults > 0 {
		os.Exit(1)
	}
}

// check prints the compile errors for a system, and returns their number.
func check(root, system string) (faults int, err error) {
	own := root + string(filepath.Separator)
	found, err := packages.Load(&packages.Config{
		Mode: packages.LoadAllSyntax,
		Dir:  root,
		Env:  append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false"),
		ParseFile: func(set *token.FileSet, name string, text []byte) (*ast.File, error) {
			file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
			if file != nil && !strings.HasPrefix(name, own) {
				dropBodies(file)
			}
			return file, err
		},
	}, "./...")
	if err != nil {
		return 0, err
	}
	if len(found) < 20 {
		return 0, fmt.Errorf("only %d packages found", len(found))
	}
	for _, p := range found {
		for _, e := range p.Errors {
			fmt.Fprintf(os.Stderr, "%s: %v\n", system, e)
			faults++
		}
	}
	return faults, nil
}

// dropBodies removes the function bodies of a dependency.
func dropBodies(file *ast.File) {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			f.Body = nil
		}
	}
}
