package app

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// accountSecrets is the sealed part of a builder's account.
type accountSecrets struct {
	Password string `json:"password,omitempty"`
	Key      string `json:"key,omitempty"`
}

// accountTable is the table name that the secrets of accounts are sealed with.
const accountTable = "builder_account"

// accountStore stores the sealed credentials of accounts in builders. For each app, these are the
// account that Sluice itself works with (its owner), and those that Sluice created or adopted for
// workspaces and people.
type accountStore struct {
	db      *db.DB
	keyring *secret.Keyring
	now     func() time.Time
	log     *slog.Logger
}

// list reads the accounts of an app's builder. If an account's secrets can no longer be opened, it
// is used without them: the bridge gets new ones.
func (s *accountStore) list(ctx context.Context, appID string) ([]builder.Account, error) {
	rows, err := q.New(s.db.Read()).AccountsOfApp(ctx, appID)
	if err != nil {
		return nil, fmt.Errorf("listing the builder's accounts: %w", err)
	}
	out := make([]builder.Account, len(rows))
	for i, row := range rows {
		out[i] = s.read(row)
	}
	return out, nil
}

func (s *accountStore) read(row q.BuilderAccount) builder.Account {
	a := builder.Account{
		ID:        row.UpstreamID,
		Username:  row.Username,
		Workspace: row.WorkspaceID,
		Person:    row.PersonID,
		Adopted:   row.Adopted,
	}
	if row.SecretSealed == "" {
		return a
	}
	var opened accountSecrets
	sealed, err := decode(row.SecretSealed)
	if err == nil {
		sealed, err = s.keyring.Open(sealed, accountTable, row.AppID+"/"+row.UpstreamID)
	}
	if err == nil {
		err = json.Unmarshal(sealed, &opened)
	}
	if err != nil {
		s.log.Error(
			"the stored credentials of a builder's account cannot be read; Sluice signs in to it again",
			"app",
			row.AppID,
			"account",
			row.UpstreamID,
			"error",
			err,
		)
	}
	a.Password, a.Key = opened.Password, opened.Key
	return a
}

func (s *accountStore) seal(appID string, a builder.Account) (string, error) {
	if a.Password == "" && a.Key == "" {
		return "", nil
	}
	plain, err := json.Marshal(accountSecrets{Password: a.Password, Key: a.Key})
	if err != nil {
		return "", err
	}
	sealed, err := s.keyring.Seal(plain, accountTable, appID+"/"+a.ID)
	if err != nil {
		return "", fmt.Errorf("sealing a builder's account: %w", err)
	}
	return encode(sealed), nil
}

// keep stores a new or changed account of an app's builder, see builder.BridgeConfig.Keep. All
// nodes learn of it.
func (s *accountStore) keep(
	ctx context.Context,
	appID string,
	a builder.Account,
	gone string,
) (builder.Account, error) {
	kept := a
	err := s.db.System(ctx, "builder accounts", func(tx *db.Tx) error {
		if gone != "" && gone != a.ID {
			if _, err := q.New(tx).DeleteBuilderAccount(ctx,
				q.DeleteBuilderAccountParams{AppID: appID, UpstreamID: gone}); err != nil {
				return fmt.Errorf("forgetting an account that the builder no longer has: %w", err)
			}
		}
		var err error
		if kept, err = s.keepIn(ctx, tx, appID, a); err != nil {
			return err
		}
		return tx.Changed(ChangeKind, appID)
	})
	return kept, err
}

