package config

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parser turns texts into values. Its errors complete the sentence "NAME …" and never repeat a
// secret.
type parser struct {
	home     string // home folder for a leading ~/; "" if unknown
	freePort bool   // port 0 is accepted
}

func (p parser) parse(v *Variable, raw string) (any, error) {
	if v.Secret {
		return parseSecret(raw)
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r == 0x7F }) {
		return nil, errors.New("holds a line break or another control character")
	}
	raw = strings.TrimSpace(raw)
	switch v.Kind {
	case KindBool:
		return parseBool(raw)
	case KindExactBool:
		return parseExactBool(raw)
	case KindInt:
		return parseInt(v, raw)
	case KindDuration:
		return parseDuration(v, raw)
	case KindPort:
		if p.freePort && raw == "0" {
			return 0, nil
		}
		return parsePort(raw, v.Min)
	case KindEnum:
		return parseEnum(v, raw)
	case KindFolder, KindFile:
		return p.expandHome(raw)
	default:
		return parseNetwork(v, raw)
	}
}

func parseNetwork(v *Variable, raw string) (any, error) {
	switch v.Kind {
	case KindHost:
		return parseHost(raw)
	case KindAddress:
		return parseLoopback(raw)
	case KindAppURL:
		return parseOriginURL(raw)
	case KindEmail:
		return parseEmail(raw)
	case KindWords:
		return splitList(raw), nil
	case KindOrigins:
		return parseOrigins(raw)
	case KindHosts:
		return parseHosts(raw)
	case KindTrust:
		return parseTrust(raw)
	case KindTargets:
		return parseTargets(raw)
	}
	return raw, nil
}

func parseSecret(raw string) (any, error) {
	if strings.ContainsRune(raw, 0) {
		return nil, errors.New("holds a NUL character")
	}
	return Secret(raw), nil
}

func parseBool(raw string) (bool, error) {
	switch strings.ToLower(raw) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, errors.New("is neither true nor false")
}

func parseExactBool(raw string) (bool, error) {
	switch raw {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("is neither the exact word true nor the exact word false")
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func parseInt(v *Variable, raw string) (int, error) {
	if !isDigits(strings.TrimPrefix(raw, "-")) {
		if v.Unit != "" && raw != "" && raw[0] >= '0' && raw[0] <= '9' {
			return 0, fmt.Errorf("is not a plain number; leave out the unit, which is always %s", v.Unit)
		}
		return 0, errors.New("is not a whole number")
	}
	n, err := strconv.Atoi(raw)
	switch {
	case err != nil && raw[0] != '-', err == nil && n > v.Max:
		if v.MaxWhy != "" {
			return 0, fmt.Errorf("is too large: %s", v.MaxWhy)
		}
		return 0, errors.New("is too large")
	case err != nil, n < v.Min:
		return 0, errors.New("is too small")
	}
	return n, nil
}

var units = map[string]time.Duration{
	"seconds": time.Second,
	"minutes": time.Minute,
	"hours":   time.Hour,
	"days":    24 * time.Hour,
}

func parseDuration(v *Variable, raw string) (time.Duration, error) {
	n, err := parseInt(v, raw)
	return time.Duration(n) * units[v.Unit], err
}

func parsePort(raw string, low int) (int, error) {
	n, err := strconv.Atoi(raw)
	if err != nil || !isDigits(raw) || n < low || n > 65535 {
		return 0, errors.New("is not a port number")
	}
	return n, nil
}

func parseEnum(v *Variable, raw string) (string, error) {
	word := strings.ToLower(raw)
	if slices.Contains(v.Choices, word) {
		return word, nil
	}
	if why, ok := v.Refused[word]; ok {
		return "", errors.New(why)
	}
	return "", errors.New("is not an accepted word")
}

func (p parser) expandHome(raw string) (string, error) {
	rest, ok := strings.CutPrefix(raw, "~/")
	switch {
	case raw == "~":
		rest = ""
	case !ok:
		return filepath.Clean(raw), nil
	}
	if p.home == "" {
		return "", errors.New("begins with ~, but the home folder is not known because HOME is not set")
	}
	return filepath.Join(p.home, rest), nil
}

var hostName = regexp.MustCompile(
	`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$`,
)

// checkHost accepts an IP address or a host name. It refuses a name whose last label has only
// digits, because programs disagree on whether 127.1 and 0x7f.1 are addresses (WHATWG URL, section
// 3.5).
func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	last := host[strings.LastIndexByte(strings.TrimSuffix(host, "."), '.')+1:]
	if len(host) > 253 || !hostName.MatchString(host) || isDigits(strings.TrimSuffix(last, ".")) {
		return errors.New("does not have a host name or IP address")
	}
	return nil
}

func parseHost(raw string) (string, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(raw, "["), "]")
	if err := checkHost(host); err != nil {
		return "", errors.New("is not an IP address or host name")
	}
	return host, nil
}

func parseLoopback(raw string) (string, error) {
	i := strings.LastIndexByte(raw, ':')
	if i <= 0 {
		return "", errors.New("is not of the form host:port")
	}
	host, port := raw[:i], raw[i+1:]
	if _, err := parsePort(port, 0); err != nil {
		return "", fmt.Errorf("has a port that %w", err)
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if host != "localhost" && (err != nil || !addr.IsLoopback() || addr.Is6() != (host[0] == '[')) {
		return "", errors.New("is not a loopback address, and metrics are served without sign-in")
	}
	return raw, nil
}

func parseEmail(raw string) (string, error) {
	if _, err := mail.ParseAddress(raw); err != nil {
		return "", errors.New("is not an email address")
	}
	return raw, nil
}

// splitList splits at commas and blanks and drops empty parts.
func splitList(raw string) []string {
	return strings.FieldsFunc(raw, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

func parseOrigins(raw string) ([]string, error) {
	origins := splitList(raw)
	for i, word := range origins {
		switch strings.Trim(strings.ToLower(word), "'") {
		case "*":
			continue
		case "self", "none":
			origins[i] = "'" + strings.Trim(strings.ToLower(word), "'") + "'"
			continue
		}
		u, err := parseOriginURL(strings.Replace(word, "://*.", "://", 1))
		if err != nil {
			return nil, fmt.Errorf("holds %s, which %w", shown(word), err)
		}
		origins[i] = u.String()
		if strings.Contains(word, "://*.") {
			origins[i] = u.Scheme + "://*." + u.Host
		}
	}
	return origins, nil
}

func parseHosts(raw string) ([]string, error) {
	hosts := splitList(raw)
	for _, word := range hosts {
		_, errNet := netip.ParsePrefix(word)
		if errNet == nil {
			continue
		}
		if err := checkHost(strings.Trim(strings.TrimPrefix(word, "*."), "[]")); err != nil {
			return nil, fmt.Errorf("holds %s, which is not a host name, an IP address or a CIDR range", shown(word))
		}
	}
	return hosts, nil
}

// shown is raw as a message can quote it: an @ that does not begin a public origin may follow a
// password.
func shown(raw string) string {
	rest := strings.NewReplacer("@http://", "", "@https://", "").Replace(raw)
	if strings.ContainsRune(rest, '@') {
		return Secret(raw).String()
	}
	return strconv.Quote(raw)
}
