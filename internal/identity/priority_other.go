//go:build !linux

package identity

// lowerPriority does nothing: priorities of single threads are a Linux matter.
func lowerPriority() {}
