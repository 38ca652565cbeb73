package secret

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"sluice/internal/db"
	"sluice/internal/problem"
)

// RootFile is the root key's file name inside SECRETKEY_PATH.
const RootFile = "sluice_root.key"

// nextRoot is the name of the file that holds a new root key while the keyset is being wrapped with
// it.
const nextRoot Name = "SLUICE_ROOT_NEXT"

// errOvertaken means that another process changed the keyset meanwhile. Reading it again helps.
var errOvertaken error = problem.New(problem.Conflict, "Another process is replacing the same keys.").
	WithNext("Try again in a moment.")

// places are the sources in their order: variables, AWS if configured, files.
type places struct {
	all    []Source
	aws    *awsSource // nil if not configured
	files  files
	former string
}

func newPlaces(c Config) *places {
	p := &places{files: files{c.Folder}, former: strings.TrimSpace(c.FormerRoot)}
	p.all = []Source{environment(c.Given)}
	if c.AWS != nil {
		p.aws = newAWSSource(*c.AWS)
		p.all = append(p.all, p.aws)
	}
	p.all = append(p.all, p.files)
	return p
}

// keeper is where Sluice stores a root key that it creates.
func (p *places) keeper() keeper {
	if p.aws != nil {
		return p.aws
	}
	return p.files
}

// passOverForeignRoot removes the root key from the given secrets, unless it opens the existing
// keyset, or the database has no keyset yet.
func (c *Config) passOverForeignRoot(ctx context.Context) error {
	given, ok := c.Given[Root]
	if !ok {
		return nil
	}
	empty := true
	for _, name := range []string{keysetName, formerName} {
		stored, err := db.Meta(ctx, c.DB.Read(), name)
		if err != nil {
			return fmt.Errorf("reading the keyset: %w", err)
		}
		if _, err := unwrapKeyset(stored, given.Text); err == nil {
			return nil
		}
		empty = empty && stored == ""
	}
	if !empty {
		c.Given = maps.Clone(c.Given)
		delete(c.Given, Root)
	}
	return nil
}

// makeRoot creates a root key and stores it.
func (p *places) makeRoot(ctx context.Context) (found, error) {
	text, err := randomText()
	if err != nil {
		return found{}, err
	}
	kept, where, err := p.keeper().Keep(ctx, Root, text)
	if err != nil {
		return found{}, err
	}
	if why := Weakness(kept); why != "" {
		return found{}, weakRoot(Weak{Where: where, Why: why})
	}
	return found{text: kept, where: where}, nil
}

func randomText() (string, error) {
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return base64.StdEncoding.EncodeToString(key), err
}

func weakRoot(w Weak) error {
	return problem.Newf(problem.Invalid, "The root key (%s) is damaged or invalid: it %s.", w.Where, w.Why).
		WithNext("Restore it from a backup: without it the secrets in the database cannot be opened. If it has no " +
			"secrets yet, replace it with the output of `sluice secret generate`.")
}

// openVault finds the root key and opens the keyset with it. The first start creates both.
func (s *sealer) openVault(ctx context.Context, p *places) (weak []Weak, err error) {
	chosen, weak, err := resolve(ctx, p.all, Root)
	if err != nil {
		return nil, err
	}
	for _, w := range weak {
		if strings.HasPrefix(w.Where, "file ") {
			return nil, weakRoot(w)
		}
	}
	err = s.openKeyset(ctx, p, chosen, weak)
	for try := 0; errors.Is(err, errOvertaken) && try < 3; try++ {
		err = s.openKeyset(ctx, p, chosen, weak)
	}
	return weak, err
}

func (s *sealer) openKeyset(ctx context.Context, p *places, chosen found, weak []Weak) error {
	stored, err := db.Meta(ctx, s.db.Read(), keysetName)
	if err != nil {
		return fmt.Errorf("reading the keyset: %w", err)
	}
	if chosen.where == "" && stored == "" {
		chosen, err = p.makeRoot(ctx)
	} else if chosen.where == "" {
		// Another node that starts at the same time may have created it since this one looked.
		if p.aws != nil {
			p.aws.shared = nil
		}
		chosen, _, err = resolve(ctx, p.all, Root)
	}
	if err != nil {
		return err
	}
	if stored == "" {
		if stored, err = s.createKeyset(ctx, chosen.text); err != nil {
			return fmt.Errorf("creating the keyset: %w", err)
		}
	}
	handle, err := s.unlock(ctx, p, chosen, stored, weak)
	if err != nil {
		return err
	}
	v, err := newVaultKeys(handle)
	if err == nil {
		s.vault.Store(v)
	}
	return err
}

func (s *sealer) createKeyset(ctx context.Context, root string) (stored string, err error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", err
	}
	text, err := wrapKeyset(handle, root)
	if err != nil {
		return "", err
	}
	err = s.db.System(ctx, "first secrets", func(tx *db.Tx) error {
		if err := tx.PutMetaIfAbsent(ctx, keysetName, text); err != nil {
			return err
		}
		stored, err = db.Meta(ctx, tx, keysetName)
		return err
	})
	return stored, err
}

