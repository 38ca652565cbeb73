package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/problem"
	"sluice/internal/server"
)

// keyCommand works directly on the database, like userCommand; a running server follows
// immediately.
type keyCommand struct {
	Create keyCreate `cmd:"" help:"Create an API key for a person and print it, once."`
	List   keyList   `cmd:"" help:"List API keys."`
	Rotate keyRotate `cmd:"" help:"Give an API key a new secret and print it, once."`
	Revoke keyRevoke `cmd:"" help:"Revoke an API key at once."`
}

type keyCreate struct {
	Who       string   `arg:"" help:"The owner: username or email address."`
	Name      string   `arg:"" help:"The name that people see."`
	Workspace string   `default:"default" help:"Id or name of the workspace that it works in."`
	Action    []string `help:"A permission, such as flow:run or chatflows:view. Repeatable. Default: everything that the owner can do in the workspace."`
	App       []string `help:"Id of an app that it is for. Repeatable. Default: all."`
	Flow      []string `help:"Id of a flow that it is for. Repeatable. Default: all."`
	Network   []string `help:"Network in CIDR form, or address, that it can be used from. Repeatable. Default: everywhere."`
	PerMinute int64    `help:"The most requests in a minute; 0 means no limit."`
	PerDay    int64    `help:"The most requests in a day; 0 means no limit."`
	Days      int      `help:"How long it is valid. Default: as long as SLUICE_API_KEY_MAX_DAYS permits."`
}

func (c *keyCreate) Run(rt *Runtime) error {
	if c.Days < 0 {
		return &UsageError{Problem: "--days must be at least 1"}
	}
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		u, err := core.People.Find(ctx, operator(), c.Who)
		if err != nil {
			return err
		}
		workspace, err := workspaceID(ctx, core, c.Workspace)
		if err != nil {
			return err
		}
		n := authn.NewAPIKey{
			Owner:     u.ID,
			Workspace: workspace,
			Name:      c.Name,
			Networks:  c.Network,
			PerMinute: c.PerMinute,
			PerDay:    c.PerDay,
			Scope:     authn.KeyScope{Apps: c.App, Flows: c.Flow}, Expires: inDays(c.Days),
		}
		for _, a := range c.Action {
			n.Scope.Actions = append(n.Scope.Actions, authz.Action(a))
		}
		key, secret, err := core.Keys.Create(ctx, operator(), n)
		if err != nil {
			return err
		}
		printSecret(rt, key, secret)
		return nil
	})
}

// inDays returns when a key expires that lasts this many days; for 0 the zero time, which means as
// late as permitted.
func inDays(days int) time.Time {
	if days == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(days) * 24 * time.Hour)
}

// printSecret prints the key to standard output, where a script can read it, and everything else to
// standard error.
func printSecret(rt *Runtime, k authn.APIKey, secret string) {
	fmt.Fprintln(rt.Stdout, secret)
	fmt.Fprintf(
		rt.Stderr,
		"The key %q of %s, id %s, works in %s until %s. It is shown only once.\n",
		k.Name,
		k.OwnerName,
		k.ID,
		k.WorkspaceName,
		until(k.ExpiresAt),
	)
	if !k.FormerUntil.IsZero() {
		fmt.Fprintf(rt.Stderr, "The previous key works until %s.\n", until(k.FormerUntil))
	}
}

