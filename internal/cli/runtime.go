package cli

import (
	"fmt"
	"io"
	"maps"
	"strings"

	"sluice/internal/config"
)

// Globals are the flags of every command.
type Globals struct {
	EnvFile string   `name:"env-file" placeholder:"PATH" help:"Read variables from a file of NAME=VALUE lines, such as the .env of Flowise or Langflow."`
	Set     []string `name:"set" sep:"none" placeholder:"NAME=VALUE" help:"Set one variable. Repeatable. Overrides the environment and the env file."`
}

// Runtime is the environment of a command.
type Runtime struct {
	Globals
	Env    []string // process environment, as os.Environ
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// ListenFlags are the short forms of variables for commands that listen. A command embeds them and
// passes Variables() to Runtime.Load.
type ListenFlags struct {
	Port    string   `name:"port" placeholder:"PORT" help:"Port of Sluice's own pages and API; 0 chooses a free port. The same as --set PORT=…"`
	Host    string   `name:"host" placeholder:"ADDRESS" help:"Address to listen on. The same as --set HOST=…"`
	Protect []string `name:"protect" sep:"none" placeholder:"[KIND=]URL[@ORIGIN]" help:"Put an app behind Sluice. Repeatable. The word demo is a small built-in builder. The same as --set SLUICE_PROTECT=…"`
}

// Variables returns the given flags, by the name of their variable.
func (f ListenFlags) Variables() map[string]string {
	return map[string]string{"PORT": f.Port, "HOST": f.Host, "SLUICE_PROTECT": strings.Join(f.Protect, ",")}
}

// Load reads and checks the configuration. extra holds a command's own flags by variable name; an
// empty value means that the flag is missing. The error is a *UsageError or a *config.Error.
func (rt *Runtime) Load(extra map[string]string) (*config.Loaded, error) {
	in, err := rt.input(extra)
	if err != nil {
		return nil, err
	}
	loaded, err := config.Load(in)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return loaded, nil
}

// inspect is Load for commands that also show a faulty configuration.
func (rt *Runtime) inspect() (*config.Loaded, error) {
	in, err := rt.input(nil)
	if err != nil {
		return nil, err
	}
	return config.Inspect(in), nil
}

func (rt *Runtime) input(extra map[string]string) (config.Input, error) {
	flags := maps.Clone(extra)
	if flags == nil {
		flags = make(map[string]string)
	}
	maps.DeleteFunc(flags, func(_, value string) bool { return value == "" })
	for _, assignment := range rt.Set {
		name, value, ok := strings.Cut(assignment, "=")
		if !ok || name == "" {
			return config.Input{}, &UsageError{
				Problem: "--set needs NAME=VALUE",
				Hint:    "For example: --set LOG_LEVEL=debug",
			}
		}
		if _, twice := flags[name]; twice {
			return config.Input{}, &UsageError{Problem: fmt.Sprintf("%s is given twice on the command line", name)}
		}
		flags[name] = value
	}
	return config.Input{Flags: flags, Environ: rt.Env, EnvFile: rt.EnvFile}, nil
}
