package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"sluice/internal/authz"
	"sluice/internal/config"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/server"
)

// userCommand works directly on the database: a person with a shell on the host who can read the
// data is the operator. A running server follows immediately.
type userCommand struct {
	Create        userCreate        `cmd:"" help:"Add a person."`
	List          userList          `cmd:"" help:"List people."`
	ResetLink     userResetLink     `cmd:"" name:"reset-link" help:"Print a one-time link with which a person sets a new password."`
	Promote       userPromote       `cmd:"" help:"Give a person a role, or make a superuser."`
	Disable       userDisable       `cmd:"" help:"Deactivate a person at once."`
	Enable        userEnable        `cmd:"" help:"Activate a disabled person again."`
	Factors       userFactors       `cmd:"" help:"List a person's second factors."`
	RemoveFactors userRemoveFactors `cmd:"" name:"remove-factors" help:"Remove all second factors of a person who lost them."`
}

// operator is the principal of the command line.
func operator() authz.Principal { return authz.SystemPrincipal("cli") }

// withCore opens the data, runs fn, and closes it. It logs only errors in the background.
func withCore(rt *Runtime, fn func(ctx context.Context, c *server.Core) error) error {
	loaded, err := rt.Load(nil)
	if err != nil {
		return err
	}
	return withCoreOf(rt, loaded.Values, fn)
}

// withCoreOf is withCore with values that a command has changed.
func withCoreOf(rt *Runtime, values config.Values, fn func(ctx context.Context, c *server.Core) error) error {
	ctx := context.Background()
	values.LogLevel = max(values.LogLevel, slog.LevelWarn)
	log, lines := newLogger(values, rt.Stderr)
	defer lines.Close()
	core, err := server.OpenCore(ctx, values, log)
	if err != nil {
		return err
	}
	err = fn(ctx, core)
	core.Close(ctx)
	return spoken(err)
}

// spoken rewords an error for a person at the terminal: what was wrong, and what to do.
func spoken(err error) error {
	if err == nil {
		return nil
	}
	p := problem.Of(err)
	if p.Kind == problem.Internal {
		return err
	}
	text := p.Detail
	if p.Field != "" {
		text = p.Field + ": " + text
	}
	if p.Next != "" {
		text += " " + p.Next
	}
	return fmt.Errorf("%s", text)
}

type userCreate struct {
	Who           string `arg:"" help:"Email address or username."`
	Username      string `help:"Username, if WHO is an email address. Default: the part before the @."`
	Email         string `help:"Email address, if WHO is a username."`
	Name          string `help:"Full name."`
	Role          string `default:"viewer" enum:"admin,user,viewer" help:"Role in the default workspace: admin, user or viewer."`
	Superuser     bool   `help:"May everything."`
	Inactive      bool   `help:"Add the person as inactive."`
	PasswordStdin bool   `help:"Read the password from standard input. Without this, the command prints a one-time link."`
}

func (c *userCreate) Run(rt *Runtime) error {
	n := identity.NewUser{
		Username:  c.Who,
		Email:     c.Email,
		Name:      c.Name,
		Role:      c.Role,
		Superuser: c.Superuser,
		Active:    !c.Inactive,
	}
	if local, _, ok := strings.Cut(c.Who, "@"); ok {
		n.Email, n.Username = c.Who, local
		if c.Username != "" {
			n.Username = c.Username
		}
	}
	if c.PasswordStdin {
		password, err := readLine(rt.Stdin)
		if err != nil {
			return err
		}
		n.Password = password
	}
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		u, err := core.People.Create(ctx, operator(), n)
		if err != nil {
			return err
		}
		fmt.Fprintf(rt.Stdout, "Added %s (%s).\n", u.Username, standing(u))
		if n.Password == "" && u.Active {
			return printReset(ctx, rt, core, u)
		}
		return nil
	})
}

// readLine reads one line of at most 4 KiB.
func readLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", &UsageError{
			Problem: "no password on standard input",
			Hint:    "For example: printf '%s\\n' \"$PASSWORD\" | sluice user create ann@example.com --password-stdin",
		}
	}
	return line, nil
}

type userList struct {
	Query string `arg:"" optional:"" help:"A part of a username, name or email address."`
	JSON  bool   `help:"Print JSON."`
}

func (c *userList) Run(rt *Runtime) error {
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		var people []identity.User
		for {
			page, total, err := core.People.List(
				ctx,
				operator(),
				identity.Filter{Query: c.Query, Limit: 200, Offset: len(people)},
			)
			if err != nil {
				return err
			}
			people = append(people, page...)
			if len(page) == 0 || len(people) >= total {
				break
			}
		}
		if c.JSON {
			return printPeopleJSON(rt.Stdout, people)
		}
		if len(people) == 0 {
			fmt.Fprintln(
				rt.Stdout,
				"No one. Add the first admin with the setup link that `sluice serve` prints, or with: sluice user "+
					"create you@example.com --superuser",
			)
			return nil
		}
		table := tabwriter.NewWriter(rt.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "USERNAME\tE-MAIL\tROLE\tSTATE\tLAST SIGN-IN")
		for _, u := range people {
			fmt.Fprintf(
				table,
				"%s\t%s\t%s\t%s\t%s\n",
				u.Username,
				u.Email,
				roleOf(u),
				stateOf(u),
				since(u.LastSignInAt),
			)
		}
		return table.Flush()
	})
}

