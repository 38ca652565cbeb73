package secret

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
)

const (
	// SigningKeyKind is the kind of changes of the keys that sign identity assertions; the item is
	// the new key's id.
	SigningKeyKind = "signing-key"

	signingAlgorithm = jose.RS256
	signingBits      = 2048
	signingTable     = "signing_key"
	// defaultOverlap is longer than any assertion lives, and longer than verifiers cache a key set.
	defaultOverlap = 24 * time.Hour
	signerPatience = 10 * time.Second
)

// Signer signs identity assertions, with which Sluice tells builders and reverse proxies who a
// person is. It is safe for concurrent use, and all nodes on one database use the same key.
type Signer struct {
	db      *db.DB
	seal    *sealer
	overlap time.Duration // as in Config.SignerOverlap
	now     func() time.Time
	log     *slog.Logger

	creating sync.Mutex // held while the first key is created
	reading  sync.Mutex // held while the table is read
	keys     atomic.Pointer[signingKeys]
}

// signingKeys is the content of the table signing_key: the signer of the current key, and every
// public key with the time of its retirement (zero for the current one).
type signingKeys struct {
	signer jose.Signer
	public []publicKey
}

type publicKey struct {
	jwk     jose.JSONWebKey
	retired time.Time
}

func newSigner(c Config, seal *sealer) *Signer {
	s := &Signer{
		db:      c.DB,
		seal:    seal,
		overlap: cmp.Or(c.SignerOverlap, defaultOverlap),
		now:     c.Now,
		log:     c.Log,
	}
	s.db.Subscribe(SigningKeyKind, func(string) {
		s.reading.Lock()
		defer s.reading.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), signerPatience)
		defer cancel()
		if err := s.load(ctx); err != nil {
			// The next use reads them again.
			s.keys.Store(nil)
			s.log.Error("the keys of identity assertions could not be read again", "error", err)
		}
	})
	return s
}

// Sign returns claims as a compact JWS (RFC 7515 section 7.1) with typ "JWT" and the key's id,
// signed with RS256, which Langflow expects of external tokens. It takes about a millisecond of one
// processor, so callers cache assertions that they can reuse. The first signature of an
// installation creates the key.
func (s *Signer) Sign(claims any) (string, error) {
	keys, err := s.ready()
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding the claims of an identity assertion: %w", err)
	}
	signed, err := keys.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing an identity assertion: %w", err)
	}
	return signed.CompactSerialize()
}

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517 section 5): the current one first,
// then those retired less than the overlap ago. While the database cannot be read, the set is
// empty.
func (s *Signer) JWKS() []byte {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	keys, err := s.ready()
	if err != nil {
		s.log.Error("the public keys of identity assertions could not be read", "error", err)
	} else {
		since := s.now().Add(-s.overlap)
		for _, p := range keys.public {
			if p.retired.IsZero() || p.retired.After(since) {
				set.Keys = append(set.Keys, p.jwk)
			}
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		s.log.Error("the public keys of identity assertions could not be encoded", "error", err)
		return []byte(`{"keys":[]}`)
	}
	return text
}

// ready returns the keys from memory, or reads them, or creates the first one.
func (s *Signer) ready() (*signingKeys, error) {
	if keys := s.keys.Load(); keys != nil {
		return keys, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), signerPatience)
	defer cancel()
	if err := s.readOrCreate(ctx); err != nil {
		return nil, err
	}
	if keys := s.keys.Load(); keys != nil {
		return keys, nil
	}
	return nil, fmt.Errorf("reading the key of identity assertions: there is none")
}

func (s *Signer) readOrCreate(ctx context.Context) error {
	s.creating.Lock()
	defer s.creating.Unlock()
	s.reading.Lock()
	err := s.load(ctx)
	s.reading.Unlock()
	if err != nil || s.keys.Load() != nil {
		return err
	}
	return s.replace(ctx, false)
}

// load reads the table. Without a current key it leaves the keys in memory unchanged. The caller
// holds reading.
func (s *Signer) load(ctx context.Context) error {
	rows, err := q.New(s.db.Read()).SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys of identity assertions: %w", err)
	}
	keys := &signingKeys{}
	for _, row := range rows {
		if err := s.add(keys, row); err != nil {
			return err
		}
	}
	if keys.signer != nil {
		s.keys.Store(keys)
	}
	return nil
}

