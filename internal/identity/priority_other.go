//go:build !linux

package identity

// lowerPriority does nothing: only Linux has priorities for single threads.
func lowerPriority() {}