func (s *accountStore) keepIn(
	ctx context.Context,
	tx *db.Tx,
	appID string,
	a builder.Account,
) (builder.Account, error) {
	sealed, err := s.seal(appID, a)
	if err != nil {
		return a, err
	}
	made, err := q.New(tx).InsertBuilderAccount(ctx, q.InsertBuilderAccountParams{
		AppID:        appID,
		UpstreamID:   a.ID,
		WorkspaceID:  a.Workspace,
		PersonID:     a.Person,
		Username:     a.Username,
		Adopted:      a.Adopted,
		SecretSealed: sealed,
		CreatedAt:    s.now().UnixMilli(),
	})
	if err != nil {
		return a, fmt.Errorf("storing a builder's account: %w", err)
	}
	if made > 0 {
		return a, nil
	}
	row, err := q.New(tx).GetBuilderAccount(ctx, q.GetBuilderAccountParams{AppID: appID, UpstreamID: a.ID})
	if problem.Is(db.Found(err, "none"), problem.NotFound) && !a.Adopted {
		// Another node has created the account of this home.
		if row, err = q.New(tx).OwnBuilderAccount(ctx,
			q.OwnBuilderAccountParams{AppID: appID, WorkspaceID: a.Workspace, PersonID: a.Person}); err == nil {
			return s.read(row), nil
		}
	}
	if err != nil {
		return a, fmt.Errorf("reading a builder's account: %w", err)
	}
	if row.WorkspaceID != a.Workspace || row.PersonID != a.Person {
		return a, problem.Newf(problem.Conflict, "The builder's account %q already belongs to another workspace.",
			a.Username).
			WithField("user").
			WithNext("Release it there first.")
	}
	a.Adopted = row.Adopted
	return a, q.New(tx).
		UpdateBuilderAccount(ctx,
			q.UpdateBuilderAccountParams{AppID: appID, UpstreamID: a.ID, Username: a.Username, SecretSealed: sealed})
}

// name is the builder's name for the account of a workspace, or of a person in it. It consists of
// names that people know, and a suffix that is different for each home and app.
func (s *accountStore) name(ctx context.Context, appID, workspaceID, personID string) (string, error) {
	workspace, err := q.New(s.db.Read()).GetWorkspace(ctx, workspaceID)
	if err != nil {
		return "", db.Found(err, "There is no such workspace.")
	}
	label := slugOf(workspace.Name)
	if personID != "" {
		person, err := q.New(s.db.Read()).GetAccount(ctx, personID)
		if err != nil {
			return "", db.Found(err, "There is no such person.")
		}
		label = strings.Trim(label+"-"+slugOf(person.Username), "-")
	}
	sum := sha256.Sum256([]byte(appID + "\n" + workspaceID + "\n" + personID))
	if label != "" {
		label += "-"
	}
	return "sluice-" + label + hex.EncodeToString(sum[:4]), nil
}

// slugOf makes a name fit for addresses and usernames; "" if nothing is left of it.
func slugOf(name string) string {
	slug := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
	return strings.Trim(slug[:min(len(slug), 40)], "-")
}

// owner is the sealed form of the service account.
type owner struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	// Superuser is the name that Password belongs to in a builder with accounts. SecretKey signs
	// such a builder's tokens.
	Superuser string `json:"superuser,omitempty"`
	SecretKey string `json:"secret_key,omitempty"`
	// Made reports that Sluice registered the account itself.
	Made bool `json:"made"`
	// Pending reports that the account is stored but not yet registered or tested.
	Pending bool `json:"pending"`
}

// owner reads the account by which Sluice gets into an app's builder. It is empty if no account is
// stored.
func (s *accountStore) owner(row q.App) (owner, error) {
	var o owner
	if row.OwnerSealed == "" {
		return o, nil
	}
	sealed, err := decode(row.OwnerSealed)
	if err != nil {
		return o, fmt.Errorf("reading the owner account: %w", err)
	}
	plain, err := s.keyring.Open(sealed, "app", row.ID)
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(plain, &o)
}

// sealOwner is the stored form of an owner account.
func (s *accountStore) sealOwner(appID string, o owner) (string, error) {
	plain, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	sealed, err := s.keyring.Seal(plain, "app", appID)
	if err != nil {
		return "", fmt.Errorf("sealing how Sluice gets into a builder: %w", err)
	}
	return encode(sealed), nil
}

// encode and decode convert a sealed value to and from text.
func encode(sealed []byte) string { return base64.StdEncoding.EncodeToString(sealed) }

func decode(text string) ([]byte, error) { return base64.StdEncoding.DecodeString(text) }
