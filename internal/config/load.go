package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// minGuess is the shortest unknown name in an env file that may be a misspelled Sluice variable;
// MODEL is not MODE.
const minGuess = 6

// MaxValueFile is the largest file that NAME_FILE can refer to, in bytes.
const MaxValueFile = 64 << 10

// Input is the source of a configuration.
type Input struct {
	Flags   map[string]string // command line: variable name to value
	Environ []string          // process environment, as os.Environ returns it
	EnvFile string            // path of the env file, "" for none
}

// Loaded is a configuration that has been read and checked.
type Loaded struct {
	Values   Values
	Warnings []string // sentences for the operator; none holds a secret

	faults []Fault
	levels [FromCommandLine + 1]map[string]given
	items  map[string]*resolved
	home   string
}

// resolved is the result for one variable.
type resolved struct {
	parsed any    // nil: not set, or at fault
	shown  string // the value as it may be printed, "" if not set
	source Source
	set    bool
	fault  *Fault
}

// Load reads and checks a configuration. The error is an *Error with everything that is wrong.
func Load(in Input) (*Loaded, error) {
	l := Inspect(in)
	if len(l.faults) > 0 {
		return nil, &Error{Faults: l.faults}
	}
	return l, nil
}

// Inspect is Load for viewing a configuration that may be faulty. It omits faulty values from
// Values, and Faults lists them.
func Inspect(in Input) *Loaded {
	l := &Loaded{items: make(map[string]*resolved, len(registry))}
	l.levels[FromCommandLine] = l.flags(in.Flags)
	l.levels[FromEnvironment] = environment(in.Environ)
	l.levels[FromEnvFile] = l.envFile(in.EnvFile)
	l.home = cmp.Or(l.levels[FromEnvironment]["HOME"].value, l.levels[FromEnvironment]["USERPROFILE"].value)
	l.checkNames()
	for i := range registry {
		v := &registry[i]
		l.items[v.Name] = l.resolve(v)
	}
	l.finish()
	l.noteUnwired()
	return l
}

// Faults returns everything that is wrong with the configuration.
func (l *Loaded) Faults() []Fault { return slices.Clone(l.faults) }

func (l *Loaded) warn(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}

func (l *Loaded) flags(flags map[string]string) map[string]given {
	found := make(map[string]given, len(flags))
	for name, value := range flags {
		found[name] = given{value, Source{Level: FromCommandLine, Name: name}}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if v, ok := byName[name]; ok && v.Secret && found[name].value != "" {
			l.warn("%s is on the command line, where every user of this machine can read it; use %s or an env "+
				"file.", name, name+fileSuffix)
		}
	}
	return found
}

func environment(environ []string) map[string]given {
	found := make(map[string]given, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
			found[name] = given{value, Source{Level: FromEnvironment, Name: name}}
		}
	}
	return found
}

func (l *Loaded) envFile(path string) map[string]given {
	if path == "" {
		return nil
	}
	data, err := readBounded(path, MaxEnvFile)
	if err != nil {
		l.faults = append(l.faults, Fault{
			Name:     "--env-file",
			Source:   "command line",
			Value:    path,
			Problem:  "cannot be read: " + reason(err),
			Expected: "the path of a file with NAME=VALUE lines",
			Example:  "--env-file .env",
		})
		return nil
	}
	entries, err := ParseEnvFile(data)
	l.addLineFaults(path, err)
	found := make(map[string]given, len(entries))
	for _, e := range entries {
		if earlier, ok := found[e.Name]; ok {
			l.warn(
				"%s: %s is set on line %d and again on line %d; the last one applies.",
				path,
				e.Name,
				earlier.source.Line,
				e.Line,
			)
		}
		found[e.Name] = given{e.Value, Source{Level: FromEnvFile, Name: e.Name, File: path, Line: e.Line}}
	}
	return found
}

func (l *Loaded) addLineFaults(path string, err error) {
	joined := []error{err}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		joined = many.Unwrap()
	}
	for _, one := range joined {
		var le *LineError
		if errors.As(one, &le) {
			l.faults = append(l.faults, Fault{
				Name:     fmt.Sprintf("%s:%d", path, le.Line),
				Source:   "env file",
				Problem:  "cannot be understood: " + le.Problem,
				Expected: "a line NAME=VALUE, a comment or a blank line",
			})
		}
	}
}

// readBounded reads at most limit bytes, so that a device or an endless pipe does no harm.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("the file is larger than %d bytes", limit)
	}
	return data, nil
}

// reason returns only the cause, without the path, which may be a secret given under the wrong
// name.
func reason(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}

// checkNames finds misspelled names. They are errors on the command line and for SLUICE_ names, and
// warnings in an env file.
func (l *Loaded) checkNames() {
	for level := FromCommandLine; level > FromDefault; level-- {
		for _, name := range slices.Sorted(maps.Keys(l.levels[level])) {
			if _, known := lookup(name); !known {
				l.unknownName(name, l.levels[level][name].source)
			}
		}
	}
}

func (l *Loaded) unknownName(name string, source Source) {
	near := suggestion(name)
	if v, ok := lookup(near); ok && v.Theirs && source.Level == FromEnvFile {
		// The builders have more names than Sluice knows, and their spelling does not matter to
		// Sluice.
		near = ""
	}
	ours := strings.HasPrefix(strings.ToUpper(name), sluicePrefix)
	switch {
	case ours || source.Level == FromCommandLine:
		l.faults = append(l.faults, unknownFault(name, source, near))
	case source.Level == FromEnvFile && near != "" && strings.ToUpper(name) == near:
		l.warn("%s: %s is ignored, because names are case-sensitive; write %s.", source, name, near)
	case source.Level == FromEnvFile && near != "" && len(name) >= minGuess:
		l.warn("%s: %s is not a variable that Sluice or a builder knows; did you mean %s?", source, name, near)
	}
}

func unknownFault(name string, source Source, near string) Fault {
	f := Fault{
		Name:     name,
		Source:   source.String(),
		Problem:  "is not a variable of Sluice",
		Expected: "a name that `sluice config list --all` shows",
	}
	switch {
	case near != "" && strings.ToUpper(name) == near:
		f.Problem, f.Expected = "is in the wrong case", near+", as names are case-sensitive"
	case near != "":
		f.Problem += "; did you mean " + near + "?"
	}
	return f
}

// Explain returns the variable called name, in any case, under its own name, an alias or either
// with _FILE. The error is an *UnknownNameError.
func (l *Loaded) Explain(name string) (Item, error) {
	v, ok := lookup(strings.ToUpper(name))
	if !ok {
		return Item{}, &UnknownNameError{Name: name, Near: suggestion(name)}
	}
	return l.item(v), nil
}

// List returns all variables in the order of Describe.
func (l *Loaded) List() []Item {
	items := make([]Item, len(registry))
	for i := range registry {
		items[i] = l.item(&registry[i])
	}
	return items
}

// Source returns where the value of the variable called name came from.
func (l *Loaded) Source(name string) Source {
	if r, ok := l.items[name]; ok {
		return r.source
	}
	return Source{}
}

func (l *Loaded) item(v *Variable) Item {
	r := l.items[v.Name]
	item := Item{
		Variable: *v,
		Value:    r.shown,
		Set:      r.set,
		Source:   r.source.under(v.Name),
		Effect:   v.effect(r),
		Expect:   v.Expects(),
	}
	if r.fault != nil {
		item.Fault = r.fault.Problem
		item.Value = r.fault.Value
	}
	return item
}
