package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// resolve finds the text of v on the highest level that has one, and parses it.
func (l *Loaded) resolve(v *Variable) *resolved {
	for level := FromCommandLine; level > FromDefault; level-- {
		found, fault := l.candidate(v, level)
		if fault != nil {
			return l.blame(&resolved{set: true, source: Source{Level: level, Name: v.Name}, fault: fault})
		}
		if found != nil {
			return l.accept(v, *found)
		}
	}
	r := &resolved{source: Source{Level: FromDefault, Name: v.Name}}
	if v.Default == "" {
		return r
	}
	return l.parseInto(r, v, v.Default)
}

func (l *Loaded) blame(r *resolved) *resolved {
	l.faults = append(l.faults, *r.fault)
	return r
}

// candidate is what one level says about v: nil if nothing, a fault if two different things.
func (l *Loaded) candidate(v *Variable, level Level) (*given, *Fault) {
	var found *given
	for _, name := range v.names() {
		for _, spelling := range []string{name, name + fileSuffix} {
			g, ok := l.levels[level][spelling]
			if !ok || !l.counts(v, g) {
				continue
			}
			if found == nil {
				found = &g
			} else if v.Theirs {
				continue
			} else if found.value != g.value || isFileName(v, found.source.Name) != isFileName(v, spelling) {
				return nil, conflict(v, *found, g)
			}
		}
	}
	return found, nil
}

// counts reports whether g is a value at all, and warns about placeholders and published samples.
func (l *Loaded) counts(v *Variable, g given) bool {
	switch {
	case g.value == "":
		return false
	case isPlaceholder(g.value):
		if !v.Theirs {
			l.warn("%s (%s) holds a placeholder and counts as not set.", g.source.Name, g.source)
		}
		return false
	case slices.Contains(v.Weak, g.value):
		l.warn("%s (%s) holds a published sample value, which everybody knows, and counts as not set.", g.source.Name, g.source)
		return false
	}
	return true
}

// isFileName tells NAME_FILE from a name that merely ends like that.
func isFileName(v *Variable, name string) bool {
	return !slices.Contains(v.names(), name)
}

func conflict(v *Variable, a, b given) *Fault {
	f := &Fault{Name: v.Name, Expected: "one of the two only", Example: v.exampleLine()}
	if a.source.Level == FromEnvFile {
		f.Source = fmt.Sprintf("%s (%s) and %s (%s)", a.source, a.source.Name, b.source, b.source.Name)
	} else {
		f.Source = fmt.Sprintf("%s (%s and %s)", a.source, a.source.Name, b.source.Name)
	}
	f.Problem = fmt.Sprintf("is given twice, as %s and as %s", a.source.Name, b.source.Name)
	return f
}

func (l *Loaded) accept(v *Variable, g given) *resolved {
	r := &resolved{set: true, source: g.source}
	if v.Theirs {
		r.shown = Secret(g.value).String()
		return r
	}
	if !isFileName(v, g.source.Name) {
		return l.parseInto(r, v, g.value)
	}
	text, err := l.readValue(g.value)
	if err != nil {
		r.fault = &Fault{Name: g.source.Name, Source: g.source.String(), Value: shownPath(v, g.value), Problem: "names a file that " + err.Error(),
			Expected: "the path of a file whose content is the value of " + v.Name, Example: g.source.Name + "=/run/secrets/" + strings.ToLower(v.Name)}
		return l.blame(r)
	}
	return l.parseInto(r, v, text)
}

// readValue reads a NAME_FILE; one line end at its end is not part of the value.
func (l *Loaded) readValue(path string) (string, error) {
	path, err := parser{home: l.home}.expandHome(path)
	if err != nil {
		return "", err
	}
	data, err := readBounded(path, MaxValueFile)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %s", reason(err))
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("is empty")
	}
	return text, nil
}

// shownPath hides what may be the secret itself, put into NAME_FILE by mistake.
func shownPath(v *Variable, path string) string {
	if v.Secret && !filepath.IsAbs(path) && !strings.HasPrefix(path, ".") && !strings.HasPrefix(path, "~/") {
		return Secret(path).String()
	}
	return shown(path)
}

func (l *Loaded) parseInto(r *resolved, v *Variable, raw string) *resolved {
	value, err := parser{home: l.home, freePort: v.Name == "PORT" && r.source.Level == FromCommandLine}.parse(v, raw)
	if err != nil {
		r.fault = &Fault{Name: v.Name, Source: r.source.under(v.Name), Value: shownRaw(v, raw), Problem: err.Error(), Expected: v.Expects(), Example: v.exampleLine()}
		return l.blame(r)
	}
	r.parsed, r.shown = value, show(v, value)
	if v.Kind == KindTrust {
		r.shown = trustWord(raw)
	}
	return r
}

func shownRaw(v *Variable, raw string) string {
	if v.Secret {
		return Secret(raw).String()
	}
	const limit = 120
	if len(raw) > limit {
		return fmt.Sprintf("a text of %d characters", len(raw))
	}
	return shown(raw)
}

// show is a parsed value as it is printed: in one spelling, with its unit.
func show(v *Variable, value any) string {
	switch x := value.(type) {
	case []string:
		return strings.Join(x, ", ")
	case []Target:
		words := make([]string, len(x))
		for i, t := range x {
			words[i] = t.String()
		}
		return strings.Join(words, ", ")
	case time.Duration:
		return showDuration(x, v.Unit)
	}
	if v.Unit != "" {
		return fmt.Sprintf("%v %s", value, v.Unit)
	}
	return fmt.Sprint(value)
}

// showDuration adds a larger unit where that is easier to read: 43200 minutes (30 days).
func showDuration(d time.Duration, unit string) string {
	text := count(int(d/units[unit]), unit)
	const day = 24 * time.Hour
	switch {
	case d >= 2*day && d%day == 0:
		return fmt.Sprintf("%s (%s)", text, count(int(d/day), "days"))
	case d >= 2*time.Hour && d%time.Hour == 0 && unit != "hours":
		return fmt.Sprintf("%s (%s)", text, count(int(d/time.Hour), "hours"))
	case d >= 2*time.Minute && d%time.Minute == 0 && unit == "seconds":
		return fmt.Sprintf("%s (%s)", text, count(int(d/time.Minute), "minutes"))
	}
	return text
}

func count(n int, unit string) string {
	if n == 1 {
		unit = strings.TrimSuffix(unit, "s")
	}
	return fmt.Sprintf("%d %s", n, unit)
}
