package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"sluice/internal/login"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
	"sluice/internal/server"
)

// signInCommand is for operators who cannot sign in to the console. It works directly on the
// database, as userCommand does.
type signInCommand struct {
	Password  signInPassword  `cmd:"" help:"Show or choose who can sign in with a password."`
	Providers signInProviders `cmd:"" help:"List the identity providers."`
	Disable   signInDisable   `cmd:"" help:"Take an identity provider out of use. No one is signed out."`
	Enable    signInEnable    `cmd:"" help:"Enable an identity provider again."`
}

type signInPassword struct {
	Who string `arg:"" optional:"" enum:"everyone,superusers," default:"" help:"everyone, or superusers, who always can. Without it, the current setting is shown."`
}

func (c *signInPassword) Run(rt *Runtime) error {
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		if c.Who != "" {
			if err := core.Logins.SetPasswordPolicy(ctx, operator(), c.Who); err != nil {
				return err
			}
		}
		return printPasswordPolicy(rt, core.Logins.PasswordPolicy())
	})
}

func printPasswordPolicy(rt *Runtime, policy string) error {
	text := "Everyone can sign in with a password."
	if policy == login.PasswordSuperusers {
		text = "Only superusers can sign in with a password. Everyone else uses single sign-on or a passkey."
	}
	_, err := fmt.Fprintln(rt.Stdout, text)
	return err
}

type signInProviders struct {
	JSON bool `help:"Print JSON."`
}

func (c *signInProviders) Run(rt *Runtime) error {
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		list, err := core.Providers.List(ctx, operator())
		if err != nil {
			return err
		}
		if c.JSON {
			return printProvidersJSON(rt, list)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(rt.Stdout, "None. An admin adds them on the console's sign-in page.")
			return err
		}
		table := tabwriter.NewWriter(rt.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "SLUG\tNAME\tKIND\tSTATE\tISSUER")
		for _, p := range list {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", p.Slug, p.Name, p.Kind, inUse(p.Enabled), p.Issuer)
		}
		return table.Flush()
	})
}

func printProvidersJSON(rt *Runtime, list []sso.Provider) error {
	type row struct {
		ID      string `json:"id"`
		Slug    string `json:"slug"`
		Name    string `json:"name"`
		Kind    string `json:"kind"`
		Enabled bool   `json:"enabled"`
		Issuer  string `json:"issuer,omitempty"`
	}
	rows := make([]row, len(list))
	for i, p := range list {
		rows[i] = row{p.ID, p.Slug, p.Name, p.Kind, p.Enabled, p.Issuer}
	}
	return printJSON(rt.Stdout, rows)
}

func inUse(enabled bool) string {
	if enabled {
		return "in use"
	}
	return "disabled"
}

// providerArg selects the provider of a command.
type providerArg struct {
	Slug string `arg:"" help:"The provider's short name, as listed."`
}

type signInDisable struct{ providerArg }

func (c *signInDisable) Run(rt *Runtime) error { return c.enable(rt, false) }

type signInEnable struct{ providerArg }

func (c *signInEnable) Run(rt *Runtime) error { return c.enable(rt, true) }

func (c providerArg) enable(rt *Runtime, on bool) error {
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		list, err := core.Providers.List(ctx, operator())
		if err != nil {
			return err
		}
		for _, p := range list {
			if p.Slug != c.Slug {
				continue
			}
			if err := core.Providers.EnableProvider(ctx, operator(), p.ID, on); err != nil {
				return err
			}
			_, err := fmt.Fprintf(rt.Stdout, "%s: %s\n", p.Slug, inUse(on))
			return err
		}
		return problem.Newf(problem.NotFound, "There is no identity provider %.40q.", c.Slug).
			WithNext("`sluice sign-in providers` lists them.")
	})
}
