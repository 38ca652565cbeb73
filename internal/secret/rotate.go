package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
	"sluice/internal/problem"
)

// settle is how long a replaced key of the vault is kept after everything was sealed anew: longer than any node takes to hear of the new one.
const settle = time.Hour

// Rotator shows and replaces secrets for those who may (authz.SecretManage). Every call is recorded.
type Rotator struct {
	k    *Keyring
	gate *authz.Gate
}

// NewRotator joins a keyring with the gate that decides and records.
func NewRotator(k *Keyring, gate *authz.Gate) *Rotator { return &Rotator{k: k, gate: gate} }

func resource(n Name) authz.Resource {
	return authz.Resource{Type: "Secret", ID: string(n), Name: string(n)}
}

// Rotate replaces the key of a secret on all nodes at once, while they run. What was made with the former key stays valid until it ends by itself. Of a secret that was given Sluice cannot make another
// one: that is a Conflict, whose next step says how to change it. After the vault's key everything that it protects is sealed anew, in small steps, of which progress is told; progress may be nil. That can
// be interrupted, even killed, at any moment, and the next call goes on, as a running Sluice does by itself. Values that do not open stay as they are: how many there are is a Conflict, after all else is done.
func (r *Rotator) Rotate(ctx context.Context, actor authz.Principal, n Name, progress func(done, total int)) error {
	switch n {
	case Root:
		return r.rotateRoot(ctx, actor)
	case VaultKey:
		return r.rotateVault(ctx, actor, progress)
	case Assertions:
		fresh, err := r.k.newSigningKey()
		if err != nil {
			return fmt.Errorf("making a key for identity assertions: %w", err)
		}
		return r.gate.DoDetail(ctx, actor, authz.SecretManage, resource(n), "rotated", func(tx *db.Tx) error { return r.k.storeSigningKey(ctx, tx, fresh, true) })
	}
	return r.gate.DoDetail(ctx, actor, authz.SecretManage, resource(n), "rotated", func(tx *db.Tx) error {
		if err := tx.Ordered(); err != nil {
			return err
		}
		rows, err := r.k.current(ctx, q.New(tx))
		if err != nil {
			return err
		}
		if now := rows[n]; now.Source != inDatabase {
			return given(n, now.Source)
		}
		key, err := randomKey()
		if err != nil {
			return err
		}
		return r.k.putKey(ctx, tx, n, key, inDatabase)
	})
}

func given(n Name, where string) error {
	return problem.Newf(problem.Conflict, "%s was given (%s), so Sluice cannot make another one.", n, where).
		WithNext("Put the output of `sluice secret generate` in its place and start Sluice again. What was made with the present value stays valid until it ends.")
}

// Forget gives up the former keys of a secret now: what was made with them ends. Of the root key it ends what the former one opens.
func (r *Rotator) Forget(ctx context.Context, actor authz.Principal, n Name) error {
	return r.gate.DoDetail(ctx, actor, authz.SecretManage, resource(n), "former keys given up", func(tx *db.Tx) error {
		switch n {
		case VaultKey:
			return problem.New(problem.Conflict, "Former keys of the vault go by themselves when nothing is sealed with them any more.")
		case Assertions:
			if err := q.New(tx).PruneSigningKeys(ctx, r.k.now().UnixMilli()); err != nil {
				return err
			}
			return tx.Changed(SigningKeyKind, "")
		case Root:
			if err := tx.DeleteMeta(ctx, formerName); err != nil {
				return err
			}
		}
		rows, err := q.New(tx).SecretKeys(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Name != string(n) || row.RetiredAt == 0 {
				continue
			}
			if err := q.New(tx).DeleteSecretKey(ctx, q.DeleteSecretKeyParams{Name: row.Name, Kid: row.Kid}); err != nil {
				return err
			}
		}
		return tx.Changed(ChangeKind, string(n))
	})
}

