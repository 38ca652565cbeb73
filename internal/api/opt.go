package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/problem"
)

// opt is a field of a PATCH body that may be absent; null counts as absent. In the description it
// is a T.
type opt[T any] struct{ problem.Opt[T] }

// Schema is huma.SchemaProvider.
func (opt[T]) Schema(r huma.Registry) *huma.Schema { return r.Schema(reflect.TypeFor[T](), true, "") }

// given returns the field, absent where it is null.
func (o opt[T]) given() problem.Opt[T] {
	if o.Null {
		return problem.Opt[T]{}
	}
	return o.Opt
}
