package secret

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
)

const (
	// tokenName is the entry of the table meta that holds the installation's own key, sealed.
	tokenName = "token.key"
	// inDatabase is the source of keys that Sluice created.
	inDatabase  = "database"
	defaultLife = 30 * 24 * time.Hour
)

// Key is a key of 32 bytes that was derived from a secret or created.
type Key struct {
	// ID is the same on all nodes. It reveals nothing about the key.
	ID string
	// Value must not be changed.
	Value []byte
	// Until is when everything that a previous key created has expired, so that Maintain removes
	// the key; zero for the current key.
	Until time.Time
}

// keySet holds the keys of each secret, the current one first.
type keySet map[Name][]Key

// keyStore holds the keys of tokens: the table secret_key, and its copy in memory.
type keyStore struct {
	db    *db.DB
	seal  *sealer
	lives map[Name]time.Duration // as in Config
	now   func() time.Time
	log   *slog.Logger

	own  []byte // the installation's own key, which never changes
	keys atomic.Pointer[keySet]
}

// of returns the keys of one secret, the current one first.
func (ks *keyStore) of(n Name) []Key { return (*ks.keys.Load())[n] }

// open reads the keys of tokens, creates missing ones and takes over those from the sources. It
// returns the values that were too weak to use.
func (ks *keyStore) open(ctx context.Context, p *places) (weak []Weak, err error) {
	given := map[Name]found{}
	for _, n := range keyNames {
		f, passed, err := resolve(ctx, p.all, n)
		if err != nil {
			return nil, err
		}
		weak = append(weak, passed...)
		if f.where != "" {
			given[n] = f
		}
	}
	if err := ks.prepare(ctx, given); err != nil {
		return nil, fmt.Errorf("preparing the keys of tokens: %w", err)
	}
	if err := ks.takeGiven(ctx, given); err != nil {
		return nil, fmt.Errorf("taking over the secrets that were given: %w", err)
	}
	return weak, ks.read(ctx)
}

// prepare reads the installation's own key and makes sure that every secret has a key. Nodes that
// start together agree.
func (ks *keyStore) prepare(ctx context.Context, given map[Name]found) error {
	rows, err := ks.current(ctx, q.New(ks.db.Read()))
	if err != nil {
		return err
	}
	sealed, err := db.Meta(ctx, ks.db.Read(), tokenName)
	if err != nil {
		return err
	}
	complete := sealed != "" && rows[VaultKey].Kid != ""
	for _, n := range keyNames {
		complete = complete && rows[n].Kid != ""
	}
	if !complete {
		if err := ks.db.System(ctx, "first secrets", func(tx *db.Tx) error {
			return ks.create(ctx, tx, given)
		}); err != nil {
			return err
		}
		if sealed, err = db.Meta(ctx, ks.db.Read(), tokenName); err != nil {
			return err
		}
	}
	ks.own, err = ks.seal.openText(sealed, "meta", tokenName)
	return err
}

// create creates missing keys. In a database from before there were several keys, all tokens are
// hashed under the installation's own key, so that becomes the first key of both kinds of hashes.
func (ks *keyStore) create(ctx context.Context, tx *db.Tx, given map[Name]found) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	rows, err := ks.current(ctx, q.New(tx))
	if err != nil {
		return err
	}
	own, old, err := ks.ownKey(ctx, tx)
	if err != nil {
		return err
	}
	for _, n := range keyNames {
		if rows[n].Kid != "" {
			continue
		}
		key, where, err := firstKey(n, own, old, given[n])
		if err != nil {
			return err
		}
		if err := ks.putKey(ctx, tx, n, key, where); err != nil {
			return err
		}
	}
	if rows[VaultKey].Kid != "" {
		return nil
	}
	return ks.put(
		ctx,
		tx,
		q.PutSecretKeyParams{
			Name:      string(VaultKey),
			Kid:       vaultKid(ks.seal.vault.Load().primary),
			Source:    inDatabase,
			CreatedAt: ks.now().UnixMilli(),
		},
	)
}