func (s *Signer) add(keys *signingKeys, row q.SigningKey) error {
	der, err := s.seal.openText(row.KeySealed, signingTable, row.Kid)
	if err != nil {
		return err
	}
	entry := publicKey{jwk: jose.JSONWebKey{KeyID: row.Kid, Algorithm: row.Algorithm, Use: "sig"}}
	if row.RetiredAt > 0 {
		entry.retired = time.UnixMilli(row.RetiredAt)
		entry.jwk.Key, err = x509.ParsePKIXPublicKey(der)
		keys.public = append(keys.public, entry)
		return err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return fmt.Errorf("reading the key of identity assertions: %w", err)
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return fmt.Errorf("reading the key of identity assertions: %T is not an RSA key", key)
	}
	entry.jwk.Key = &private.PublicKey
	keys.public = append([]publicKey{entry}, keys.public...)
	keys.signer, err = jose.NewSigner(
		jose.SigningKey{
			Algorithm: signingAlgorithm,
			Key:       jose.JSONWebKey{Key: private, KeyID: row.Kid},
		},
		(&jose.SignerOptions{}).WithType("JWT"),
	)
	return err
}

// replace creates a key and retires the current one. Without retire an existing key stays, so that
// if two nodes need the first key, one creates it for both.
func (s *Signer) replace(ctx context.Context, retire bool) error {
	fresh, err := s.newKey()
	if err != nil {
		return fmt.Errorf("creating a key for identity assertions: %w", err)
	}
	if err := s.db.System(ctx, "signing keys", func(tx *db.Tx) error {
		return s.store(ctx, tx, fresh, retire)
	}); err != nil {
		return fmt.Errorf("storing a key for identity assertions: %w", err)
	}
	return nil
}

func (s *Signer) store(ctx context.Context, tx *db.Tx, fresh q.InsertSigningKeyParams, retire bool) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	rows, err := q.New(tx).SigningKeys(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		switch {
		case row.RetiredAt > 0:
		case !retire:
			return tx.Changed(SigningKeyKind, row.Kid)
		default:
			if err := s.retire(ctx, tx, row); err != nil {
				return err
			}
		}
	}
	if err := q.New(tx).PruneSigningKeys(ctx, s.now().Add(-s.overlap).UnixMilli()); err != nil {
		return err
	}
	if err := q.New(tx).InsertSigningKey(ctx, fresh); err != nil {
		return err
	}
	return tx.Changed(SigningKeyKind, fresh.Kid)
}

// newKey creates a key whose id is its thumbprint (RFC 7638).
func (s *Signer) newKey() (row q.InsertSigningKeyParams, err error) {
	key, err := rsa.GenerateKey(rand.Reader, signingBits)
	if err != nil {
		return row, err
	}
	print, err := (&jose.JSONWebKey{Key: &key.PublicKey}).Thumbprint(crypto.SHA256)
	if err != nil {
		return row, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return row, err
	}
	row = q.InsertSigningKeyParams{
		Kid:       base64.RawURLEncoding.EncodeToString(print),
		Algorithm: string(signingAlgorithm),
		CreatedAt: s.now().UnixMilli(),
	}
	row.KeySealed, err = s.seal.sealText(der, signingTable, row.Kid)
	return row, err
}

// retire destroys the private half of a key and keeps the public half.
func (s *Signer) retire(ctx context.Context, tx *db.Tx, row q.SigningKey) error {
	der, err := s.seal.openText(row.KeySealed, signingTable, row.Kid)
	if err != nil {
		return err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return fmt.Errorf("%T is not an RSA key", key)
	}
	if der, err = x509.MarshalPKIXPublicKey(&private.PublicKey); err != nil {
		return err
	}
	sealed, err := s.seal.sealText(der, signingTable, row.Kid)
	if err != nil {
		return err
	}
	return q.New(tx).
		RetireSigningKey(ctx, q.RetireSigningKeyParams{Kid: row.Kid, KeySealed: sealed, RetiredAt: s.now().UnixMilli()})
}
