package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"sluice/internal/identity"
	"sluice/internal/login/factor"
	"sluice/internal/server"
)

type userFactors struct {
	who
	JSON bool `help:"Print JSON."`
}

func (c *userFactors) Run(rt *Runtime) error {
	return c.on(rt, func(ctx context.Context, core *server.Core, u identity.User) error {
		f, err := core.Factors.List(ctx, operator(), u.ID)
		if err != nil {
			return err
		}
		if c.JSON {
			return printFactorsJSON(rt.Stdout, f)
		}
		if !f.Any() {
			fmt.Fprintf(rt.Stdout, "%s has no second factor.\n", u.Username)
			return nil
		}
		return printFactors(rt.Stdout, f)
	})
}

func printFactors(out io.Writer, f factor.Set) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FACTOR\tNAME\tSINCE\tLAST USED")
	if !f.TOTPSince.IsZero() {
		fmt.Fprintf(table, "authenticator app\t\t%s\t%s\n", since(f.TOTPSince), since(f.TOTPUsed))
	}
	for _, k := range f.Passkeys {
		fmt.Fprintf(table, "passkey\t%s (%s)\t%s\t%s\n", k.Name, k.RP, since(k.CreatedAt), since(k.UsedAt))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s.\n", plural(f.RecoveryLeft, "recovery code is left", "recovery codes are left"))
	return err
}

func printFactorsJSON(out io.Writer, f factor.Set) error {
	type row struct {
		Kind      string `json:"kind"`
		ID        string `json:"id,omitempty"`
		Name      string `json:"name,omitempty"`
		Host      string `json:"host,omitempty"`
		CreatedAt string `json:"created_at"`
		UsedAt    string `json:"used_at,omitempty"`
	}
	factors := []row{}
	if !f.TOTPSince.IsZero() {
		factors = append(factors, row{Kind: "totp", CreatedAt: stamp(f.TOTPSince), UsedAt: stamp(f.TOTPUsed)})
	}
	for _, k := range f.Passkeys {
		factors = append(
			factors,
			row{
				Kind:      "passkey",
				ID:        k.ID,
				Name:      k.Name,
				Host:      k.RP,
				CreatedAt: stamp(k.CreatedAt),
				UsedAt:    stamp(k.UsedAt),
			},
		)
	}
	return printJSON(
		out,
		map[string]any{"factors": factors, "recovery_codes_left": f.RecoveryLeft, "has_password": f.HasPassword},
	)
}

// stamp formats a time for programs; "" for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

type userRemoveFactors struct{ who }

func (c *userRemoveFactors) Run(rt *Runtime) error {
	return c.on(rt, func(ctx context.Context, core *server.Core, u identity.User) error {
		if err := core.Factors.RemoveFactors(ctx, operator(), u.ID); err != nil {
			return err
		}
		fmt.Fprintf(rt.Stdout, "%s no longer has a second factor.%s\n", u.Username, nextSignIn(core, u))
		return nil
	})
}

// nextSignIn describes what the person's next sign-in will require.
func nextSignIn(core *server.Core, u identity.User) string {
	if p, _ := core.People.Principal(u.ID); core.People.SecondFactorFor(p) == identity.FactorRequired {
		return " A workspace requires one, so the next sign-in sets it up."
	}
	return " The next sign-in does not ask for one."
}
