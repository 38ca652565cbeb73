package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/internal/problem"
)

// Ago describes how long before now t was, in the largest unit that fits. For the future it returns
// "in ..."; half a minute less than a unit still counts as that unit, so something that was just
// created with a life of one day expires "in 1 day".
func Ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < -time.Second:
		return "in " + inUnits(-d+30*time.Second, 0)
	case d < time.Minute:
		return "just now"
	}
	return inUnits(d, 0) + " ago"
}

var units = []struct {
	of   time.Duration
	name string
}{
	{365 * 24 * time.Hour, "year"}, {30 * 24 * time.Hour, "month"}, {24 * time.Hour, "day"},
	{time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"},
}

// Duration describes d in words, rounded up to whole units so that waiting that long is always
// enough.
func Duration(d time.Duration) string { return inUnits(d, 1) }

// inUnits counts d in the largest unit that fits; up is 1 to round up and 0 to round down.
func inUnits(d, up time.Duration) string {
	for _, u := range units {
		if d >= u.of {
			return Count(int((d+up*(u.of-1))/u.of), u.name)
		}
	}
	return "1 second"
}

// Count is a number with its noun, in the plural unless the number is one: "1 app", "2 apps".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

func pressed(on bool) string { return strconv.FormatBool(on) }

func colorScheme(theme string) string {
	if theme == "" {
		return "light dark"
	}
	return theme
}

// initials returns at most two letters for a person's round picture.
func initials(name string) string {
	words := strings.Fields(name)
	if len(words) == 0 {
		return "?"
	}
	first, _ := utf8.DecodeRuneInString(words[0])
	out := string(first)
	if len(words) > 1 {
		last, _ := utf8.DecodeRuneInString(words[len(words)-1])
		out += string(last)
	}
	return strings.ToUpper(out)
}

func fieldID(f Field) string { return "f-" + f.Name }

func fieldType(f Field) string {
	if f.Type == "" {
		return "text"
	}
	return f.Type
}

// literal reports whether keyboards and dictionaries must not correct the input's text.
func literal(f Field) bool {
	return f.Type == "email" || f.Type == "url" || f.Type == "password" || f.Autocomplete == "one-time-code"
}

func describedBy(f Field) string {
	var ids []string
	if f.Error != "" {
		ids = append(ids, fieldID(f)+"-error")
	}
	if f.Hint != "" {
		ids = append(ids, fieldID(f)+"-hint")
	}
	return strings.Join(ids, " ")
}

func alertIcon(t Tone) string {
	switch t {
	case Good:
		return "circle-check"
	case Warning:
		return "triangle-alert"
	case Bad:
		return "circle-alert"
	}
	return "info"
}

func noticeTone(t Tone) Tone {
	if t == "" {
		return Good
	}
	return t
}

func currentWorkspace(list []Workspace) string {
	for _, w := range list {
		if w.Current {
			return w.Name
		}
	}
	return "None chosen"
}

func problemIcon(k problem.Kind) string {
	switch k {
	case problem.Denied, problem.Unauthenticated:
		return "lock"
	case problem.NotFound, problem.Method:
		return "search-x"
	case problem.Limited, problem.Unavailable, problem.Timeout:
		return "hourglass"
	case problem.Gone:
		return "link-2-off"
	case problem.Upstream:
		return "unplug"
	}
	return "circle-alert"
}

// clip shortens external text before it is shown.
func clip(s string) string {
	const most = 100
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return fmt.Sprintf("%s…", string([]rune(s)[:most]))
}