// rotateVault makes a new key of the vault and seals everything with it. A rotation that was interrupted is finished instead.
func (r *Rotator) rotateVault(ctx context.Context, actor authz.Principal, progress func(done, total int)) error {
	if err := r.gate.Check(ctx, actor, authz.SecretManage, resource(VaultKey)); err != nil {
		return err
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	left, err := r.k.unsealed(ctx)
	if err != nil {
		return err
	}
	if left > 0 {
		// Damaged values are left each time; they must not stand for an interrupted rotation.
		if damaged, err := r.k.reseal(ctx, progress); err != nil || damaged < left {
			return errors.Join(err, damagedValues(damaged))
		}
	}
	if err := r.gate.DoDetail(ctx, actor, authz.SecretManage, resource(VaultKey), "rotated", func(tx *db.Tx) error { return r.k.addVaultKey(ctx, tx) }); err != nil {
		return err
	}
	damaged, err := r.k.reseal(ctx, progress)
	return errors.Join(err, damagedValues(damaged))
}

func damagedValues(n int) error {
	if n == 0 {
		return nil
	}
	return problem.Newf(problem.Conflict, "%s in the database could not be opened and stayed as they are.", plural(n, "value")).
		WithNext("They were sealed for another row, or damaged. What they belong to has to be entered again.")
}

// addVaultKey makes the key under which everything is sealed from now on.
func (k *Keyring) addVaultKey(ctx context.Context, tx *db.Tx) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	stored, err := db.Meta(ctx, tx, keysetName)
	if err != nil {
		return err
	}
	root := k.presentRoot()
	handle, err := unwrapKeyset(stored, root.text)
	if err != nil {
		return formerRoot(root, err)
	}
	handle, id, err := withNewKey(handle)
	if err != nil {
		return fmt.Errorf("making a key of the vault: %w", err)
	}
	if err := storeKeyset(ctx, tx, handle, stored, root.text); err != nil {
		return err
	}
	// What the former root key opens would lack the new key.
	if err := tx.DeleteMeta(ctx, formerName); err != nil {
		return err
	}
	return k.put(ctx, tx, q.PutSecretKeyParams{Name: string(VaultKey), Kid: vaultKid(id), Source: inDatabase, CreatedAt: k.now().UnixMilli()})
}

func formerRoot(root found, err error) error {
	return problem.Newf(problem.Conflict, "The root key of this node (%s) is a former one.", root.where).WithNext("Give it the present root key first.").WithCause(err)
}

func withNewKey(handle *keyset.Handle) (*keyset.Handle, uint32, error) {
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, 0, err
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, 0, err
	}
	handle, err = manager.Handle()
	return handle, id, err
}

// rotateRoot makes a new root key if it is a file. The new key is on the disk before anything depends on it, so that a kill at any moment leaves a database that opens.
func (r *Rotator) rotateRoot(ctx context.Context, actor authz.Principal) error {
	if err := r.gate.Check(ctx, actor, authz.SecretManage, resource(Root)); err != nil {
		return err
	}
	root, files := r.k.presentRoot(), r.k.folder
	if root.where != "file "+Root.pathOf(files.folder) {
		return problem.Newf(problem.Conflict, "The root key was given (%s), so Sluice cannot make another one.", root.where).
			WithNext("Start Sluice with the new key (`sluice secret generate` prints one) in LANGFLOW_SECRET_KEY and the present one in SLUICE_FORMER_SECRET_KEY; in AWS Secrets Manager the new value alone is enough.")
	}
	next, err := files.prepareNext(ctx, root.text)
	if err != nil {
		return err
	}
	err = r.gate.DoDetail(ctx, actor, authz.SecretManage, resource(Root), "rotated", func(tx *db.Tx) error {
		stored, err := db.Meta(ctx, tx, keysetName)
		if err != nil {
			return err
		}
		handle, err := unwrapKeyset(stored, root.text)
		if err != nil {
			// The present root key may be lost. What opens with a former one is enough to make another.
			former, readErr := db.Meta(ctx, tx, formerName)
			if readErr != nil {
				return readErr
			}
			if handle, err = unwrapKeyset(former, root.text); err != nil {
				return formerRoot(root, err)
			}
		}
		if err := rewrap(ctx, tx, handle, stored, next); err != nil {
			return err
		}
		kid, err := fingerprint(next)
		if err != nil {
			return err
		}
		return r.k.put(ctx, tx, q.PutSecretKeyParams{Name: string(Root), Kid: kid, Source: root.where, CreatedAt: r.k.now().UnixMilli()})
	})
	if err != nil {
		return err
	}
	return files.finishNext(next)
}

