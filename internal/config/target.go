package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxTargets bounds SLUICE_PROTECT.
const maxTargets = 64

// Target is one app of SLUICE_PROTECT or --protect, written [kind=]url[@public-origin], or
// demo[@public-origin].
type Target struct {
	Kind   string // profile to use, "" to detect it; "demo" is the built-in builder
	URL    string // address of the app, without a path; "" only for demo
	Public string // origin for people; "" means a port of its own
}

// String formats t as in SLUICE_PROTECT.
func (t Target) String() string {
	s := t.URL
	switch {
	case t.URL == "":
		s = t.Kind
	case t.Kind != "":
		s = t.Kind + "=" + t.URL
	}
	if t.Public != "" {
		s += "@" + t.Public
	}
	return s
}

var kindPrefix = regexp.MustCompile(`^([a-z][a-z0-9-]*)=(.*)$`)

func parseTargets(raw string) ([]Target, error) {
	var targets []Target
	for _, word := range splitList(raw) {
		t, err := parseTarget(word)
		if err != nil {
			return nil, err
		}
		if slices.Contains(targets, t) {
			return nil, fmt.Errorf("names %s twice", t)
		}
		targets = append(targets, t)
	}
	switch {
	case len(targets) == 0:
		return nil, errors.New("is an empty list")
	case len(targets) > maxTargets:
		return nil, fmt.Errorf("names more than %d apps", maxTargets)
	}
	return targets, nil
}

func parseTarget(word string) (Target, error) {
	var t Target
	t.URL = word
	if m := kindPrefix.FindStringSubmatch(word); m != nil {
		t.Kind, t.URL = m[1], m[2]
	}
	t.URL, t.Public = cutPublic(t.URL)
	if t.Public != "" {
		origin, err := parseOriginURL(t.Public)
		if err != nil {
			return Target{}, fmt.Errorf("has a public origin after @ that %w", err)
		}
		t.Public = origin.String()
	}
	if t.Kind == "" && t.URL == "demo" {
		return Target{Kind: "demo", Public: t.Public}, nil
	}
	app, err := parseOriginURL(t.URL)
	if err != nil {
		return Target{}, fmt.Errorf("names an app whose address %w", err)
	}
	t.URL = app.String()
	return t, nil
}

// cutPublic splits at the last @ that begins an origin, so that a password in the address is
// recognized as one.
func cutPublic(s string) (address, public string) {
	for _, scheme := range []string{"@http://", "@https://"} {
		if i := strings.LastIndex(s, scheme); i >= 0 {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// parseOriginURL accepts a scheme, a host and an optional port, with or without a trailing slash,
// and lower-cases them.
func parseOriginURL(raw string) (*url.URL, error) {
	scheme, _, found := strings.Cut(strings.ToLower(raw), "://")
	if !found || scheme != "http" && scheme != "https" {
		return nil, errors.New("does not begin with http:// or https://")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.User != nil:
		return nil, errors.New("holds a user name or password")
	case u.Path != "" && u.Path != "/":
		return nil, errors.New("has a path; a host name or port of its own is needed")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(raw, "#"):
		return nil, errors.New("has a query or fragment")
	}
	if err := checkHost(u.Hostname()); err != nil {
		return nil, err
	}
	if err := checkURLPort(u); err != nil {
		return nil, err
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, nil
}

func checkURLPort(u *url.URL) error {
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return errors.New("has a colon without a port")
		}
		return nil
	}
	if _, err := parsePort(port, 1); err != nil {
		return fmt.Errorf("has a port that %w", err)
	}
	return nil
}
