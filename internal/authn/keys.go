package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// KeyChangeKind is the kind of changes of API keys; the item is the key's id.
const KeyChangeKind = "api-key"

// KeyConfig configures Keys.
type KeyConfig struct {
	DB     *db.DB
	Gate   *authz.Gate
	People *identity.People
	// HashKeys key the hashes under which keys are stored (TOKEN_HASH_SECRET). New keys are stored
	// under the first and looked up under each. If HashKeys is nil, TokenKey is the only key and
	// never changes.
	HashKeys func() []Key
	TokenKey []byte
	// MaxAge is the maximum lifetime of a key, counted from when its secret was issued; 0 means
	// unlimited (SLUICE_API_KEY_MAX_DAYS).
	MaxAge time.Duration
	// Now is the clock.
	Now func() time.Time
	// Log gets failures of background work.
	Log *slog.Logger
}

// Keys manages people's API keys.
type Keys struct {
	cfg     KeyConfig
	hashes  *hashers
	table   *keyTable
	budgets *budgets

	mu    sync.Mutex
	ends  endings
	dirty map[uuid.UUID]keyUse // last uses to write
}

type keyUse struct {
	at   int64
	from netip.Addr
}

// NewKeys loads all keys and follows changes. Run its Maintain regularly, and Close it before the
// database.
func NewKeys(ctx context.Context, c KeyConfig) (*Keys, error) {
	k := &Keys{
		cfg:    c,
		hashes: newHashers(c.HashKeys, c.TokenKey),
		table:  newKeyTable(),
		ends:   endings{},
		dirty:  map[uuid.UUID]keyUse{},
	}
	k.budgets = newBudgets(c.DB, c.Now)
	c.DB.Subscribe(KeyChangeKind, func(id string) {
		if err := k.reload(context.Background(), id); err != nil {
			c.Log.Error("an API key could not be read again and is closed", "key", id, "error", err)
			k.drop(id)
		}
	})
	c.DB.Subscribe(identity.ChangeKind, func(string) { k.endDead() })
	c.DB.Subscribe(secret.ChangeKind, func(string) { k.hashes.refresh() })
	if err := k.loadAll(ctx); err != nil {
		return nil, fmt.Errorf("loading API keys: %w", err)
	}
	return k, nil
}

func (k *Keys) loadAll(ctx context.Context) error {
	for after := ""; ; {
		rows, err := q.New(k.cfg.DB.Read()).LoadKeys(ctx, after)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		for _, r := range rows {
			if s, ok := k.stateOf(r); ok {
				k.table.put(s)
			}
		}
		after = rows[len(rows)-1].ID
	}
}

func (k *Keys) reload(ctx context.Context, id string) error {
	row, err := q.New(k.cfg.DB.Read()).GetKey(ctx, id)
	if err := db.Found(err, "gone"); problem.Is(err, problem.NotFound) {
		k.drop(id)
		return nil
	}
	if err != nil {
		return err
	}
	s, ok := k.stateOf(loaded(row))
	if !ok {
		k.drop(id)
		return nil
	}
	narrowed := k.table.put(s)
	k.budgets.forget(s.id)
	if narrowed || s.revoked > 0 {
		k.end(s.id)
	}
	return nil
}

// loaded is the part of a row that the table holds.
func loaded(r q.ApiKey) q.LoadKeysRow {
	return q.LoadKeysRow{
		ID:          r.ID,
		AccountID:   r.AccountID,
		WorkspaceID: r.WorkspaceID,
		KeyHash:     r.KeyHash,
		FormerHash:  r.FormerHash,
		FormerUntil: r.FormerUntil,
		Scope:       r.Scope,
		Networks:    r.Networks,
		PerMinute:   r.PerMinute,
		PerDay:      r.PerDay,
		IssuedAt:    r.IssuedAt,
		ExpiresAt:   r.ExpiresAt,
		RevokedAt:   r.RevokedAt,
		LastUsedAt:  r.LastUsedAt,
	}
}

