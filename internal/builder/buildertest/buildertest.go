// Package buildertest provides the products that Sluice knows to the tests of other packages. It
// also checks the rules that every product's table follows.
package buildertest

import (
	"testing"

	"sluice/internal/builder"
	"sluice/internal/builder/demo"
	"sluice/internal/builder/flowise"
	"sluice/internal/builder/generic"
	"sluice/internal/builder/langflow"
)

// Kinds are all products, assembled as in the server.
func Kinds(tb testing.TB) builder.Kinds {
	tb.Helper()
	kinds, err := builder.NewKinds(demo.Kind(), flowise.Kind(), generic.Kind(), langflow.Kind())
	if err != nil {
		tb.Fatal(err)
	}
	return kinds
}
