package authn

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/problem"
)

// keyType is the type of keys as resources.
const keyType = "ApiKey"

// MaxKeyOverlap is the longest time for which a previous secret works beside its successor.
const MaxKeyOverlap = 7 * 24 * time.Hour

// APIKey is the visible part of a key. Times are UTC; a zero time means never.
type APIKey struct {
	// ID is a UUID and not secret. Prefix is the beginning of the key, to recognize it by.
	ID, Name, Prefix string
	// Owner is the id of the person that the key acts for; OwnerName is their username. CreatedBy
	// is the id of the principal that created it.
	Owner, OwnerName, CreatedBy string
	// Workspace is the id of the workspace that the key works in.
	Workspace, WorkspaceName string
	Scope                    KeyScope
	// Imported reports whether another product created the current secret; see ImportedKey.
	Imported bool
	// Networks are the networks from which the key can be used. An empty list means everywhere.
	Networks []netip.Prefix
	// PerMinute and PerDay are limits on the number of requests; 0 means no limit. The windows are
	// those of the UTC clock.
	PerMinute, PerDay int64
	// UsedToday is how many requests of this UTC day are booked, some of them ahead of use. Only
	// Get fills it, and only for keys with a daily limit.
	UsedToday int64
	// CreatedAt is when the key was created, IssuedAt when its current secret was, and UpdatedAt
	// when it last changed.
	CreatedAt, IssuedAt, UpdatedAt time.Time
	// ExpiresAt is when the key expires, RevokedAt when it was revoked. FormerUntil is when the
	// secret before the last rotation stops working.
	ExpiresAt, RevokedAt, FormerUntil time.Time
	// LastUsedAt is precise to the minute. LastUsedIP is the address of that use.
	LastUsedAt time.Time
	LastUsedIP string
	// Usable reports whether the key works now: it is not revoked or expired, and its owner has
	// access to the workspace.
	Usable bool
}

// NewAPIKey describes a key to create.
type NewAPIKey struct {
	// Owner is a person's id; "" means the actor. Only the command line can name someone else,
	// because creating a key reveals it.
	Owner string
	// Workspace is an id. The owner must belong to the workspace.
	Workspace string
	// Name is a label for people.
	Name  string
	Scope KeyScope
	// Networks are in CIDR form, or single addresses.
	Networks []string
	// PerMinute and PerDay limit the number of requests; 0 means no limit.
	PerMinute, PerDay int64
	// Expires is when the key expires. The zero time means as late as is permitted, which may be
	// never.
	Expires time.Time
}

// APIKeyChange is a change to a key. Nil leaves a field unchanged.
type APIKeyChange struct {
	Name              *string
	Scope             *KeyScope
	Networks          *[]string
	PerMinute, PerDay *int64
	// Expires is the new expiry. The zero time means as late as is permitted.
	Expires *time.Time
}

// Rotation describes how a key gets a new secret.
type Rotation struct {
	// Overlap is how long the previous secret works beside the new one, at most MaxKeyOverlap.
	Overlap time.Duration
	// Expires is when the key expires. The zero time gives the key the same lifetime as before,
	// counted from now.
	Expires time.Time
}

// KeyFilter selects keys by owner and workspace. Without an owner it selects the actor's own keys
// or, with a workspace, everyone's keys there.
type KeyFilter struct{ Owner, Workspace string }

// Create creates a key. The secret is returned once and never stored. Create requires KeyOwn in the
// workspace and a fresh proof of identity, because a key outlives the session that creates it.
func (k *Keys) Create(ctx context.Context, actor Principal, n NewAPIKey) (made APIKey, secret string, err error) {
	if n.Owner == "" {
		n.Owner = actor.ID
	}
	if actor.Kind != authz.System && n.Owner != actor.ID {
		return APIKey{}, "", problem.New(problem.Denied, "Only its owner can create a key, because creating a key "+
			"shows it.").
			WithRule("owner only")
	}
	row, err := k.prepare(n)
	if err != nil {
		return APIKey{}, "", err
	}
	row.CreatedBy = actor.ID
	if secret, err = k.issue(&row); err != nil {
		return APIKey{}, "", err
	}
	action, res := actionOn(actor, row), resourceOf(row)
	if err := k.fresh(actor, action, res); err != nil {
		return APIKey{}, "", err
	}
	err = k.cfg.Gate.DoDetail(ctx, actor, action, res, "made", func(tx *db.Tx) error {
		if err := q.New(tx).InsertKey(ctx, insertion(row)); err != nil {
			return fmt.Errorf("storing the key: %w", err)
		}
		return k.notTooMany(ctx, tx, row)
	})
	if err != nil {
		return APIKey{}, "", err
	}
	return k.view(row), secret, nil
}

