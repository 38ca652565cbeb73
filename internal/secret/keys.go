package secret

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
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
	// Until is when everything that a former key made has ended, so that Maintain removes it; zero for the key in use.
	Until time.Time
}

// keySet holds the keys of each secret, the one in use first.
type keySet map[Name][]Key

// AccessKeys are the keys of access tokens, the one that signs first, then former ones by which tokens still verify. The slice is shared: do not change it.
func (k *Keyring) AccessKeys() []Key { return k.Keys(AccessToken) }

// RefreshKeys are the keys of refresh tokens, as AccessKeys.
func (k *Keyring) RefreshKeys() []Key { return k.Keys(RefreshToken) }

// SessionKeys are the keys under which session cookies are hashed: new ones under the first, looked up by all.
func (k *Keyring) SessionKeys() []Key { return k.Keys(Session) }

// TokenKeys are the keys under which links, codes and API keys are hashed, as SessionKeys.
func (k *Keyring) TokenKeys() []Key { return k.Keys(TokenHash) }

// Keys are the keys of one secret. They change while Sluice runs: ask each time, or follow ChangeKind.
func (k *Keyring) Keys(n Name) []Key { return (*k.keys.Load())[n] }

// TokenKey is the installation's own key, which never changes: names and device cookies are hashed under it.
func (k *Keyring) TokenKey() []byte { return bytes.Clone(k.tokenKey) }

// openKeys reads the keys of tokens, makes what is missing and takes what the sources give.
func (k *Keyring) openKeys(ctx context.Context, p *places) error {
	given := map[Name]found{}
	for _, n := range keyNames {
		f, weak, err := resolve(ctx, p.all, n)
		if err != nil {
			return err
		}
		k.weak = append(k.weak, weak...)
		if f.where != "" {
			given[n] = f
		}
	}
	if err := k.prepareKeys(ctx, given); err != nil {
		return fmt.Errorf("preparing the keys of tokens: %w", err)
	}
	if err := k.takeGiven(ctx, given); err != nil {
		return fmt.Errorf("taking over the secrets that were given: %w", err)
	}
	return k.readKeys(ctx)
}

// prepareKeys reads the installation's own key and sees to it that every secret has a key. Nodes that start together agree.
func (k *Keyring) prepareKeys(ctx context.Context, given map[Name]found) error {
	rows, err := k.current(ctx, q.New(k.db.Read()))
	if err != nil {
		return err
	}
	sealed, err := db.Meta(ctx, k.db.Read(), tokenName)
	if err != nil {
		return err
	}
	complete := sealed != "" && rows[VaultKey].Kid != ""
	for _, n := range keyNames {
		complete = complete && rows[n].Kid != ""
	}
	if !complete {
		if err := k.db.System(ctx, "first secrets", func(tx *db.Tx) error { return k.makeKeys(ctx, tx, given) }); err != nil {
			return err
		}
		if sealed, err = db.Meta(ctx, k.db.Read(), tokenName); err != nil {
			return err
		}
	}
	k.tokenKey, err = k.openText(sealed, "meta", tokenName)
	return err
}

// makeKeys makes what is missing. In a database of before there were several keys, all tokens are hashed under the installation's own key: it goes on as the first key of both kinds of hashes.
func (k *Keyring) makeKeys(ctx context.Context, tx *db.Tx, given map[Name]found) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	rows, err := k.current(ctx, q.New(tx))
	if err != nil {
		return err
	}
	own, old, err := k.ownKey(ctx, tx)
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
		if err := k.putKey(ctx, tx, n, key, where); err != nil {
			return err
		}
	}
	if rows[VaultKey].Kid != "" {
		return nil
	}
	return k.put(ctx, tx, q.PutSecretKeyParams{Name: string(VaultKey), Kid: vaultKid(k.vault.Load().primary), Source: inDatabase, CreatedAt: k.now().UnixMilli()})
}