// prepareNext keeps a new root key beside the present one. What an interrupted rotation has left is taken, unless it is in use already.
func (f files) prepareNext(ctx context.Context, present string) (string, error) {
	for {
		text, err := randomText()
		if err != nil {
			return "", err
		}
		kept, _, err := f.Keep(ctx, nextRoot, text)
		if err != nil {
			return "", fmt.Errorf("keeping the new root key: %w", err)
		}
		if kept != present && Weakness(kept) == "" {
			return kept, nil
		}
		if err := f.remove(nextRoot); err != nil {
			return "", err
		}
	}
}

// presentRoot is the root key in use.
func (k *Keyring) presentRoot() found {
	k.reload.Lock()
	defer k.reload.Unlock()
	return k.root
}

// Maintain removes former keys when everything that they made has ended, and finishes rotations of the vault's key. The server runs it regularly.
func (k *Keyring) Maintain(ctx context.Context, now time.Time) error {
	return errors.Join(k.pruneKeys(ctx, now), k.settleVault(ctx, now))
}

func (k *Keyring) pruneKeys(ctx context.Context, now time.Time) error {
	rows, err := q.New(k.db.Read()).SecretKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	for _, row := range rows {
		if row.RetiredAt == 0 || row.Name == string(VaultKey) || k.until(row).After(now) {
			continue
		}
		if row.Name == string(TokenHash) {
			// An API key has no end of its own: the key that its hash was made with stays as long as it lives.
			if n, err := q.New(k.db.Read()).LiveAPIKeysBefore(ctx, q.LiveAPIKeysBeforeParams{CreatedAt: row.RetiredAt, Now: now.UnixMilli()}); err != nil || n > 0 {
				if err != nil {
					return fmt.Errorf("looking for API keys: %w", err)
				}
				continue
			}
		}
		err := k.db.System(ctx, "old secrets", func(tx *db.Tx) error {
			if err := q.New(tx).DeleteSecretKey(ctx, q.DeleteSecretKeyParams{Name: row.Name, Kid: row.Kid}); err != nil {
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

// settleVault seals the rest anew, and removes former keys of the vault an hour after they were replaced if nothing is left that was sealed with them.
func (k *Keyring) settleVault(ctx context.Context, now time.Time) error {
	if len(k.vault.Load().ids) < 2 {
		return nil
	}
	damaged, err := k.reseal(ctx, func(int, int) {})
	if err != nil || damaged > 0 {
		return err
	}
	rows, err := k.current(ctx, q.New(k.db.Read()))
	if err != nil {
		return err
	}
	if now.Sub(time.UnixMilli(rows[VaultKey].CreatedAt)) < settle {
		return nil
	}
	if left, err := k.unsealed(ctx); err != nil || left > 0 {
		return err
	}
	return k.db.System(ctx, "old secrets", func(tx *db.Tx) error { return k.dropVaultKeys(ctx, tx) })
}

func (k *Keyring) dropVaultKeys(ctx context.Context, tx *db.Tx) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	stored, err := db.Meta(ctx, tx, keysetName)
	if err != nil {
		return err
	}
	root := k.presentRoot()
	handle, err := unwrapKeyset(stored, root.text)
	if err != nil {
		return nil // Another node, which has the present root key, does it.
	}
	v, err := newVault(handle)
	if err != nil || v.primary != k.vault.Load().primary {
		return err
	}
	manager := keyset.NewManagerFromHandle(handle)
	for _, id := range v.ids {
		if id == v.primary {
			continue
		}
		if err := manager.Delete(id); err != nil {
			return fmt.Errorf("removing a former key of the vault: %w", err)
		}
		if err := q.New(tx).DeleteSecretKey(ctx, q.DeleteSecretKeyParams{Name: string(VaultKey), Kid: vaultKid(id)}); err != nil {
			return err
		}
	}
	if handle, err = manager.Handle(); err != nil {
		return err
	}
	if err := storeKeyset(ctx, tx, handle, stored, root.text); err != nil {
		return err
	}
	return tx.Changed(ChangeKind, string(VaultKey))
}