// prepare checks a new key and returns its row, without a secret.
func (k *Keys) prepare(n NewAPIKey) (row q.ApiKey, err error) {
	now := k.cfg.Now()
	id, err := uuid.NewV7()
	if err != nil {
		return row, fmt.Errorf("creating a key: %w", err)
	}
	row = q.ApiKey{
		ID: id.String(), AccountID: n.Owner, WorkspaceID: n.Workspace, PerMinute: n.PerMinute, PerDay: n.PerDay,
		CreatedAt: now.UnixMilli(), UpdatedAt: now.UnixMilli(), IssuedAt: now.UnixMilli(),
	}
	if p, ok := k.cfg.People.Principal(n.Owner); !ok || !worksIn(k.cfg.People, p, n.Workspace) {
		return row, problem.New(problem.NotFound, "There is no such workspace, or the key's owner does not belong "+
			"to it.").
			WithField("workspace")
	}
	change := APIKeyChange{
		Name:      &n.Name,
		Scope:     &n.Scope,
		Networks:  &n.Networks,
		PerMinute: &n.PerMinute,
		PerDay:    &n.PerDay,
		Expires:   &n.Expires,
	}
	return row, k.apply(&row, change)
}

// apply checks a change and applies it to the row.
func (k *Keys) apply(row *q.ApiKey, c APIKeyChange) (err error) {
	if c.Name != nil {
		if row.Name, err = keyName(*c.Name); err != nil {
			return err
		}
	}
	if c.Scope != nil {
		scope, err := c.Scope.checked()
		if err != nil {
			return err
		}
		if former, err := decodeScope(row.Scope); err == nil {
			scope.Also = former.Also
		}
		if row.Scope, err = scope.encode(); err != nil {
			return err
		}
	}
	if c.Networks != nil {
		networks, err := parseNetworks(strings.Join(*c.Networks, " "))
		if err != nil {
			return err
		}
		row.Networks = networksText(networks)
	}
	for _, l := range []struct {
		field string
		wish  *int64
		to    *int64
	}{{"per_minute", c.PerMinute, &row.PerMinute}, {"per_day", c.PerDay, &row.PerDay}} {
		if l.wish == nil {
			continue
		}
		if *l.wish < 0 || *l.wish > maxKeyLimit {
			return problem.Newf(problem.Invalid, "A limit must be between 0 (none) and %d requests.", maxKeyLimit).
				WithField(l.field)
		}
		*l.to = *l.wish
	}
	if c.Expires != nil {
		row.ExpiresAt, err = k.chooseEnd(row.IssuedAt, *c.Expires)
	}
	return err
}

// chooseEnd returns the expiry, in unix milliseconds, of a key whose secret was issued at one time
// and should last until another. 0 means never.
func (k *Keys) chooseEnd(issued int64, wish time.Time) (int64, error) {
	latest := int64(0)
	if k.cfg.MaxAge > 0 {
		latest = issued + k.cfg.MaxAge.Milliseconds()
	}
	switch end := wish.UnixMilli(); {
	case wish.IsZero():
		return latest, nil
	case end <= k.cfg.Now().UnixMilli():
		return 0, problem.New(problem.Invalid, "This expiry time is in the past.").WithField("expires_at")
	case latest > 0 && end > latest:
		return 0, problem.Newf(problem.Invalid, "API keys can be valid for at most %d days here; this one until %s "+
			"at the latest.", k.cfg.MaxAge/(24*time.Hour), day(latest)).
			WithField("expires_at").
			WithRule("SLUICE_API_KEY_MAX_DAYS")
	default:
		return end, nil
	}
}

