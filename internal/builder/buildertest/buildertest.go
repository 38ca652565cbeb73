// Package buildertest gives tests of other packages the products that Sluice knows, and checks what
// is true of every product's table.
package buildertest

import (
	"testing"

	"sluice/internal/builder"
	"sluice/internal/builder/demo"
	"sluice/internal/builder/flowise"
	"sluice/internal/builder/generic"
	"sluice/internal/builder/langflow"
)

// Kinds are the products, put together as the server does.
func Kinds(tb testing.TB) builder.Kinds {
	tb.Helper()
	kinds, err := builder.NewKinds(demo.Kind(), flowise.Kind(), generic.Kind(), langflow.Kind())
	if err != nil {
		tb.Fatal(err)
	}
	return kinds
}