func printPeopleJSON(out io.Writer, people []identity.User) error {
	type row struct {
		ID           string `json:"id"`
		Username     string `json:"username"`
		Email        string `json:"email"`
		Name         string `json:"name"`
		Role         string `json:"role"`
		Superuser    bool   `json:"superuser"`
		Active       bool   `json:"active"`
		CreatedAt    string `json:"created_at"`
		LastSignInAt string `json:"last_sign_in_at,omitempty"`
	}
	rows := make([]row, len(people))
	for i, u := range people {
		rows[i] = row{
			ID:        u.ID,
			Username:  u.Username,
			Email:     u.Email,
			Name:      u.Name,
			Role:      u.Role,
			Superuser: u.Superuser,
			Active:    u.Active,
			CreatedAt: u.CreatedAt.Format(time.RFC3339),
		}
		if !u.LastSignInAt.IsZero() {
			rows[i].LastSignInAt = u.LastSignInAt.Format(time.RFC3339)
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(rows)
}

func roleOf(u identity.User) string {
	role := strings.ToLower(authz.RoleTitle(u.Role))
	if u.Superuser {
		return role + ", superuser"
	}
	return role
}

func stateOf(u identity.User) string {
	switch {
	case !u.Active:
		return "disabled"
	case !u.HasPassword:
		return "no password yet"
	}
	return "active"
}

func standing(u identity.User) string { return roleOf(u) + ", " + stateOf(u) }

func since(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// who selects the person of a command.
type who struct {
	Who string `arg:"" help:"Username or email address."`
}

// on finds the person and runs fn.
func (w who) on(rt *Runtime, fn func(ctx context.Context, c *server.Core, u identity.User) error) error {
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		u, err := core.People.Find(ctx, operator(), w.Who)
		if err != nil {
			return err
		}
		return fn(ctx, core, u)
	})
}

type userResetLink struct{ who }

func (c *userResetLink) Run(rt *Runtime) error {
	return c.on(rt, func(ctx context.Context, core *server.Core, u identity.User) error {
		return printReset(ctx, rt, core, u)
	})
}

func printReset(ctx context.Context, rt *Runtime, core *server.Core, u identity.User) error {
	token, expires, err := core.SignUps.ResetLink(ctx, operator(), u.ID)
	if err != nil {
		return err
	}
	base := server.BaseURL(core.Values)
	fmt.Fprintf(
		rt.Stdout,
		"%s/reset?token=%s\n\nThe link lets %s set a password. It works once, until %s.\n",
		base,
		url.QueryEscape(token),
		u.Username,
		expires.Local().Format("2006-01-02 15:04"),
	)
	return nil
}

type userPromote struct {
	who
	Role      string `enum:"admin,user,viewer,none," default:"" help:"Role in the default workspace: admin, user, viewer, or none to remove it."`
	Superuser *bool  `negatable:"" help:"Make the person a superuser (--no-superuser removes it). This is the default without a role."`
}

func (c *userPromote) Run(rt *Runtime) error {
	return c.on(rt, func(ctx context.Context, core *server.Core, u identity.User) error {
		if c.Role == "" && c.Superuser == nil {
			yes := true
			c.Superuser = &yes
		}
		if c.Role != "" {
			role := strings.TrimSuffix(c.Role, "none")
			if err := core.People.SetRole(ctx, operator(), u.ID, identity.DefaultWorkspace, role); err != nil {
				return err
			}
		}
		if c.Superuser != nil {
			if err := core.People.Update(ctx, operator(), u.ID,
				identity.UserUpdate{Superuser: problem.Some(*c.Superuser)}); err != nil {
				return err
			}
		}
		return printStanding(ctx, rt, core, u.ID)
	})
}

func printStanding(ctx context.Context, rt *Runtime, core *server.Core, id string) error {
	u, err := core.People.Get(ctx, operator(), id)
	if err == nil {
		fmt.Fprintf(rt.Stdout, "%s: %s\n", u.Username, standing(u))
	}
	return err
}

type userDisable struct{ who }

func (c *userDisable) Run(rt *Runtime) error { return setActive(rt, c.who, false) }

type userEnable struct{ who }

func (c *userEnable) Run(rt *Runtime) error { return setActive(rt, c.who, true) }

func setActive(rt *Runtime, w who, on bool) error {
	return w.on(rt, func(ctx context.Context, core *server.Core, u identity.User) error {
		if err := core.People.Update(ctx, operator(), u.ID, identity.UserUpdate{Active: problem.Some(on)}); err != nil {
			return err
		}
		return printStanding(ctx, rt, core, u.ID)
	})
}