// issue gives a row a new secret and returns it.
func (k *Keys) issue(row *q.ApiKey) (secret string, err error) {
	if secret, err = makeKey(rand.Reader); err != nil {
		return "", fmt.Errorf("creating a key: %w", err)
	}
	d, _ := k.hashes.all()[0].keyDigest(secret)
	row.KeyHash, row.Prefix = d.hex(), secret[:keyPrefix]
	return secret, nil
}

// fresh requires a fresh proof of identity if the action itself is permitted.
func (k *Keys) fresh(actor Principal, a authz.Action, res authz.Resource) error {
	if !k.cfg.Gate.Decide(actor, a, res).Allowed {
		return nil // the gate's refusal comes first
	}
	return k.cfg.Gate.Fresh(actor)
}

func (k *Keys) notTooMany(ctx context.Context, tx *db.Tx, row q.ApiKey) error {
	n, err := q.New(tx).CountLiveKeys(ctx, q.CountLiveKeysParams{
		AccountID: row.AccountID,
		Now:       k.cfg.Now().UnixMilli(),
	})
	if err != nil {
		return fmt.Errorf("counting keys: %w", err)
	}
	if n > maxKeysPerPerson {
		return problem.Newf(problem.Conflict, "A person can have at most %d API keys.", maxKeysPerPerson).
			WithNext("Revoke one that is no longer used.")
	}
	return tx.Changed(KeyChangeKind, row.ID)
}

// List returns keys, newest first. It requires KeyOwn for the actor's own keys, and KeyManage in
// the workspace for other people's.
func (k *Keys) List(ctx context.Context, actor Principal, f KeyFilter) ([]APIKey, error) {
	if f.Owner == "" && f.Workspace == "" {
		f.Owner = actor.ID
	}
	if f.Owner == actor.ID && actor.Kind == authz.Person {
		if err := k.cfg.Gate.Check(ctx, actor, authz.KeyOwn, authz.Resource{
			Type:      keyType,
			Workspace: f.Workspace,
			Owner:     f.Owner,
		}); err != nil {
			return nil, err
		}
	} else if err := k.mayManage(ctx, actor, f.Workspace); err != nil {
		return nil, err
	}
	rows, err := k.rows(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("listing keys: %w", err)
	}
	out := make([]APIKey, 0, len(rows))
	for _, r := range rows {
		if f.Workspace == "" || r.WorkspaceID == f.Workspace {
			out = append(out, k.view(r))
		}
	}
	return out, nil
}

// mayManage requires KeyManage. A workspace that the actor does not belong to is not found.
func (k *Keys) mayManage(ctx context.Context, actor Principal, workspaceID string) error {
	err := k.cfg.Gate.Check(ctx, actor, authz.KeyManage, authz.Resource{Type: keyType, Workspace: workspaceID})
	if _, exists := k.cfg.People.WorkspaceName(workspaceID); workspaceID != "" &&
		(!exists || problem.Is(err, problem.Denied) && !worksIn(k.cfg.People, actor, workspaceID)) {
		return problem.New(problem.NotFound, "There is no such workspace, or you do not belong to it.")
	}
	return err
}

// GetIn returns a key of a workspace to a person who manages the keys there.
func (k *Keys) GetIn(ctx context.Context, actor Principal, workspaceID, id string) (APIKey, error) {
	if err := k.mayManage(ctx, actor, workspaceID); err != nil {
		return APIKey{}, err
	}
	key, err := k.Get(ctx, actor, id)
	if err == nil && key.Workspace != workspaceID {
		return APIKey{}, noKey()
	}
	return key, err
}

func (k *Keys) rows(ctx context.Context, f KeyFilter) ([]q.ApiKey, error) {
	if f.Owner != "" {
		return q.New(k.cfg.DB.Read()).KeysOf(ctx, f.Owner)
	}
	return q.New(k.cfg.DB.Read()).KeysIn(ctx, f.Workspace)
}