func until(t time.Time) string {
	if t.IsZero() {
		return "it is revoked"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// workspaceID finds a workspace by its id or name.
func workspaceID(ctx context.Context, core *server.Core, text string) (string, error) {
	all, err := core.People.Workspaces(ctx, operator())
	if err != nil {
		return "", err
	}
	for _, w := range all {
		if w.ID == text || strings.EqualFold(w.Name, text) {
			return w.ID, nil
		}
	}
	return "", problem.Newf(problem.NotFound, "There is no workspace %q.", text)
}

type keyList struct {
	Who       string `name:"user" help:"Only the keys of this person: username or email address."`
	Workspace string `help:"Only the keys in this workspace: id or name."`
	JSON      bool   `help:"Print JSON."`
}

func (c *keyList) Run(rt *Runtime) error {
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		keys, err := c.keys(ctx, core)
		switch {
		case err != nil:
			return err
		case c.JSON:
			return printKeysJSON(rt.Stdout, keys)
		case len(keys) == 0:
			fmt.Fprintln(rt.Stdout, "No API keys.")
			return nil
		}
		table := tabwriter.NewWriter(rt.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tKEY\tNAME\tOWNER\tWORKSPACE\tSTATE\tENDS\tLAST USED")
		for _, k := range keys {
			ends := "never"
			if !k.ExpiresAt.IsZero() {
				ends = until(k.ExpiresAt)
			}
			fmt.Fprintf(
				table,
				"%s\t%s…\t%s\t%s\t%s\t%s\t%s\t%s\n",
				k.ID,
				k.Prefix,
				k.Name,
				k.OwnerName,
				k.WorkspaceName,
				keyState(k),
				ends,
				since(k.LastUsedAt),
			)
		}
		return table.Flush()
	})
}

func (c *keyList) keys(ctx context.Context, core *server.Core) ([]authn.APIKey, error) {
	var f authn.KeyFilter
	if c.Who != "" {
		u, err := core.People.Find(ctx, operator(), c.Who)
		if err != nil {
			return nil, err
		}
		f.Owner = u.ID
	}
	if c.Workspace != "" {
		id, err := workspaceID(ctx, core, c.Workspace)
		if err != nil {
			return nil, err
		}
		f.Workspace = id
	}
	if f != (authn.KeyFilter{}) {
		return core.Keys.List(ctx, operator(), f)
	}
	all, err := core.People.Workspaces(ctx, operator())
	if err != nil {
		return nil, err
	}
	var keys []authn.APIKey
	for _, w := range all {
		part, err := core.Keys.List(ctx, operator(), authn.KeyFilter{Workspace: w.ID})
		if err != nil {
			return nil, err
		}
		keys = append(keys, part...)
	}
	return keys, nil
}

func keyState(k authn.APIKey) string {
	switch {
	case !k.RevokedAt.IsZero():
		return "revoked"
	case !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(time.Now()):
		return "expired"
	case !k.Usable:
		return "owner has no access"
	}
	return "active"
}

func printKeysJSON(out io.Writer, keys []authn.APIKey) error {
	type row struct {
		ID         string         `json:"id"`
		Prefix     string         `json:"prefix"`
		Name       string         `json:"name"`
		Owner      string         `json:"owner"`
		Workspace  string         `json:"workspace"`
		State      string         `json:"state"`
		Scope      authn.KeyScope `json:"scope"`
		Networks   []string       `json:"networks"`
		PerMinute  int64          `json:"per_minute"`
		PerDay     int64          `json:"per_day"`
		CreatedAt  string         `json:"created_at"`
		ExpiresAt  string         `json:"expires_at,omitempty"`
		LastUsedAt string         `json:"last_used_at,omitempty"`
		LastUsedIP string         `json:"last_used_ip,omitempty"`
	}
	rows := make([]row, len(keys))
	for i, k := range keys {
		rows[i] = row{
			ID:         k.ID,
			Prefix:     k.Prefix,
			Name:       k.Name,
			Owner:      k.OwnerName,
			Workspace:  k.Workspace,
			State:      keyState(k),
			Scope:      k.Scope,
			Networks:   []string{},
			PerMinute:  k.PerMinute,
			PerDay:     k.PerDay,
			CreatedAt:  k.CreatedAt.Format(time.RFC3339),
			LastUsedIP: k.LastUsedIP,
		}
		for _, n := range k.Networks {
			rows[i].Networks = append(rows[i].Networks, n.String())
		}
		if !k.ExpiresAt.IsZero() {
			rows[i].ExpiresAt = k.ExpiresAt.Format(time.RFC3339)
		}
		if !k.LastUsedAt.IsZero() {
			rows[i].LastUsedAt = k.LastUsedAt.Format(time.RFC3339)
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(rows)
}

type keyRotate struct {
	ID      string        `arg:"" help:"The key's id, as sluice key list shows it."`
	Overlap time.Duration `default:"0" help:"How long the previous key keeps working, such as 24h; at most 168h."`
	Days    int           `help:"How long the new one is valid. Default: the key's original lifetime."`
}

func (c *keyRotate) Run(rt *Runtime) error {
	if c.Days < 0 {
		return &UsageError{Problem: "--days must be at least 1"}
	}
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		key, secret, err := core.Keys.Rotate(
			ctx,
			operator(),
			c.ID,
			authn.Rotation{Overlap: c.Overlap, Expires: inDays(c.Days)},
		)
		if err != nil {
			return err
		}
		printSecret(rt, key, secret)
		return nil
	})
}

type keyRevoke struct {
	ID string `arg:"" help:"The key's id, as sluice key list shows it."`
}

func (c *keyRevoke) Run(rt *Runtime) error {
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		if err := core.Keys.Revoke(ctx, operator(), c.ID); err != nil {
			return err
		}
		fmt.Fprintf(rt.Stdout, "Revoked %s.\n", c.ID)
		return nil
	})
}
