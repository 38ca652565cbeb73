package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"sluice/internal/builder"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/importer"
	"sluice/internal/secret"
	"sluice/internal/server"
)

// importCommand works directly on the database, as userCommand does; a running server follows
// immediately.
type importCommand struct {
	Langflow importLangflow `cmd:"" help:"Import people, API keys, credentials and the ownership of flows from a Langflow."`
}

type importLangflow struct {
	Database      string            `required:"" placeholder:"PATH|URL" help:"Langflow's database: the file langflow.db, or what LANGFLOW_DATABASE_URL says. It is only read."`
	SecretKeyFile string            `name:"secret-key-file" placeholder:"PATH" help:"File with Langflow's secret key: secret_key in its LANGFLOW_CONFIG_DIR."`
	SecretKey     string            `name:"secret-key" placeholder:"KEY" help:"Langflow's secret key itself. Other users of this machine can see it while the command runs; prefer the file, or the variable LANGFLOW_SECRET_KEY."`
	App           string            `placeholder:"NAME" help:"The connected Langflow: its name or id. Default: the only one."`
	Workspaces    string            `default:"project" placeholder:"project|user|NAME" help:"A workspace for each project (and for each user's default project), one for each user, or one of this name or id for all. Default: project."`
	Rename        map[string]string `placeholder:"USER=NAME" help:"Give a Langflow user another username here. Repeatable."`
	Match         map[string]string `placeholder:"USER=NAME" help:"Match a Langflow user with an existing person. Repeatable."`
	DryRun        bool              `name:"dry-run" help:"Show the plan without changing anything."`
	Yes           bool              `help:"Do not ask for confirmation."`
	Report        string            `placeholder:"PATH" help:"Write a report of all decisions and reasons to a file, as JSON."`
}

func (c *importLangflow) Run(rt *Runtime) error {
	loaded, err := rt.Load(nil)
	if err != nil {
		return err
	}
	kinds, err := server.Kinds()
	if err != nil {
		return err
	}
	kind, err := kinds.Find("langflow")
	if err != nil {
		return err
	}
	keys, err := c.secretKeys(kind, loaded.Values)
	if err != nil {
		return spoken(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	in, err := kind.Import.Read(ctx, c.Database)
	if err != nil {
		return spoken(err)
	}
	// A LANGFLOW_SECRET_KEY in the environment may be meant for this command alone; it must not
	// become Sluice's own root key.
	values := loaded.Values
	values.Secrets.KeepRoot = true
	return withCoreOf(
		rt,
		values,
		func(_ context.Context, core *server.Core) error { return c.run(ctx, rt, core, kind, in, keys) },
	)
}

func (c *importLangflow) run(
	ctx context.Context,
	rt *Runtime,
	core *server.Core,
	kind *builder.Kind,
	in *builder.Installation,
	keys builder.Unsealer,
) error {
	flows, err := flow.New(ctx, flow.Config{DB: core.DB, Gate: core.Gate, Now: time.Now, Log: core.Log})
	if err != nil {
		return err
	}
	im := importer.New(importer.Config{
		DB: core.DB, Gate: core.Gate, People: core.People, Hasher: core.Hasher, Keys: core.Keys, Vault: core.Vault,
		Flows: flows, Kind: kind, Now: time.Now, Log: core.Log,
	})
	plan, err := im.Plan(
		ctx,
		in,
		importer.Options{Keys: keys, App: c.App, Workspaces: c.Workspaces, Rename: c.Rename, Match: c.Match},
	)
	if err != nil {
		return err
	}
	if err := printReport(rt.Stdout, &plan.Report, rt.width()); err != nil {
		return err
	}
	switch {
	case plan.Changes() == 0:
		fmt.Fprintln(rt.Stdout, "\nThere is nothing to import.")
		return c.writeReport(&plan.Report)
	case c.DryRun:
		fmt.Fprintln(rt.Stdout, "\nThis was a dry run: nothing was changed.")
		return c.writeReport(&plan.Report)
	}
	if err := c.confirm(rt); err != nil {
		return errors.Join(err, c.writeReport(&plan.Report))
	}
	bar := newProgress(rt.Stdout, rt.width(), "things brought")
	err = im.Apply(ctx, operator(), plan, bar.show)
	bar.end()
	if err != nil {
		return err
	}
	fmt.Fprintf(rt.Stdout, "\nDone: %s.\n", brought(&plan.Report))
	return c.writeReport(&plan.Report)
}

// confirm asks a person at a terminal. Without a terminal, consent must come from a flag.
func (c *importLangflow) confirm(rt *Runtime) error {
	if c.Yes {
		return nil
	}
	nothing := &UsageError{Problem: "nothing was changed", Hint: "--yes carries out the plan; --dry-run only shows it."}
	if in, ok := rt.Stdin.(*os.File); !ok || !isTerminal(in) {
		return nothing
	}
	fmt.Fprint(rt.Stdout, "\nType yes to continue: ")
	if answer, err := readAnswer(rt.Stdin); err != nil || answer != "yes" {
		return nothing
	}
	return nil
}

// maxKeyFile is the maximum size of a file with a secret key, in bytes.
const maxKeyFile = 4096

// secretKeys finds Langflow's secret key: in the flag, the file, or else the variable that Langflow
// itself reads. Without a key it returns nil.
func (c *importLangflow) secretKeys(kind *builder.Kind, v config.Values) (builder.Unsealer, error) {
	text := c.SecretKey
	switch {
	case c.SecretKey != "" && c.SecretKeyFile != "":
		return nil, &UsageError{Problem: "--secret-key and --secret-key-file are both given", Hint: "One is enough."}
	case c.SecretKeyFile != "":
		file, err := os.Open(c.SecretKeyFile)
		if err != nil {
			return nil, fmt.Errorf("--secret-key-file: %w", plainly(err))
		}
		defer file.Close()
		raw, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
		if err != nil {
			return nil, fmt.Errorf("--secret-key-file: %w", plainly(err))
		}
		if text = strings.TrimRight(string(raw), "\r\n"); text == "" {
			return nil, fmt.Errorf("--secret-key-file: %s is empty", c.SecretKeyFile)
		}
	case text == "":
		text = v.Secrets.Given[string(secret.Root)].Value.Reveal()
	}
	if text == "" {
		return nil, nil
	}
	return kind.Import.Unsealer(text)
}

// plainly removes the name of the system call from an error.
func plainly(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return fmt.Errorf("%s: %w", at.Path, at.Err)
	}
	return err
}

func (c *importLangflow) writeReport(r *importer.Report) error {
	if c.Report == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := os.WriteFile(c.Report, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the report: %w", plainly(err))
	}
	return nil
}