// Get returns one key. A key that does not exist, or that the actor may not see, is not found.
func (k *Keys) Get(ctx context.Context, actor Principal, id string) (APIKey, error) {
	row, _, err := k.find(ctx, actor, id)
	if err != nil {
		return APIKey{}, err
	}
	out := k.view(row)
	if row.PerDay > 0 {
		out.UsedToday, err = k.budgets.today(ctx, row.ID)
	}
	return out, err
}

// find reads a row that the actor may see and change. It also returns the action that permits it.
func (k *Keys) find(ctx context.Context, actor Principal, id string) (q.ApiKey, authz.Action, error) {
	row, err := q.New(k.cfg.DB.Read()).GetKey(ctx, id)
	if err != nil {
		return row, "", db.Found(err, noKey().Detail)
	}
	action := actionOn(actor, row)
	if err := k.cfg.Gate.Check(ctx, actor, action, resourceOf(row)); err != nil {
		if problem.Is(err, problem.Denied) && action == authz.KeyManage {
			return row, "", noKey() // do not reveal the ids of other people's keys
		}
		return row, "", err
	}
	return row, action, nil
}

// actionOn returns the action required for a key: KeyOwn for the actor's own key, KeyManage for any
// other key of the workspace.
func actionOn(actor Principal, row q.ApiKey) authz.Action {
	if actor.Kind == authz.Person && actor.ID == row.AccountID {
		return authz.KeyOwn
	}
	return authz.KeyManage
}

// Update changes a key. Only the owner can change its scope. A person who manages the workspace's
// keys can change the rest.
func (k *Keys) Update(ctx context.Context, actor Principal, id string, c APIKeyChange) (APIKey, error) {
	row, action, err := k.find(ctx, actor, id)
	if err != nil {
		return APIKey{}, err
	}
	if row.RevokedAt > 0 {
		return APIKey{}, revokedAlready()
	}
	if c.Scope != nil && action == authz.KeyManage && actor.Kind != authz.System {
		return APIKey{}, problem.New(problem.Denied, "Only the owner of a key can change its scope.").
			WithRule("owner only").
			WithField("scope")
	}
	if err := k.apply(&row, c); err != nil {
		return APIKey{}, err
	}
	row.UpdatedAt = k.cfg.Now().UnixMilli()
	err = k.cfg.Gate.DoDetail(ctx, actor, action, resourceOf(row), "changed", func(tx *db.Tx) error {
		n, err := q.New(tx).UpdateKey(ctx, q.UpdateKeyParams{
			ID:        row.ID,
			Name:      row.Name,
			Scope:     row.Scope,
			Networks:  row.Networks,
			PerMinute: row.PerMinute,
			PerDay:    row.PerDay,
			ExpiresAt: row.ExpiresAt,
			UpdatedAt: row.UpdatedAt,
		})
		if err != nil {
			return fmt.Errorf("changing the key: %w", err)
		}
		if n == 0 {
			return revokedAlready()
		}
		return k.notTooMany(ctx, tx, row)
	})
	if err != nil {
		return APIKey{}, err
	}
	return k.view(row), nil
}

