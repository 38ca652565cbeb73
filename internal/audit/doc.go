// Package audit keeps the append-only record of who did what: one Entry for each change, refusal
// and failure.
//
// Entries form a hash chain: each contains the SHA-256 of its own fields and of the previous entry,
// so Verify finds a removed, reordered or edited row. Append writes within the caller's
// transaction, so a change and its entry commit together or not at all. Only authz.Gate appends
// entries for decisions.
package audit