// firstKey is the first key of a secret: the installation's own key if old tokens are hashed under
// it, else the given one, else a random one.
func firstKey(n Name, own []byte, old bool, given found) (key []byte, where string, err error) {
	switch {
	case old && (n == Session || n == TokenHash):
		return own, inDatabase, nil
	case given.where != "":
		key, err = derive(n, given.text, own)
		return key, given.where, err
	}
	key, err = randomKey()
	return key, inDatabase, err
}

// ownKey returns the installation's own key, and whether it existed before.
func (ks *keyStore) ownKey(ctx context.Context, tx *db.Tx) (key []byte, old bool, err error) {
	sealed, err := db.Meta(ctx, tx, tokenName)
	if err != nil {
		return nil, false, err
	}
	if sealed != "" {
		key, err = ks.seal.openText(sealed, "meta", tokenName)
		return key, true, err
	}
	if key, err = randomKey(); err != nil {
		return nil, false, err
	}
	if sealed, err = ks.seal.sealText(key, "meta", tokenName); err != nil {
		return nil, false, err
	}
	return key, false, tx.PutMeta(ctx, tokenName, sealed)
}

func randomKey() ([]byte, error) {
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return key, err
}

// takeGiven makes given secrets the current keys. The keys before them continue as previous ones,
// so that a changed variable does not invalidate sessions.
func (ks *keyStore) takeGiven(ctx context.Context, given map[Name]found) error {
	rows, err := ks.current(ctx, q.New(ks.db.Read()))
	if err != nil {
		return err
	}
	for n, f := range given {
		key, err := derive(n, f.text, ks.own)
		if err != nil {
			return err
		}
		if now := rows[n]; now.Kid == keyID(key) && now.Source == f.where {
			continue
		}
		if err := ks.db.System(ctx, "given secrets", func(tx *db.Tx) error {
			return ks.putKey(ctx, tx, n, key, f.where)
		}); err != nil {
			return err
		}
		if rows[n].Kid != keyID(key) {
			ks.log.Info(
				"a secret has a new value; everything created with the previous one stays valid until it expires",
				"secret",
				string(n),
				"from",
				f.where,
			)
		}
	}
	return nil
}

// derive derives the key of a given secret. The installation's own key is mixed in, so that the
// variable alone, which a builder with the same env file knows, is not enough to forge Sluice
// tokens.
func derive(n Name, text string, own []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(text), own, "sluice "+string(n)+" v1", 32)
}

func keyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("sluice key id\x00"), key...))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func vaultKid(id uint32) string { return fmt.Sprintf("%08x", id) }

// putKey stores a key as the current one.
func (ks *keyStore) putKey(ctx context.Context, tx *db.Tx, n Name, key []byte, where string) error {
	id := keyID(key)
	sealed, err := ks.seal.sealText(key, keyTable, keyRow(n, id))
	if err != nil {
		return err
	}
	return ks.put(
		ctx,
		tx,
		q.PutSecretKeyParams{
			Name:      string(n),
			Kid:       id,
			Source:    where,
			KeySealed: sealed,
			CreatedAt: ks.now().UnixMilli(),
		},
	)
}

func (ks *keyStore) put(ctx context.Context, tx *db.Tx, row q.PutSecretKeyParams) error {
	if err := q.New(tx).PutSecretKey(ctx, row); err != nil {
		return fmt.Errorf("storing a key: %w", err)
	}
	if err := q.New(tx).RetireSecretKeys(ctx,
		q.RetireSecretKeysParams{Name: row.Name, Kid: row.Kid, RetiredAt: ks.now().UnixMilli()}); err != nil {
		return fmt.Errorf("retiring a key: %w", err)
	}
	return tx.Changed(ChangeKind, row.Name)
}

const keyTable = "secret_key"

