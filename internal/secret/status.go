package secret

import (
	"context"
	"fmt"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
)

// Status is the public state of a secret. It never contains the secret.
type Status struct {
	Name Name
	// Source is where the current value came from: "environment", "file …", "AWS Secrets Manager,
	// …", or "database" if Sluice created it.
	Source string
	// Since is when the value came into use. For a key from before this was recorded, it is when
	// Sluice first saw it. Zero without a value.
	Since time.Time
	// KeyID identifies the key.
	KeyID string
	// Previous are the keys that were replaced and are still accepted.
	Previous []PreviousKey
	// Weak are values that were ignored when this process started.
	Weak []Weak
	// Left is how many values are sealed with a previous key of the vault. It is above 0 while a
	// rotation is unfinished.
	Left int
	// Rotates reports whether Sluice can create a new value itself.
	Rotates bool
}

// PreviousKey is a key that was replaced and is still accepted.
type PreviousKey struct {
	KeyID string
	// Until is when the key is removed at the earliest; zero if that depends on other things.
	Until time.Time
}

// Status lists all secrets.
func (r *Rotator) Status(ctx context.Context, actor authz.Principal) ([]Status, error) {
	if err := r.gate.Check(ctx, actor, authz.SecretManage, authz.Resource{Type: "Secret"}); err != nil {
		return nil, err
	}
	list := make([]Status, 0, len(Names()))
	for _, n := range Names() {
		list = append(list, Status{Name: n})
	}
	if err := r.fillKeys(ctx, list); err != nil {
		return nil, err
	}
	if err := r.fillAssertions(ctx, &list[len(list)-1]); err != nil {
		return nil, err
	}
	var err error
	for i := range list {
		s := &list[i]
		for _, w := range r.k.weak {
			if w.Name == s.Name {
				s.Weak = append(s.Weak, w)
			}
		}
		if s.Name == VaultKey {
			if s.Left, err = r.k.resealer.unsealed(ctx); err != nil {
				return nil, err
			}
		}
		s.Rotates = s.Source == inDatabase || s.Name == Root && s.Source == "file "+Root.pathOf(r.k.seal.folder.folder)
	}
	return list, nil
}

func (r *Rotator) fillKeys(ctx context.Context, list []Status) error {
	rows, err := q.New(r.db.Read()).SecretKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	former, err := db.Meta(ctx, r.db.Read(), formerName)
	if err != nil {
		return err
	}
	for _, row := range rows {
		for i := range list {
			s := &list[i]
			switch {
			case string(s.Name) != row.Name:
			case row.RetiredAt == 0:
				s.Source, s.Since, s.KeyID = row.Source, time.UnixMilli(row.CreatedAt).UTC(), row.Kid
			case s.Name == VaultKey:
				s.Previous = append(s.Previous, PreviousKey{KeyID: row.Kid})
			case s.Name == Root:
				if former != "" {
					s.Previous = []PreviousKey{{KeyID: row.Kid}}
				}
			default:
				s.Previous = append(s.Previous, PreviousKey{KeyID: row.Kid, Until: r.k.keys.until(row).UTC()})
			}
		}
	}
	return nil
}

func (r *Rotator) fillAssertions(ctx context.Context, s *Status) error {
	rows, err := q.New(r.db.Read()).SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys of identity assertions: %w", err)
	}
	s.Source = inDatabase
	for _, row := range rows {
		until := time.UnixMilli(row.RetiredAt).Add(r.k.signer.overlap).UTC()
		switch {
		case row.RetiredAt == 0:
			s.Since, s.KeyID = time.UnixMilli(row.CreatedAt).UTC(), row.Kid
		case until.After(r.now()):
			s.Previous = append(s.Previous, PreviousKey{KeyID: row.Kid, Until: until})
		}
	}
	return nil
}
