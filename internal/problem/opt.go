package problem

import (
	"bytes"
	"encoding/json"
)

// Opt is a field of a change: absent (the zero value), null, or a value. An absent field is not
// changed.
type Opt[T any] struct {
	// Set reports that the field is present.
	Set bool
	// Null reports that the field is present and null; Value is then the zero value.
	Null  bool
	Value T
}

// Some returns a field with a value.
func Some[T any](v T) Opt[T] { return Opt[T]{Set: true, Value: v} }

// Maybe returns a field with the value that v points to, absent for nil.
func Maybe[T any](v *T) Opt[T] {
	if v == nil {
		return Opt[T]{}
	}
	return Some(*v)
}

// UnmarshalJSON runs only for fields that are present.
func (o *Opt[T]) UnmarshalJSON(text []byte) error {
	*o = Opt[T]{Set: true}
	if bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		o.Null = true
		return nil
	}
	return json.Unmarshal(text, &o.Value)
}

// Or returns the value, or other if the field is absent. Null gives the zero value.
func (o Opt[T]) Or(other T) T {
	if o.Set {
		return o.Value
	}
	return other
}
