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
	// tokenName is the entry of the table meta with the installation's own key, sealed.
	tokenName = "token.key"
	// inDatabase is where keys are that Sluice made.
	inDatabase  = "database"
	defaultLife = 30 * 24 * time.Hour
)

// Key is a key of 32 bytes that was made of a secret.
type Key struct {
	// ID is the same on all nodes. It says nothing about the key.
	ID string
	// Value must not be changed.
	Value []byte
	// Until is when everything that a previous key made has ended, so that Maintain removes it;
	// zero for the key in use.
	Until time.Time
}

// keySet holds the keys of each secret, the one in use first.
type keySet map[Name][]Key

// keyStore holds the keys of tokens: the table secret_key, and what of it is in memory.
type keyStore struct {
	db    *db.DB
	seal  *sealer
	lives map[Name]time.Duration // as in Config
	now   func() time.Time
	log   *slog.Logger

	own  []byte // the installation's own key, which never changes
	keys atomic.Pointer[keySet]
}

// of returns the keys of one secret, the one in use first.
func (ks *keyStore) of(n Name) []Key { return (*ks.keys.Load())[n] }

// open reads the keys of tokens, creates what is missing and takes what the sources give. It
// returns the values that were too weak to be taken.
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

// prepare reads the installation's own key and sees to it that every secret has a key. Nodes that
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

// create creates what is missing. In a database of before there were several keys, all tokens are
// hashed under the installation's own key: it goes on as the first key of both kinds of hashes.
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

// firstKey is the first key of a secret: the one that was in use all along, else what is given,
// else a random one.
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

// ownKey returns the installation's own key, and whether it was there before.
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

// takeGiven makes the keys of given secrets the ones in use. The keys before them go on as previous
// ones, so that a changed variable ends no session.
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
				"a secret has a new value; what was made with the former one stays valid until it ends",
				"secret",
				string(n),
				"from",
				f.where,
			)
		}
	}
	return nil
}

// derive makes the key of a given secret. The installation's own key is mixed in: whoever knows the
// variable alone, as a builder that shares the env file does, cannot make tokens of Sluice.
func derive(n Name, text string, own []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(text), own, "sluice "+string(n)+" v1", 32)
}

func keyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("sluice key id\x00"), key...))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func vaultKid(id uint32) string { return fmt.Sprintf("%08x", id) }

// putKey makes a key the one in use.
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

// keyRow is what a key is bound to; SQL spells it name || '.' || kid.
func keyRow(n Name, id string) string { return string(n) + "." + id }

// current are the rows of the keys in use.
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

// until is when a key ends to be accepted; zero for one in use.
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

// noteRoot writes down since when the root key is in use, and where it came from.
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
			// An API key has no end of its own: the key that its hash was made with stays as long
			// as it lives.
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
			return fmt.Errorf("removing a former key: %w", err)
		}
	}
	return nil
}
