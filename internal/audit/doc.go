// Package audit keeps the append-only record of who did what: one Entry for each change, refusal and failure.
//
// Entries form a hash chain: each carries the SHA-256 of its own fields and of the entry before it, so that a removed, reordered or edited
// row is found by Verify. Append writes within the caller's transaction; a change and its entry therefore commit together or not at all.
// Only authz.Gate appends entries for decisions.
package audit
