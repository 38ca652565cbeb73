package server

import (
	"sluice/internal/builder"
	"sluice/internal/builder/demo"
	"sluice/internal/builder/flowise"
	"sluice/internal/builder/generic"
	"sluice/internal/builder/langflow"
)

// Kinds returns the products that Sluice supports, and additional ones. A new product is a folder
// below builder and a line here.
func Kinds(more ...*builder.Kind) (builder.Kinds, error) {
	return builder.NewKinds(append([]*builder.Kind{
		flowise.Kind(),
		langflow.Kind(),
		demo.Kind(),
		generic.Kind(),
	}, more...)...)
}