// Rotate gives a key a new secret, which is returned once. The previous secret works until the
// overlap is over. Only the owner and the command line can rotate a key, because rotation reveals
// the secret.
func (k *Keys) Rotate(ctx context.Context, actor Principal, id string, r Rotation) (APIKey, string, error) {
	row, action, err := k.find(ctx, actor, id)
	if err != nil {
		return APIKey{}, "", err
	}
	now := k.cfg.Now()
	end := k.effectiveEnd(row.IssuedAt, row.ExpiresAt)
	switch {
	case action == authz.KeyManage && actor.Kind != authz.System:
		return APIKey{}, "", problem.New(problem.Denied, "Only its owner can rotate a key, because rotating a key "+
			"shows it.").
			WithRule("owner only").
			WithNext("Revoke it instead.")
	case row.RevokedAt > 0:
		return APIKey{}, "", revokedAlready()
	case end > 0 && end <= now.UnixMilli():
		return APIKey{}, "", problem.New(problem.Conflict, "This key has expired.").WithNext("Create a new one.")
	case r.Overlap < 0 || r.Overlap > MaxKeyOverlap:
		return APIKey{}, "", problem.Newf(problem.Invalid, "The overlap must be between 0 and %d "+
			"days.", MaxKeyOverlap/(24*time.Hour)).
			WithField("overlap")
	}
	if err := k.fresh(actor, action, resourceOf(row)); err != nil {
		return APIKey{}, "", err
	}
	former, life := row.KeyHash, row.ExpiresAt-row.IssuedAt
	row.FormerUntil = now.Add(r.Overlap).UnixMilli()
	if end > 0 {
		row.FormerUntil = min(row.FormerUntil, end)
	}
	row.IssuedAt, row.UpdatedAt = now.UnixMilli(), now.UnixMilli()
	if r.Expires.IsZero() && row.ExpiresAt > 0 {
		r.Expires = time.UnixMilli(k.effectiveEnd(row.IssuedAt, row.IssuedAt+life))
	}
	if row.ExpiresAt, err = k.chooseEnd(row.IssuedAt, r.Expires); err != nil {
		return APIKey{}, "", err
	}
	secret, err := k.issue(&row)
	if err != nil {
		return APIKey{}, "", err
	}
	err = k.cfg.Gate.DoDetail(ctx, actor, action, resourceOf(row), "rotated", func(tx *db.Tx) error {
		return k.replace(ctx, tx, row, former)
	})
	if err != nil {
		return APIKey{}, "", err
	}
	return k.view(row), secret, nil
}

// replace stores a new secret in place of the one that was read. Of two concurrent rotations only
// one succeeds.
func (k *Keys) replace(ctx context.Context, tx *db.Tx, row q.ApiKey, former string) error {
	n, err := q.New(tx).RotateKey(ctx, q.RotateKeyParams{
		ID:          row.ID,
		KeyHash:     row.KeyHash,
		Prefix:      row.Prefix,
		FormerUntil: row.FormerUntil,
		Now:         row.IssuedAt,
		ExpiresAt:   row.ExpiresAt,
		OldHash:     former,
	})
	if err != nil {
		return fmt.Errorf("rotating the key: %w", err)
	}
	if n == 0 {
		return problem.New(problem.Conflict, "Someone else has just rotated or revoked the key.").
			WithNext("Look at it again.")
	}
	return tx.Changed(KeyChangeKind, row.ID)
}

// Revoke revokes a key at once and closes the streams that it has opened. The key stays visible for
// a month.
func (k *Keys) Revoke(ctx context.Context, actor Principal, id string) error {
	row, action, err := k.find(ctx, actor, id)
	if err != nil {
		return err
	}
	return k.cfg.Gate.DoDetail(ctx, actor, action, resourceOf(row), "revoked", func(tx *db.Tx) error {
		if _, err := q.New(tx).RevokeKey(ctx, q.RevokeKeyParams{ID: row.ID, Now: k.cfg.Now().UnixMilli()}); err != nil {
			return fmt.Errorf("revoking the key: %w", err)
		}
		return tx.Changed(KeyChangeKind, row.ID)
	})
}

// Imported keys read "sk-" and usually 43 characters of base64url; 20 to 200 characters in all are
// accepted. Keys of other products begin the same way, so Sluice leaves an unknown one alone.
const (
	importedStart = "sk-"
	importedLeast = 20
	importedMost  = 200
	// importedHash is the value of the column imported, and the beginning of the hashed text, so
	// that a Sluice key cannot have the same digest.
	importedHash = "sha256"
)

// MaxKeys is how many live keys a person can have.
const MaxKeys = maxKeysPerPerson

// importedFormed reports whether a text can be an imported key.
func importedFormed(text string) bool {
	return len(text) >= importedLeast && len(text) <= importedMost && strings.HasPrefix(text, importedStart) &&
		isToken68(text)
}