// stateOf reads a row. An unreadable row is not a key: when in doubt, access is closed.
func (k *Keys) stateOf(r q.LoadKeysRow) (s keyState, ok bool) {
	id, err := uuid.Parse(r.ID)
	hash, ok := parseDigest(r.KeyHash)
	if err != nil || !ok {
		return keyState{}, false
	}
	scope, err := decodeScope(r.Scope)
	if err != nil {
		k.cfg.Log.Error("the scope of an API key cannot be read; the key is closed", "key", r.ID, "error", err)
		return keyState{}, false
	}
	networks, err := parseNetworks(r.Networks)
	if err != nil {
		k.cfg.Log.Error("the networks of an API key cannot be read; the key is closed", "key", r.ID, "error", err)
		return keyState{}, false
	}
	s = keyState{
		id:           id,
		account:      r.AccountID,
		workspace:    r.WorkspaceID,
		hash:         hash,
		scopeText:    r.WorkspaceID + "\n" + r.Scope,
		networksText: r.Networks,
		networks:     networks,
		scope: &authz.Scope{
			Workspace: r.WorkspaceID,
			Also:      scope.Also,
			Actions:   scope.Actions,
			Apps:      scope.Apps,
			Flows:     scope.Flows,
		},
		perMinute:   int32(r.PerMinute),
		perDay:      int32(r.PerDay),
		formerUntil: r.FormerUntil,
		revoked:     r.RevokedAt,
		lastUsed:    r.LastUsedAt,
		expires:     k.effectiveEnd(r.IssuedAt, r.ExpiresAt),
	}
	s.former, s.hasFormer = parseDigest(r.FormerHash)
	return s, true
}

// effectiveEnd returns when a key expires: at its own expiry, but no later than the current maximum
// lifetime allows. 0 means never.
func (k *Keys) effectiveEnd(issued, expires int64) int64 {
	if k.cfg.MaxAge <= 0 {
		return expires
	}
	latest := issued + k.cfg.MaxAge.Milliseconds()
	if expires == 0 {
		return latest
	}
	return min(expires, latest)
}

func (k *Keys) drop(id string) {
	if key, err := uuid.Parse(id); err == nil {
		k.table.remove(key)
		k.budgets.forget(key)
		k.end(key)
	}
}

// end closes the streams that a key has opened.
func (k *Keys) end(id uuid.UUID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ends.end(id)
}

// endDead closes the streams of keys that have expired or whose owner has lost access.
func (k *Keys) endDead() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.ends {
		if !k.alive(id) {
			k.ends.end(id)
		}
	}
}

func (k *Keys) alive(id uuid.UUID) bool {
	account, workspace, expires, ok := k.table.live(id)
	if !ok || expires > 0 && expires <= k.cfg.Now().UnixMilli() {
		return false
	}
	p, ok := k.cfg.People.Principal(account)
	return ok && worksIn(k.cfg.People, p, workspace)
}

// Done returns a channel that closes when the key stops working: it is revoked, narrowed or
// expired, or its owner no longer has access. The channel of an unknown key is closed already.
func (k *Keys) Done(keyID string) <-chan struct{} {
	id, err := uuid.Parse(keyID)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ends.of(id, func() bool { return err == nil && k.alive(id) })
}

// known looks a key up under each hash key, the current one first.
func (k *Keys) known(text string) (keyHit, bool) {
	if strings.HasPrefix(text, importedStart) {
		return k.knownImported(text)
	}
	for _, under := range k.hashes.all() {
		d, formed := under.keyDigest(text)
		if !formed {
			break
		}
		if h, ok := k.table.find(d); ok {
			return h, true
		}
	}
	return keyHit{}, false
}

