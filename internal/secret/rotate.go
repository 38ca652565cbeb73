package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
	"sluice/internal/problem"
)

// Rotator shows and replaces secrets for people with authz.SecretManage. Every call is recorded.
type Rotator struct {
	db   *db.DB
	k    *Keyring
	gate *authz.Gate
	now  func() time.Time
}

// NewRotator joins a keyring with the gate that decides and records.
func NewRotator(k *Keyring, gate *authz.Gate) *Rotator {
	return &Rotator{db: k.keys.db, k: k, gate: gate, now: k.keys.now}
}

func resource(n Name) authz.Resource {
	return authz.Resource{Type: "Secret", ID: string(n), Name: string(n)}
}

// Rotate replaces the key of a secret on all nodes at once, while they run. Tokens of the previous
// key stay valid until they expire. A secret that was given cannot be replaced by Sluice: that is a
// Conflict, whose next step says how to change it. After the vault's key is replaced, everything
// that it protects is sealed again in small steps, which are reported to progress; progress may be
// nil. This can be interrupted at any moment, even killed. The next call continues, and so does a
// running Sluice automatically. Values that do not open stay unchanged. Their number is reported as
// a Conflict after everything else is done.
func (r *Rotator) Rotate(ctx context.Context, actor authz.Principal, n Name, progress func(done, total int)) error {
	switch n {
	case Root:
		return r.rotateRoot(ctx, actor)
	case VaultKey:
		return r.rotateVault(ctx, actor, progress)
	case Assertions:
		fresh, err := r.k.signer.newKey()
		if err != nil {
			return fmt.Errorf("creating a key for identity assertions: %w", err)
		}
		return r.gate.DoDetail(
			ctx,
			actor,
			authz.SecretManage,
			resource(n),
			"rotated",
			func(tx *db.Tx) error { return r.k.signer.store(ctx, tx, fresh, true) },
		)
	}
	return r.gate.DoDetail(ctx, actor, authz.SecretManage, resource(n), "rotated", func(tx *db.Tx) error {
		if err := tx.Ordered(); err != nil {
			return err
		}
		rows, err := r.k.keys.current(ctx, q.New(tx))
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
		return r.k.keys.putKey(ctx, tx, n, key, inDatabase)
	})
}

func given(n Name, where string) error {
	return problem.Newf(problem.Conflict, "%s is set (%s), so Sluice cannot replace it.", n, where).
		WithNext("Replace it with the output of `sluice secret generate` and restart Sluice. Everything created " +
			"with the current value stays valid until it expires.")
}

// Forget drops the previous keys of a secret now, so that everything they created stops working.
// For the root key it deletes the keyset that the previous one opens.
func (r *Rotator) Forget(ctx context.Context, actor authz.Principal, n Name) error {
	return r.gate.DoDetail(ctx, actor, authz.SecretManage, resource(n), "previous keys removed", func(tx *db.Tx) error {
		switch n {
		case VaultKey:
			return problem.New(
				problem.Conflict,
				"Previous keys of the vault are removed automatically when nothing is encrypted with them.",
			)
		case Assertions:
			if err := q.New(tx).PruneSigningKeys(ctx, r.now().UnixMilli()); err != nil {
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
			if err := q.New(tx).DeleteSecretKey(ctx,
				q.DeleteSecretKeyParams{Name: row.Name, Kid: row.Kid}); err != nil {
				return err
			}
		}
		return tx.Changed(ChangeKind, string(n))
	})
}

// rotateVault creates a new key of the vault and seals everything with it. If a rotation was
// interrupted, it finishes that one instead.
func (r *Rotator) rotateVault(ctx context.Context, actor authz.Principal, progress func(done, total int)) error {
	if err := r.gate.Check(ctx, actor, authz.SecretManage, resource(VaultKey)); err != nil {
		return err
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	left, err := r.k.resealer.unsealed(ctx)
	if err != nil {
		return err
	}
	if left > 0 {
		// Damaged values are left over each time. They must not be taken for an interrupted
		// rotation.
		if damaged, err := r.k.resealer.reseal(ctx, progress); err != nil || damaged < left {
			return errors.Join(err, damagedValues(damaged))
		}
	}
	if err := r.gate.DoDetail(ctx, actor, authz.SecretManage, resource(VaultKey), "rotated", func(tx *db.Tx) error {
		return r.k.resealer.addKey(ctx, tx)
	}); err != nil {
		return err
	}
	damaged, err := r.k.resealer.reseal(ctx, progress)
	return errors.Join(err, damagedValues(damaged))
}

func damagedValues(n int) error {
	if n == 0 {
		return nil
	}
	return problem.Newf(problem.Conflict, "%s in the database could not be opened and are unchanged.",
		plural(n, "value")).
		WithNext("They were encrypted for another row, or are damaged. Enter the values again.")
}

func formerRoot(root found, err error) error {
	return problem.Newf(problem.Conflict, "The root key of this node (%s) is a previous one.", root.where).
		WithNext("Give it the current root key first.").
		WithCause(err)
}

// rotateRoot creates a new root key if the root key is a file. The new key is on disk before
// anything depends on it, so that a kill at any moment leaves a database that opens.
func (r *Rotator) rotateRoot(ctx context.Context, actor authz.Principal) error {
	if err := r.gate.Check(ctx, actor, authz.SecretManage, resource(Root)); err != nil {
		return err
	}
	root, files := r.k.seal.currentRoot(), r.k.seal.folder
	if root.where != "file "+Root.pathOf(files.folder) {
		return problem.Newf(problem.Conflict, "The root key is set (%s), so Sluice cannot replace it.", root.where).
			WithNext("Start Sluice with the new key (`sluice secret generate` prints one) in LANGFLOW_SECRET_KEY " +
				"and the current one in SLUICE_FORMER_SECRET_KEY; in AWS Secrets Manager the new value alone is " +
				"enough.")
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
			// The current root key may be lost. A keyset that a previous one opens is enough to
			// create another.
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
		return r.k.keys.put(
			ctx,
			tx,
			q.PutSecretKeyParams{Name: string(Root), Kid: kid, Source: root.where, CreatedAt: r.now().UnixMilli()},
		)
	})
	if err != nil {
		return err
	}
	return files.finishNext(next)
}
