package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"sluice/internal/config"
	"sluice/internal/problem"
	"sluice/internal/secret"
	"sluice/internal/server"
)

// secretCommand works directly on the database, as userCommand does; a running server follows
// immediately.
type secretCommand struct {
	Generate secretGenerate `cmd:"" help:"Print a random value that works for every secret."`
	Status   secretStatus   `cmd:"" help:"Show where each secret comes from, how old it is, and which previous keys are still accepted."`
	Rotate   secretRotate   `cmd:"" help:"Replace keys while Sluice runs. No one is signed out."`
	Forget   secretForget   `cmd:"" help:"Remove previous keys now. This revokes everything created with them: sessions, links, tokens, API keys."`
}

type secretGenerate struct {
	Env bool `help:"Print a line NAME=value for each secret, for an env file."`
}

// Run prints 32 random bytes in base64url without padding: suitable as a secret for Sluice or
// Flowise, and as Langflow's Fernet key.
func (c *secretGenerate) Run(rt *Runtime) error {
	if !c.Env {
		value, err := randomSecret()
		if err == nil {
			_, err = fmt.Fprintln(rt.Stdout, value)
		}
		return err
	}
	for _, n := range []secret.Name{secret.Root, secret.AccessToken, secret.RefreshToken, secret.Session,
		secret.TokenHash} {
		value, err := randomSecret()
		if err == nil {
			_, err = fmt.Fprintf(rt.Stdout, "%s=%s\n", n, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func randomSecret() (string, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("reading random bytes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

type secretStatus struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (c *secretStatus) Run(rt *Runtime) error {
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		list, err := secret.NewRotator(core.Keyring, core.Gate).Status(ctx, operator())
		if err != nil {
			return err
		}
		if c.JSON {
			return printSecretsJSON(rt.Stdout, list, core.Keyring.Warnings())
		}
		if err := printSecrets(rt.Stdout, list, time.Now()); err != nil {
			return err
		}
		for i, warning := range core.Keyring.Warnings() {
			if i == 0 {
				fmt.Fprintln(rt.Stdout)
			}
			if err := printWrapped(rt.Stdout, "warning: "+warning, 9, rt.width()); err != nil {
				return err
			}
		}
		return nil
	})
}

func printSecrets(out io.Writer, list []secret.Status, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SECRET\tSOURCE\tAGE\tPREVIOUS KEYS")
	for _, s := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Name, s.Source, ageOf(s.Since, now), formerOf(s))
	}
	return table.Flush()
}

func ageOf(since, now time.Time) string {
	switch age := now.Sub(since); {
	case since.IsZero():
		return "not created yet"
	case age < time.Hour:
		return plural(max(int(age/time.Minute), 0), "minute", "minutes")
	case age < 48*time.Hour:
		return plural(int(age/time.Hour), "hour", "hours")
	default:
		return plural(int(age/(24*time.Hour)), "day", "days")
	}
}

func formerOf(s secret.Status) string {
	if len(s.Previous) == 0 {
		return "none"
	}
	last := s.Previous[0].Until
	for _, f := range s.Previous {
		if f.Until.After(last) {
			last = f.Until
		}
	}
	text := fmt.Sprintf("%d", len(s.Previous))
	switch {
	case s.Left > 0:
		text += fmt.Sprintf(", still for %s; `sluice secret rotate vault` continues", plural(s.Left, "value", "values"))
	case s.Name == secret.Root:
		text += ", until the vault's key is rotated or this one is forgotten"
	case s.Name == secret.VaultKey:
		text += ", for about an hour"
	default:
		text += ", until " + last.Local().Format("2006-01-02 15:04")
	}
	return text
}

func printSecretsJSON(out io.Writer, list []secret.Status, warnings []string) error {
	type former struct {
		ID    string `json:"id"`
		Until string `json:"until,omitempty"`
	}
	type weak struct {
		Source string `json:"source"`
		Why    string `json:"why"`
	}
	type row struct {
		Name    secret.Name `json:"name"`
		Source  string      `json:"source"`
		Since   string      `json:"since,omitempty"`
		KeyID   string      `json:"key_id,omitempty"`
		Rotates bool        `json:"rotates"`
		Left    int         `json:"left,omitempty"`
		Former  []former    `json:"former"`
		Weak    []weak      `json:"weak"`
	}
	rows := make([]row, len(list))
	for i, s := range list {
		rows[i] = row{
			Name:    s.Name,
			Source:  s.Source,
			KeyID:   s.KeyID,
			Rotates: s.Rotates,
			Left:    s.Left,
			Former:  []former{},
			Weak:    []weak{},
		}
		if !s.Since.IsZero() {
			rows[i].Since = s.Since.Format(time.RFC3339)
		}
		for _, f := range s.Previous {
			one := former{ID: f.KeyID}
			if !f.Until.IsZero() {
				one.Until = f.Until.Format(time.RFC3339)
			}
			rows[i].Former = append(rows[i].Former, one)
		}
		for _, w := range s.Weak {
			rows[i].Weak = append(rows[i].Weak, weak{Source: w.Where, Why: w.Why})
		}
	}
	return printJSON(out, map[string]any{"secrets": rows, "warnings": append([]string{}, warnings...)})
}

type secretRotate struct {
	Names []string `arg:"" optional:"" name:"name" help:"The secret: the name of a variable, root, vault or assertions. Default: all that Sluice created."`
}

// Run replaces the keys one after another. If no keys were named, it skips those that the operator
// has set.
func (c *secretRotate) Run(rt *Runtime) error {
	names, err := secretNames(c.Names)
	if err != nil {
		return err
	}
	asked := len(names) > 0
	if !asked {
		// The root key comes last, so that the part that the previous root key still opens, for
		// nodes that have not been notified yet, also holds the new key of the vault.
		names = []secret.Name{
			secret.VaultKey,
			secret.AccessToken,
			secret.RefreshToken,
			secret.Session,
			secret.TokenHash,
			secret.Assertions,
			secret.Root,
		}
	}
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		rotator := secret.NewRotator(core.Keyring, core.Gate)
		for _, n := range names {
			err := rotateOne(ctx, rt, rotator, n)
			if p := problem.Of(err); err != nil && p.Kind == problem.Conflict && !asked {
				fmt.Fprintf(rt.Stdout, "%s is unchanged: %s %s\n", n, p.Detail, p.Next)
				continue
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func rotateOne(ctx context.Context, rt *Runtime, r *secret.Rotator, n secret.Name) error {
	bar := newProgress(rt.Stdout, rt.width(), "values encrypted again")
	err := r.Rotate(ctx, operator(), n, bar.show)
	bar.end()
	if err != nil {
		return err
	}
	switch n {
	case secret.VaultKey:
		fmt.Fprintln(rt.Stdout, "vault has a new key, and everything is encrypted with it.")
	case secret.Root:
		fmt.Fprintln(
			rt.Stdout,
			"The root key is replaced. Copy the file to every other node. Until you run `sluice secret forget "+
				"root`, the previous key still opens the secrets there.",
		)
	default:
		fmt.Fprintf(
			rt.Stdout,
			"%s has a new key. Everything created with the previous one stays valid until it expires.\n",
			n,
		)
	}
	return nil
}

func secretNames(texts []string) ([]secret.Name, error) {
	var names []secret.Name
	for _, text := range texts {
		n, ok := secret.ParseName(text)
		if !ok {
			var all []string
			for _, n := range secret.Names() {
				all = append(all, string(n))
			}
			return nil, &UsageError{
				Problem: fmt.Sprintf("%q is not a secret of Sluice", text),
				Hint:    "They are: " + strings.Join(all, ", ") + ".",
			}
		}
		names = append(names, n)
	}
	return names, nil
}

type secretForget struct {
	Names []string `arg:"" name:"name" help:"The secret: the name of a variable, root or assertions."`
	Yes   bool     `help:"Do not ask for confirmation."`
}

func (c *secretForget) Run(rt *Runtime) error {
	names, err := secretNames(c.Names)
	if err != nil {
		return err
	}
	if !c.Yes {
		fmt.Fprintf(
			rt.Stdout,
			"This revokes everything created with previous keys of %s, on all nodes. Type yes to continue: ",
			strings.Join(c.Names, ", "),
		)
		if answer, err := readAnswer(rt.Stdin); err != nil || answer != "yes" {
			return &UsageError{Problem: "nothing was changed", Hint: "--yes confirms in advance."}
		}
	}
	return withCore(rt, func(ctx context.Context, core *server.Core) error {
		for _, n := range names {
			if err := secret.NewRotator(core.Keyring, core.Gate).Forget(ctx, operator(), n); err != nil {
				return err
			}
			fmt.Fprintf(rt.Stdout, "Previous keys of %s are removed.\n", n)
		}
		return nil
	})
}

func readAnswer(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	return strings.TrimSpace(line), err
}

// progress shows how far something is: as a bar on a terminal, otherwise as a line at each tenth.
type progress struct {
	out      io.Writer
	what     string
	width    int
	terminal bool
	shown    int // the last tenth, or percent on a terminal; -1 at first
}

func newProgress(out io.Writer, width int, what string) *progress {
	file, ok := out.(*os.File)
	return &progress{out: out, what: what, width: width, terminal: ok && isTerminal(file), shown: -1}
}

func (p *progress) show(done, total int) {
	if total == 0 {
		return
	}
	parts := 10
	if p.terminal {
		parts = 100
	}
	at := done * parts / total
	if at == p.shown {
		return
	}
	p.shown = at
	if !p.terminal {
		fmt.Fprintf(p.out, "%d of %d %s\n", done, total, p.what)
		return
	}
	tail := fmt.Sprintf(" %3d%%  %d of %d %s", p.shown, done, total, p.what)
	size := max(min(40, p.width-len(tail)-3), 5)
	full := size * done / total
	fmt.Fprintf(p.out, "\r[%s%s]%s", strings.Repeat("#", full), strings.Repeat(".", size-full), tail)
}

// end finishes the line of the bar.
func (p *progress) end() {
	if p.terminal && p.shown >= 0 {
		fmt.Fprintln(p.out)
	}
}

// weakSecrets returns sentences about configured secrets that Sluice will not use.
func weakSecrets(v config.Values) (warnings []string) {
	for _, n := range secret.Names() {
		g, ok := v.Secrets.Given[string(n)]
		if why := secret.Weakness(g.Value.Reveal()); ok && why != "" {
			warnings = append(warnings, fmt.Sprintf("%s (%s) %s, so it is treated as not set.", n, g.Where, why))
		}
	}
	return warnings
}