// lookup finds the owner of a key, from memory. The holder of a real key learns why it does not
// work. Unknown keys and malformed ones get the same answer.
func (k *Keys) lookup(text string, from netip.Addr) (Principal, keyHit, error) {
	h, ok := k.known(text)
	if !ok {
		return Principal{}, keyHit{}, badToken()
	}
	p, ok := k.cfg.People.Principal(h.account)
	now := k.cfg.Now().UnixMilli()
	if why := h.unusable(text[:keyPrefix], now, from, ok && worksIn(k.cfg.People, p, h.workspace)); why != nil {
		res := authz.Resource{Type: keyType, ID: h.id.String(), Workspace: h.workspace, Owner: h.account}
		k.cfg.Gate.RecordLater(Principal{
			Kind: authz.Person,
			ID:   h.account,
			Name: p.Name,
			IP:   from.String(),
		}, authz.KeyUse, res, audit.Denied, why.Rule)
		return Principal{}, keyHit{}, why
	}
	if now-h.lastUsed >= touchStep.Milliseconds() && k.table.touch(h.id, h.lastUsed, now) {
		k.mu.Lock()
		k.dirty[h.id] = keyUse{now, from}
		k.mu.Unlock()
	}
	p.KeyID, p.Scope, p.Workspace, p.Strong = h.id.String(), h.scope, h.workspace, true
	return p, h, nil
}

// unusable returns why a key cannot be used, or nil if it can.
func (h *keyHit) unusable(prefix string, now int64, from netip.Addr, ownerIn bool) *problem.Error {
	switch {
	case h.revoked > 0:
		return deadKey("revoked", "The API key %s… was revoked on %s.", prefix, day(h.revoked))
	case h.expires > 0 && h.expires <= now:
		return deadKey("expired", "The API key %s… expired on %s.", prefix, day(h.expires))
	case h.former && h.formerUntil <= now:
		return deadKey(
			"rotated",
			"The API key %s… was replaced by a new one; it was valid until %s.",
			prefix,
			day(h.formerUntil),
		)
	case !ownerIn:
		return deadKey("owner", "The owner of the API key %s… no longer has access to its workspace.", prefix)
	case len(h.networks) > 0 && !within(h.networks, from):
		return problem.Newf(problem.Denied, "The API key %s… cannot be used from %s.", prefix, from).
			WithRule(keyRules + "network").
			WithNext("Use it from one of its networks; its owner sees them on the keys page.")
	}
	return nil
}

func deadKey(why, format string, args ...any) *problem.Error {
	return problem.Newf(problem.Unauthenticated, format, args...).WithRule(keyRules + why).
		WithNext("Create a new key in Sluice, or ask the key's owner.")
}