// ImportedKeyHash is the hash by which a key of another product is known. ok is false if the text
// cannot be such a key.
func ImportedKeyHash(text string) (sum [sha256.Size]byte, ok bool) {
	if !importedFormed(text) {
		return sum, false
	}
	return sha256.Sum256([]byte(text)), true
}

// importedDigest is the stored form of a key of which Sluice knows only the SHA-256.
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

// knownImported is the equivalent of known for a key of another product.
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

// brought reports whether a text is an imported key.
func (k *Keys) brought(text string) bool {
	_, ok := k.knownImported(text)
	return ok
}

// shownIn reports whether one of the values contains the beginning of the imported key that
// authenticated the request.
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

// ImportedKey is a key that another product created. Its holder presents it to Sluice just as to
// that product.
type ImportedKey struct {
	// Owner is an account's id and Workspace a workspace's id. Also lists further workspaces in
	// which the key reaches the objects that it names.
	Owner, Workspace string
	Also             []string
	// Name is a label for people; an unusable name becomes "Imported key". Prefix is the first 12
	// characters of the key, or "" if they are unknown.
	Name, Prefix string
	// Hash is ImportedKeyHash of the key.
	Hash [sha256.Size]byte
	// Apps are the apps that the key works for. An empty list means all.
	Apps []string
	// CreatedAt is when the key was created. Expires is when it expires there; the zero time means
	// never.
	CreatedAt, Expires time.Time
}

// PreparedKey is an imported key that is ready to be stored.
type PreparedKey struct{ row q.ApiKey }

// ID is the id that the key will have.
func (p PreparedKey) ID() string { return p.row.ID }

// ExpiresAt is when the key will expire. The zero time means never.
func (p PreparedKey) ExpiresAt() time.Time { return moment(p.row.ExpiresAt) }

// PrepareImported builds the row of an imported key. The maximum lifetime of keys counts from now,
// because Sluice has not vouched for the key before. PrepareImported checks no permission: the
// caller of InsertImported has decided that the key can be used here. Errors: problem.Invalid for
// an expired key.
func (k *Keys) PrepareImported(n ImportedKey) (out PreparedKey, err error) {
	now := k.cfg.Now()
	if !n.Expires.IsZero() && !n.Expires.After(now) {
		return out, problem.Newf(problem.Invalid, "The key has expired on %s.", day(n.Expires.UnixMilli())).
			WithField("expires_at")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return out, fmt.Errorf("creating a key: %w", err)
	}
	row := q.ApiKey{
		ID:          id.String(),
		AccountID:   n.Owner,
		WorkspaceID: n.Workspace,
		KeyHash:     k.hashes.all()[0].importedDigest(n.Hash).hex(),
		Imported:    importedHash,
		CreatedAt:   min(n.CreatedAt.UnixMilli(), now.UnixMilli()),
		IssuedAt:    now.UnixMilli(),
		UpdatedAt:   now.UnixMilli(),
		Prefix:      importedStart,
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

// InsertImported stores a prepared key within the caller's transaction. Errors: problem.Conflict if
// the same key exists already.
func (k *Keys) InsertImported(ctx context.Context, tx *db.Tx, p PreparedKey) error {
	r := p.row
	err := q.New(tx).InsertImportedKey(ctx, q.InsertImportedKeyParams{
		ID:          r.ID,
		AccountID:   r.AccountID,
		WorkspaceID: r.WorkspaceID,
		Name:        r.Name,
		Prefix:      r.Prefix,
		KeyHash:     r.KeyHash,
		Scope:       r.Scope,
		CreatedAt:   r.CreatedAt,
		UpdatedAt:   r.UpdatedAt,
		ExpiresAt:   r.ExpiresAt,
		Imported:    r.Imported,
	})
	if db.IsUnique(err) {
		return problem.New(problem.Conflict, "This API key is already known here.")
	}
	if err != nil {
		return fmt.Errorf("storing an imported key: %w", err)
	}
	return tx.Changed(KeyChangeKind, r.ID)
}

// Resource is the key as the gate sees it.
func (p PreparedKey) Resource() authz.Resource { return resourceOf(p.row) }