// firstKey is the first key of a secret: the one that was in use all along, else what is given, else a random one.
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
func (k *Keyring) ownKey(ctx context.Context, tx *db.Tx) (key []byte, old bool, err error) {
	sealed, err := db.Meta(ctx, tx, tokenName)
	if err != nil {
		return nil, false, err
	}
	if sealed != "" {
		key, err = k.openText(sealed, "meta", tokenName)
		return key, true, err
	}
	if key, err = randomKey(); err != nil {
		return nil, false, err
	}
	if sealed, err = k.sealText(key, "meta", tokenName); err != nil {
		return nil, false, err
	}
	return key, false, tx.PutMeta(ctx, tokenName, sealed)
}

func randomKey() ([]byte, error) {
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return key, err
}

// takeGiven makes the keys of given secrets the ones in use. The keys before them go on as former ones, so that a changed variable ends no session.
func (k *Keyring) takeGiven(ctx context.Context, given map[Name]found) error {
	rows, err := k.current(ctx, q.New(k.db.Read()))
	if err != nil {
		return err
	}
	for n, f := range given {
		key, err := derive(n, f.text, k.tokenKey)
		if err != nil {
			return err
		}
		if now := rows[n]; now.Kid == keyID(key) && now.Source == f.where {
			continue
		}
		if err := k.db.System(ctx, "given secrets", func(tx *db.Tx) error { return k.putKey(ctx, tx, n, key, f.where) }); err != nil {
			return err
		}
		if rows[n].Kid != keyID(key) {
			k.log.Info("a secret has a new value; what was made with the former one stays valid until it ends", "secret", string(n), "from", f.where)
		}
	}
	return nil
}

// derive makes the key of a given secret. The installation's own key is mixed in: whoever knows the variable alone, as a builder that shares the env file does, cannot make tokens of Sluice.
func derive(n Name, text string, own []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(text), own, "sluice "+string(n)+" v1", 32)
}

func keyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("sluice key id\x00"), key...))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func vaultKid(id uint32) string { return fmt.Sprintf("%08x", id) }

// putKey makes a key the one in use.
func (k *Keyring) putKey(ctx context.Context, tx *db.Tx, n Name, key []byte, where string) error {
	id := keyID(key)
	sealed, err := k.sealText(key, keyTable, keyRow(n, id))
	if err != nil {
		return err
	}
	return k.put(ctx, tx, q.PutSecretKeyParams{Name: string(n), Kid: id, Source: where, KeySealed: sealed, CreatedAt: k.now().UnixMilli()})
}

func (k *Keyring) put(ctx context.Context, tx *db.Tx, row q.PutSecretKeyParams) error {
	if err := q.New(tx).PutSecretKey(ctx, row); err != nil {
		return fmt.Errorf("storing a key: %w", err)
	}
	if err := q.New(tx).RetireSecretKeys(ctx, q.RetireSecretKeysParams{Name: row.Name, Kid: row.Kid, RetiredAt: k.now().UnixMilli()}); err != nil {
		return fmt.Errorf("retiring a key: %w", err)
	}
	return tx.Changed(ChangeKind, row.Name)
}

const keyTable = "secret_key"

// keyRow is what a key is bound to; SQL spells it name || '.' || kid.
func keyRow(n Name, id string) string { return string(n) + "." + id }

// current are the rows of the keys in use.
func (k *Keyring) current(ctx context.Context, queries *q.Queries) (map[Name]q.SecretKey, error) {
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

// readKeys reads the keys of tokens into memory.
func (k *Keyring) readKeys(ctx context.Context) error {
	rows, err := q.New(k.db.Read()).SecretKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	set := keySet{}
	for _, r := range rows {
		if r.KeySealed == "" {
			continue
		}
		n := Name(r.Name)
		value, err := k.openText(r.KeySealed, keyTable, keyRow(n, r.Kid))
		if err != nil {
			return err
		}
		key := Key{ID: r.Kid, Value: value, Until: k.until(r)}
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
	k.keys.Store(&set)
	return nil
}

// until is when a key ends to be accepted; zero for one in use.
func (k *Keyring) until(r q.SecretKey) time.Time {
	if r.RetiredAt == 0 {
		return time.Time{}
	}
	life := k.lives[Name(r.Name)]
	if life == 0 {
		life = defaultLife
	}
	return time.UnixMilli(r.RetiredAt).Add(life)
}