func day(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04 UTC") }

func within(networks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// worksIn reports whether a person belongs to a workspace. Superusers belong to every one that
// exists.
func worksIn(people *identity.People, p Principal, workspaceID string) bool {
	if p.Role(workspaceID) != "" {
		return true
	}
	_, exists := people.WorkspaceName(workspaceID)
	return p.Superuser && exists
}

// Maintain writes last uses, gives back unused portions of limits, and removes keys that expired or
// were revoked a month ago. The server runs it every half minute.
func (k *Keys) Maintain(ctx context.Context, now time.Time) error {
	k.endDead()
	errs := errors.Join(k.writeUses(ctx), k.budgets.settle(ctx, false), k.prune(ctx, now))
	k.table.sweep()
	return errs
}

// Close gives back the portions of limits that this node has booked, and writes last uses.
func (k *Keys) Close(ctx context.Context) error {
	return errors.Join(k.writeUses(ctx), k.budgets.settle(ctx, true))
}

// usesAtOnce is how many last uses are written in one transaction.
const usesAtOnce = 1000

func (k *Keys) writeUses(ctx context.Context) error {
	k.mu.Lock()
	uses := k.dirty
	k.dirty = map[uuid.UUID]keyUse{}
	k.mu.Unlock()
	ids := slices.Collect(maps.Keys(uses))
	for part := range slices.Chunk(ids, usesAtOnce) {
		err := k.cfg.DB.System(ctx, "key uses", func(tx *db.Tx) error {
			for _, id := range part {
				at := uses[id].at - uses[id].at%touchStep.Milliseconds()
				if err := q.New(tx).TouchKey(ctx, q.TouchKeyParams{
					ID:     id.String(),
					UsedAt: at,
					Ip:     uses[id].from.String(),
				}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("noting when an API key was used: %w", err)
		}
	}
	return nil
}

// keepEnded is how long a key is kept after it expires or is revoked, so that a client that still
// uses it learns the reason.
const keepEnded = 30 * 24 * time.Hour

func (k *Keys) prune(ctx context.Context, now time.Time) error {
	ids, err := q.New(k.cfg.DB.Read()).OldKeys(ctx, now.Add(-keepEnded).UnixMilli())
	if err != nil {
		return fmt.Errorf("finding old API keys: %w", err)
	}
	if len(ids) == 0 {
		return nil
	}
	return k.cfg.DB.System(ctx, "old keys", func(tx *db.Tx) error {
		for _, id := range ids {
			if _, err := q.New(tx).DeleteKey(ctx, id); err != nil {
				return fmt.Errorf("removing an old API key: %w", err)
			}
			if err := tx.Changed(KeyChangeKind, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// MaxAge is the maximum lifetime of a key, counted from when its secret was issued; 0 means
// unlimited.
func (k *Keys) MaxAge() time.Duration { return k.cfg.MaxAge }

// view is the visible part of a row. Unreadable parts of a scope or of networks are left out; such
// a key does not work.
func (k *Keys) view(r q.ApiKey) APIKey {
	out := APIKey{
		ID:         r.ID,
		Name:       r.Name,
		Prefix:     r.Prefix,
		Imported:   r.Imported != "",
		Owner:      r.AccountID,
		CreatedBy:  r.CreatedBy,
		Workspace:  r.WorkspaceID,
		PerMinute:  r.PerMinute,
		PerDay:     r.PerDay,
		CreatedAt:  moment(r.CreatedAt),
		IssuedAt:   moment(r.IssuedAt),
		UpdatedAt:  moment(r.UpdatedAt),
		ExpiresAt:  moment(k.effectiveEnd(r.IssuedAt, r.ExpiresAt)),
		RevokedAt:  moment(r.RevokedAt),
		LastUsedAt: moment(r.LastUsedAt),
		LastUsedIP: r.LastUsedIp,
	}
	var errs [2]error
	out.Scope, errs[0] = decodeScope(r.Scope)
	out.Networks, errs[1] = parseNetworks(r.Networks)
	now := k.cfg.Now()
	if r.FormerUntil > now.UnixMilli() && r.RevokedAt == 0 {
		out.FormerUntil = moment(r.FormerUntil)
	}
	p, in := k.cfg.People.Principal(r.AccountID)
	out.OwnerName = p.Name
	out.WorkspaceName, _ = k.cfg.People.WorkspaceName(r.WorkspaceID)
	out.Usable = errs[0] == nil && errs[1] == nil && in && worksIn(k.cfg.People, p, r.WorkspaceID) &&
		r.RevokedAt == 0 &&
		(out.ExpiresAt.IsZero() || out.ExpiresAt.After(now))
	return out
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func resourceOf(r q.ApiKey) authz.Resource {
	return authz.Resource{
		Type:      keyType,
		ID:        r.ID,
		Workspace: r.WorkspaceID,
		Owner:     r.AccountID,
		Name:      r.Name + " (" + r.Prefix + "…)",
	}
}

func insertion(r q.ApiKey) q.InsertKeyParams {
	return q.InsertKeyParams{
		ID:          r.ID,
		AccountID:   r.AccountID,
		WorkspaceID: r.WorkspaceID,
		Name:        r.Name,
		Prefix:      r.Prefix,
		KeyHash:     r.KeyHash,
		Scope:       r.Scope,
		Networks:    r.Networks,
		PerMinute:   r.PerMinute,
		PerDay:      r.PerDay,
		CreatedBy:   r.CreatedBy,
		CreatedAt:   r.CreatedAt,
		ExpiresAt:   r.ExpiresAt,
	}
}

func noKey() *problem.Error {
	return problem.New(problem.NotFound, "There is no such API key. It may have been removed.")
}

func revokedAlready() *problem.Error {
	return problem.New(problem.Conflict, "This key has been revoked.").WithNext("Create a new one.")
}
