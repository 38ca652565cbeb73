package authn

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/problem"
)

// Keys that are taken over read "sk-" and 43 characters of base64url. Other products' keys begin so too, so that one which is not known is no business of Sluice's.
const (
	importedStart = "sk-"
	importedLeast = 20
	importedMost  = 200
	// importedHash is the mark in the column imported, and the beginning of what is hashed: a key of Sluice's own cannot have the same digest.
	importedHash = "sha256"
)

// MaxKeys is how many live keys a person can have.
const MaxKeys = maxKeysPerPerson

// importedFormed reports whether a text can be an imported key.
func importedFormed(text string) bool {
	return len(text) >= importedLeast && len(text) <= importedMost && strings.HasPrefix(text, importedStart) && isToken68(text)
}

// ImportedKeyHash is by what a key of another product is known; ok is false for what cannot be such a key.
func ImportedKeyHash(text string) (sum [sha256.Size]byte, ok bool) {
	if !importedFormed(text) {
		return sum, false
	}
	return sha256.Sum256([]byte(text)), true
}

// importedDigest is the stored form of a key of which only the SHA-256 is known.
func (t *tokens) importedDigest(sum [sha256.Size]byte) (d digest) {
	h := t.pool.Get().(*hasher)
	h.mac.Reset()
	n := copy(h.in[:], importedHash)
	h.mac.Write(h.in[:n+copy(h.in[n:], sum[:])])
	h.mac.Sum(h.out[:0])
	d = h.out
	t.pool.Put(h)
	return d
}

// knownImported is known for a key of another product.
func (k *Keys) knownImported(text string) (keyHit, bool) {
	sum, ok := ImportedKeyHash(text)
	if !ok {
		return keyHit{}, false
	}
	for _, under := range k.hashes.all() {
		if h, ok := k.table.find(under.importedDigest(sum)); ok {
			return h, true
		}
	}
	return keyHit{}, false
}

// brought reports whether a text is a key that was imported.
func (k *Keys) brought(text string) bool {
	_, ok := k.knownImported(text)
	return ok
}

// shownIn reports whether an imported key by which somebody was recognised stands in one of the values.
func (c *Credential) shownIn(lines []string) bool {
	if c.Kind != CredentialKey || !strings.HasPrefix(c.KeyPrefix, importedStart) {
		return false
	}
	for _, line := range lines {
		if strings.Contains(line, c.KeyPrefix) {
			return true
		}
	}
	return false
}

// ImportedKey is a key that another product has made. Its holder shows it to Sluice as to that product.
type ImportedKey struct {
	// Owner is an account's id, Workspace a workspace's. Also are further workspaces in which it reaches what it names.
	Owner, Workspace string
	Also             []string
	// Name is for people; one that cannot be kept becomes "Imported key". Prefix are the first 12 characters of the key, or "" where they are not known.
	Name, Prefix string
	// Hash is ImportedKeyHash of the key.
	Hash [sha256.Size]byte
	// Apps bound what it is for; none: all.
	Apps []string
	// CreatedAt is when it was made, Expires when it ends there; the zero time means never.
	CreatedAt, Expires time.Time
}

// PreparedKey is an imported key that is ready to be stored.
type PreparedKey struct{ row q.ApiKey }

// ID is the id that the key will have.
func (p PreparedKey) ID() string { return p.row.ID }

// ExpiresAt is when it will end; the zero time means never.
func (p PreparedKey) ExpiresAt() time.Time { return moment(p.row.ExpiresAt) }

// PrepareImported makes the row of an imported key. The longest life of keys counts from now: until now Sluice has vouched for nothing. It asks no right; whoever calls InsertImported has decided
// that the key may be used here. Errors: problem.Invalid for one that has expired.
func (k *Keys) PrepareImported(n ImportedKey) (out PreparedKey, err error) {
	now := k.cfg.Now()
	if !n.Expires.IsZero() && !n.Expires.After(now) {
		return out, problem.Newf(problem.Invalid, "The key has expired on %s.", day(n.Expires.UnixMilli())).WithField("expires_at")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return out, fmt.Errorf("making a key: %w", err)
	}
	row := q.ApiKey{
		ID: id.String(), AccountID: n.Owner, WorkspaceID: n.Workspace, KeyHash: k.hashes.all()[0].importedDigest(n.Hash).hex(), Imported: importedHash,
		CreatedAt: min(n.CreatedAt.UnixMilli(), now.UnixMilli()), IssuedAt: now.UnixMilli(), UpdatedAt: now.UnixMilli(), Prefix: importedStart,
	}
	if row.Name, err = keyName(n.Name); err != nil {
		row.Name = "Imported key"
	}
	if len(n.Prefix) == keyPrefix && strings.HasPrefix(n.Prefix, importedStart) && utf8.ValidString(n.Prefix) {
		row.Prefix = n.Prefix
	}
	scope, err := KeyScope{Apps: n.Apps}.checked()
	if err != nil {
		return out, err
	}
	scope.Also = ordered(n.Also)
	if row.Scope, err = scope.encode(); err != nil {
		return out, err
	}
	if !n.Expires.IsZero() {
		row.ExpiresAt = n.Expires.UnixMilli()
	}
	row.ExpiresAt = k.effectiveEnd(row.IssuedAt, row.ExpiresAt)
	return PreparedKey{row: row}, nil
}

// InsertImported stores a prepared key within the caller's transaction. Errors: problem.Conflict if the same key is there already.
func (k *Keys) InsertImported(ctx context.Context, tx *db.Tx, p PreparedKey) error {
	r := p.row
	err := q.New(tx).InsertImportedKey(ctx, q.InsertImportedKeyParams{
		ID: r.ID, AccountID: r.AccountID, WorkspaceID: r.WorkspaceID, Name: r.Name, Prefix: r.Prefix, KeyHash: r.KeyHash, Scope: r.Scope, CreatedAt: r.CreatedAt,
		UpdatedAt: r.UpdatedAt, ExpiresAt: r.ExpiresAt, Imported: r.Imported,
	})
	if db.IsUnique(err) {
		return problem.New(problem.Conflict, "This API key is known here already.")
	}
	if err != nil {
		return fmt.Errorf("storing an imported key: %w", err)
	}
	return tx.Changed(KeyChangeKind, r.ID)
}

// Resource is the key as the gate sees it.
func (p PreparedKey) Resource() authz.Resource { return resourceOf(p.row) }
