package server

import (
	"sluice/internal/builder"
	"sluice/internal/builder/demo"
	"sluice/internal/builder/flowise"
	"sluice/internal/builder/generic"
	"sluice/internal/builder/langflow"
)

// Kinds are the products that Sluice knows. A new one is a folder below builder and a line here.
func Kinds() (builder.Kinds, error) {
	return builder.NewKinds(
		flowise.Kind(),
		langflow.Kind(),
		demo.Kind(),
		generic.Kind(),
	)
}
