package db

// Housekeeping is the table for tests.
func Housekeeping() map[string]string { return housekeeping }