// unlock opens the stored keyset with the chosen root key, or the kept keyset of a previous root
// key if that is the chosen one. Otherwise it opens the keyset with a root key that was used
// before, and wraps it with the chosen one.
func (s *sealer) unlock(
	ctx context.Context,
	p *places,
	chosen found,
	stored string,
	weak []Weak,
) (*keyset.Handle, error) {
	former, err := db.Meta(ctx, s.db.Read(), formerName)
	if err != nil {
		return nil, err
	}
	s.root, s.former = chosen, false
	if chosen.where != "" {
		if handle, err := unwrapKeyset(stored, chosen.text); err == nil {
			return handle, nil
		}
	}
	older := p.olderRoots(ctx, chosen, weak)
	for _, old := range older {
		if handle, err := unwrapKeyset(stored, old.text); err == nil {
			return handle, s.adoptRoot(ctx, p, chosen, old, stored, handle)
		}
	}
	if chosen.where != "" {
		if handle, err := unwrapKeyset(former, chosen.text); err == nil {
			s.former = true
			return handle, nil
		}
	}
	for _, old := range older {
		if handle, err := unwrapKeyset(former, old.text); err == nil {
			return handle, s.adoptRoot(ctx, p, chosen, old, stored, handle)
		}
	}
	return nil, lockedOut(p, chosen)
}

// olderRoots returns other root keys that this node can find.
func (p *places) olderRoots(ctx context.Context, chosen found, weak []Weak) (old []found) {
	add := func(text, where string) {
		if text != "" && text != chosen.text {
			old = append(old, found{text: text, where: where})
		}
	}
	if text, where, err := p.files.Get(ctx, nextRoot); err == nil {
		add(text, where)
	}
	add(p.former, "SLUICE_FORMER_SECRET_KEY")
	for _, w := range weak {
		add(w.text, w.Where)
	}
	if p.aws != nil {
		add(p.aws.previous(ctx), "the previous value in "+p.aws.place(p.aws.Name))
	}
	for _, s := range p.all {
		// A source that cannot be read has no root key to offer.
		if text, where, err := s.Get(ctx, Root); err == nil {
			add(text, where)
		}
	}
	return old
}

// adoptRoot wraps the keyset with the chosen root key, which is created if missing. The keyset
// under the old root key is kept, so that nodes that have only that key keep working. The next new
// key of the vault removes it.
func (s *sealer) adoptRoot(
	ctx context.Context,
	p *places,
	chosen, old found,
	stored string,
	handle *keyset.Handle,
) (err error) {
	if strings.HasSuffix(old.where, nextRoot.fileName()) {
		// A rotation was killed after the keyset was wrapped.
		s.root = found{text: old.text, where: "file " + Root.pathOf(p.files.folder)}
		return p.files.finishNext(old.text)
	}
	if chosen.where == "" {
		if chosen, err = p.makeRoot(ctx); err != nil {
			return err
		}
		s.root = chosen
	}
	err = s.db.System(
		ctx,
		"given secrets",
		func(tx *db.Tx) error { return rewrap(ctx, tx, handle, stored, chosen.text) },
	)
	if err != nil {
		return fmt.Errorf("wrapping the keyset with the new root key: %w", err)
	}
	s.log.Info(
		"the secrets in the database are now protected by another root key",
		"from",
		old.where,
		"to",
		chosen.where,
	)
	return nil
}

// rewrap stores the keyset for a new root key and keeps the one that the old root key opens.
func rewrap(ctx context.Context, tx *db.Tx, handle *keyset.Handle, stored, root string) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	if err := storeKeyset(ctx, tx, handle, stored, root); err != nil {
		return err
	}
	if err := tx.PutMeta(ctx, formerName, stored); err != nil {
		return err
	}
	return tx.Changed(ChangeKind, string(Root))
}

func lockedOut(p *places, chosen found) error {
	const next = "Give Sluice the root key that this database was created with: " +
		"the file " + RootFile + ", or LANGFLOW_SECRET_KEY (the file's content works). If the key was changed, set " +
		"SLUICE_FORMER_SECRET_KEY to the previous one. Or start with an empty database."
	if chosen.where == "" {
		where := "SECRETKEY_PATH (" + p.files.folder + ")"
		if p.aws != nil {
			where = p.aws.place(p.aws.Name) + ", like " + where + ","
		}
		return problem.Newf(problem.Conflict, "LANGFLOW_SECRET_KEY is not set, %s contains no root key, and a new "+
			"one cannot open the secrets in this database.", where).
			WithNext(next)
	}
	return problem.Newf(problem.Conflict, "The root key (LANGFLOW_SECRET_KEY; %s) does not open the secrets in this "+
		"database.", chosen.where).
		WithNext(next)
}