// keyRow is the row that a key is bound to; SQL spells it name || '.' || kid.
func keyRow(n Name, id string) string { return string(n) + "." + id }

// current returns the rows of the current keys.
func (ks *keyStore) current(ctx context.Context, queries *q.Queries) (map[Name]q.SecretKey, error) {
	rows, err := queries.SecretKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	now := map[Name]q.SecretKey{}
	for _, r := range rows {
		if r.RetiredAt == 0 {
			now[Name(r.Name)] = r
		}
	}
	return now, nil
}

// read reads the keys of tokens into memory.
func (ks *keyStore) read(ctx context.Context) error {
	rows, err := q.New(ks.db.Read()).SecretKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	set := keySet{}
	for _, r := range rows {
		if r.KeySealed == "" {
			continue
		}
		n := Name(r.Name)
		value, err := ks.seal.openText(r.KeySealed, keyTable, keyRow(n, r.Kid))
		if err != nil {
			return err
		}
		key := Key{ID: r.Kid, Value: value, Until: ks.until(r)}
		if r.RetiredAt == 0 {
			set[n] = append([]Key{key}, set[n]...)
		} else {
			set[n] = append(set[n], key)
		}
	}
	for _, n := range keyNames {
		if len(set[n]) == 0 || !set[n][0].Until.IsZero() {
			return fmt.Errorf("reading the keys: %s has none in use", n)
		}
	}
	ks.keys.Store(&set)
	return nil
}

// until is when a key stops being accepted; zero for the current one.
func (ks *keyStore) until(r q.SecretKey) time.Time {
	if r.RetiredAt == 0 {
		return time.Time{}
	}
	life := ks.lives[Name(r.Name)]
	if life == 0 {
		life = defaultLife
	}
	return time.UnixMilli(r.RetiredAt).Add(life)
}

// noteRoot records since when the root key is in use, and where it came from.
func (ks *keyStore) noteRoot(ctx context.Context, root found, former bool) error {
	kid, err := fingerprint(root.text)
	if err != nil || former {
		return err
	}
	rows, err := q.New(ks.db.Read()).SecretKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	for _, r := range rows {
		if r.Name == string(Root) && r.Kid == kid && r.RetiredAt == 0 && r.Source == root.where {
			return nil
		}
	}
	since := ks.now()
	if path, isFile := strings.CutPrefix(root.where, "file "); isFile {
		if info, err := os.Stat(path); err == nil {
			since = info.ModTime()
		}
	}
	return ks.db.System(ctx, "given secrets", func(tx *db.Tx) error {
		return ks.put(
			ctx,
			tx,
			q.PutSecretKeyParams{Name: string(Root), Kid: kid, Source: root.where, CreatedAt: since.UnixMilli()},
		)
	})
}

func (ks *keyStore) prune(ctx context.Context, now time.Time) error {
	rows, err := q.New(ks.db.Read()).SecretKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	for _, row := range rows {
		if row.RetiredAt == 0 || row.Name == string(VaultKey) || ks.until(row).After(now) {
			continue
		}
		if row.Name == string(TokenHash) {
			// API keys can live without limit, so the key that hashed them stays as long as one of
			// them lives.
			if n, err := q.New(ks.db.Read()).LiveAPIKeysBefore(ctx,
				q.LiveAPIKeysBeforeParams{CreatedAt: row.RetiredAt, Now: now.UnixMilli()}); err != nil ||
				n > 0 {
				if err != nil {
					return fmt.Errorf("looking for API keys: %w", err)
				}
				continue
			}
		}
		err := ks.db.System(ctx, "old secrets", func(tx *db.Tx) error {
			if err := q.New(tx).DeleteSecretKey(ctx,
				q.DeleteSecretKeyParams{Name: row.Name, Kid: row.Kid}); err != nil {
				return err
			}
			return tx.Changed(ChangeKind, row.Name)
		})
		if err != nil {
			return fmt.Errorf("removing a previous key: %w", err)
		}
	}
	return nil
}
