package problem

import (
	"bytes"
	"encoding/json"
)

// Opt is a field of a change: absent (the zero value), null, or a value. What is absent stays as it
// is.
type Opt[T any] struct {
	// Set tells that the field is there.
	Set bool
	// Null tells that it is there and null; Value is the zero value then.
	Null  bool
	Value T
}

// Some is a field with a value.
func Some[T any](v T) Opt[T] { return Opt[T]{Set: true, Value: v} }

// Maybe is a field with the value that a pointer points to, absent for nil.
func Maybe[T any](v *T) Opt[T] {
	if v == nil {
		return Opt[T]{}
	}
	return Some(*v)
}

// UnmarshalJSON is called for fields that are there.
func (o *Opt[T]) UnmarshalJSON(text []byte) error {
	*o = Opt[T]{Set: true}
	if bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		o.Null = true
		return nil
	}
	return json.Unmarshal(text, &o.Value)
}

// Or is the value, or another one where the field is absent. Null is the zero value.
func (o Opt[T]) Or(other T) T {
	if o.Set {
		return o.Value
	}
	return other
}
