package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/problem"
)

// opt is a field of a PATCH body that may be absent; null is treated as absent. The description
// shows it as a T.
type opt[T any] struct{ problem.Opt[T] }

// Schema implements huma.SchemaProvider.
func (opt[T]) Schema(r huma.Registry) *huma.Schema { return r.Schema(reflect.TypeFor[T](), true, "") }

// given returns the field, absent if it is null.
func (o opt[T]) given() problem.Opt[T] {
	if o.Null {
		return problem.Opt[T]{}
	}
	return o.Opt
}
