package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"sluice/internal/config"
)

// Exit codes of Main.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

const description = "Sluice is the gate in front of self-hosted AI flow builders: sign-in, people, roles and guards " +
	"for Flowise, Langflow and other web apps."

// grammar is the whole command line.
type grammar struct {
	Globals

	Serve   serveCommand   `cmd:"" help:"Run Sluice."`
	User    userCommand    `cmd:"" help:"Add, list, promote and disable people."`
	Key     keyCommand     `cmd:"" help:"Create, list, rotate and revoke API keys."`
	Secret  secretCommand  `cmd:"" help:"Show, generate and replace Sluice's own secrets."`
	Import  importCommand  `cmd:"" help:"Import people and their objects from another product."`
	SignIn  signInCommand  `cmd:"" name:"sign-in" help:"Choose who can use a password; list, disable and enable identity providers."`
	Config  configCommand  `cmd:"" help:"Show, explain and check the configuration."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// Main runs the command in args (without the program name) with env (as os.Environ), and returns
// its exit code.
func Main(args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var g grammar
	helped := false
	if len(args) == 0 {
		stdout = stderr
	}
	parser, err := kong.New(
		&g,
		kong.Name("sluice"),
		kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.Exit(
			func(int) { helped = true },
		),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		return report(stderr, fmt.Errorf("building the command line: %w", err))
	}
	if len(args) == 0 {
		_, _ = parser.Parse([]string{"--help"})
		return exitUsage
	}
	chosen, err := parser.Parse(args)
	switch {
	case helped:
		return exitDone
	case err != nil:
		return report(stderr, asUsage(err))
	}
	runtime := &Runtime{Globals: g.Globals, Env: env, Stdin: stdin, Stdout: stdout, Stderr: stderr}
	return report(stderr, chosen.Run(runtime))
}

// UsageError is a command line that makes no sense.
type UsageError struct {
	Problem string // what is wrong, beginning in lower case
	Hint    string // what to do instead, a sentence; may be ""
}

// Error returns the problem without the hint.
func (e *UsageError) Error() string { return e.Problem }

func asUsage(err error) error {
	usage := &UsageError{Problem: err.Error(), Hint: "`sluice --help` shows the usage."}
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil && parse.Context.Command() != "" {
		if node := parse.Context.Selected(); node != nil {
			usage.Hint = fmt.Sprintf("`%s --help` shows the usage.", node.FullPath())
		}
	}
	return usage
}

// report prints err as one block and returns its exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "sluice: %v\n", err)
	if usage, ok := errors.AsType[*UsageError](err); ok {
		if usage.Hint != "" {
			fmt.Fprintln(stderr, usage.Hint)
		}
		return exitUsage
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		fmt.Fprintln(stderr, "\nNothing was started. `sluice config explain NAME` explains a variable.")
		return exitUsage
	}
	return exitFailed
}
