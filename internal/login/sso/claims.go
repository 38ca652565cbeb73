package sso

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-jose/go-jose/v4"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
)

// assertion is a provider's statement about a person, after every check.
type assertion struct {
	Issuer, Subject string
	// Label is the display name of the account there.
	Label string
	// SID is the id of the provider's session, IDToken the token as received. Both may be empty.
	SID, IDToken string
	// Claims are the claims of the id token, UserInfo those requested with the access token.
	Claims, UserInfo map[string]any
	// Groups are the groups found.
	Groups []string
	// AuthTime is when the person last proved their identity to the provider; zero if it does not
	// say.
	AuthTime time.Time
}

// lacks reports whether an id token does not contain everything that the settings need.
func (p Provider) lacks(a assertion) bool {
	groups := p.GroupClaim != "" && (len(p.Mappings) > 0 || p.SuperuserGroup != "")
	return groups && a.value(p.GroupClaim) == nil || a.text(p.EmailClaim, "email") == ""
}

// needsGroups reports whether any setting depends on groups.
func (p Provider) needsGroups() bool { return len(p.Mappings) > 0 || p.SuperuserGroup != "" }

const (
	maxGroups     = 2000
	maxClaimDepth = 8
)

// claimsOf decodes the claims of a token. Numbers stay as written.
func claimsOf(payload []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	var claims map[string]any
	if err := decoder.Decode(&claims); err != nil {
		return nil, fmt.Errorf("reading claims: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading claims: more than one value")
	}
	return claims, nil
}

// lookUp finds a claim by its name, or by a path of names separated by dots. Names may contain dots
// themselves, such as those that are web addresses. The longest name wins.
func lookUp(claims map[string]any, path string, depth int) any {
	if path == "" || depth > maxClaimDepth {
		return nil
	}
	if v, ok := claims[path]; ok {
		return v
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		inner, ok := claims[path[:i]].(map[string]any)
		if !ok {
			continue
		}
		if v := lookUp(inner, path[i+1:], depth+1); v != nil {
			return v
		}
	}
	return nil
}

// value is a claim of the id token, else of userinfo; nil if neither has it.
func (a assertion) value(path string) any {
	if v := lookUp(a.Claims, path, 0); v != nil {
		return v
	}
	return lookUp(a.UserInfo, path, 0)
}

// text is a claim as text. usual is the name of the claim if the settings name none.
func (a assertion) text(path, usual string) string {
	if path == "" {
		path = usual
	}
	s, _ := a.value(path).(string)
	return strings.TrimSpace(s)
}

// groupsOf reads a claim that holds one group or a list of them. It skips values that are not text.
func groupsOf(claim any) []string {
	var out []string
	for _, g := range stringsOf(claim) {
		if g = strings.TrimSpace(g); g == "" || len(g) > maxGroupName {
			continue
		}
		out = append(out, g)
		if len(out) == maxGroups {
			break
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// stringsOf reads text or a list of texts.
func stringsOf(claim any) []string {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// momentOf reads a time in seconds since 1970 (RFC 7519 NumericDate); zero for anything else.
func momentOf(claim any) time.Time {
	n, ok := claim.(json.Number)
	if !ok {
		return time.Time{}
	}
	seconds, err := n.Float64()
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// plain turns foreign text into one line of printable text of at most most bytes.
func plain(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == unicode.ReplacementChar || unicode.IsControl(r):
			return ' '
		case !unicode.IsPrint(r) && r != ' ':
			return -1
		}
		return r
	}, strings.ToValidUTF8(login.Clip(text, 4*most), ""))
	return strings.TrimSpace(login.Clip(strings.Join(strings.Fields(text), " "), most))
}

// email returns the person's address, whether the provider has verified it, and whether the
// provider says that it has not. The provider's statement about its claim "email" does not apply to
// another address. A value that is not an address is ignored.
func (p Provider) email(a assertion) (address string, verified, disowned bool) {
	address, err := identity.CleanEmail(a.text(p.EmailClaim, "email"))
	if err != nil || address == "" {
		return "", false, false
	}
	for _, source := range []map[string]any{a.Claims, a.UserInfo} {
		if about, _ := source["email"].(string); !strings.EqualFold(strings.TrimSpace(about), address) {
			continue
		}
		switch v := source["email_verified"].(type) {
		case bool:
			verified, disowned = verified || v, disowned || !v
		case string: // some providers send text, contrary to the specification
			verified, disowned = verified || v == "true", disowned || v != "true"
		}
	}
	return address, verified && !disowned, disowned
}

// fullName is the person's name, or "".
func (p Provider) fullName(a assertion) string {
	name := a.text(p.NameClaim, "name")
	if name == "" && p.NameClaim == "" {
		name = strings.TrimSpace(a.text("", "given_name") + " " + a.text("", "family_name"))
	}
	if runes := []rune(plain(name, 400)); len(runes) > 100 {
		return strings.TrimSpace(string(runes[:100]))
	}
	return plain(name, 400)
}

// labelOf is the display name of the account at the provider.
func (p Provider) labelOf(a assertion) string {
	names := []string{a.text(p.EmailClaim, "email"), a.text(p.UsernameClaim, "preferred_username"), a.Subject}
	for _, name := range names {
		if label := plain(name, 200); label != "" {
			return label
		}
	}
	return ""
}

// username derives a username from the provider's names for the person: letters, digits, dots,
// dashes and underscores, at least two of them.
func (p Provider) username(a assertion) string {
	email, _, _ := p.email(a)
	names := []string{
		a.text(p.UsernameClaim, "preferred_username"),
		email,
		a.text("", "nickname"),
		p.fullName(a),
	}
	for _, name := range names {
		if name = asUsername(name); name != "" {
			return name
		}
	}
	return "user"
}

// longestBase leaves room for the digits that make a username unique.
const longestBase = 52

func asUsername(name string) string {
	name, _, _ = strings.Cut(name, "@")
	name = strings.Map(func(r rune) rune {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)), r == '.', r == '_', r == '-':
			return r
		case r == ' ', r == '/', r == '\\', r == '+':
			return '-'
		}
		return -1
	}, name)
	name = strings.Trim(login.Clip(strings.TrimLeft(name, "._-"), longestBase), "._-")
	if len(name) < 2 {
		return ""
	}
	return name
}

// strongly reports whether the sign-in methods that the provider names (amr, RFC 8176 section 2)
// amount to more than a password. A provider that does not name any is trusted.
func strongly(a assertion) bool {
	weak := []string{"pwd", "pin", "kba", "user", "wia", "rba", "geo"}
	methods := stringsOf(a.Claims["amr"])
	return len(methods) == 0 || slices.ContainsFunc(methods, func(m string) bool { return !slices.Contains(weak, m) })
}

// plausible returns an error if a text cannot be a provider's token: too long, not in the compact
// form, or signed with an algorithm that is not accepted. It does not look at keys.
func plausible(raw string) error {
	if len(raw) > maxToken {
		return errors.New("too long")
	}
	_, err := jose.ParseSignedCompact(raw, signatures)
	return err
}

// superuserMember reports whether the groups include the provider's superuser group.
func (p Provider) superuserMember(groups []string) bool {
	return p.SuperuserGroup != "" && slices.Contains(groups, p.SuperuserGroup)
}

// newcomer is the account to create for a person without one.
func (p Provider) newcomer(a assertion) identity.NewUser {
	email, verified, disowned := p.email(a)
	if disowned {
		// The account must not represent an address that the provider itself does not vouch for,
		// because invitations go by addresses.
		email, verified = "", false
	}
	return identity.NewUser{
		Username:      p.username(a),
		Email:         email,
		EmailVerified: verified,
		Name:          p.fullName(a),
		Role:          authz.RoleViewer,
		Active:        true,
	}
}

// mayCome refuses people without an account if the settings do not create one for them.
func (p Provider) mayCome(a assertion) *problem.Error {
	const next = "Ask an admin for an account; then link %s on the page of your account."
	if !p.CreateAccounts {
		return problem.Newf(problem.Denied, "%s knows you, but no account here is linked to you "+
			"there.", p.Name).
			WithNext(fmt.Sprintf(next, p.Name)).
			WithRule("no account")
	}
	if len(p.Domains) == 0 {
		return nil
	}
	email, verified, _ := p.email(a)
	_, domain, _ := strings.Cut(email, "@")
	switch {
	case email == "" || !verified:
		return problem.Newf(problem.Denied, "%s has not verified your email address, and accounts are created "+
			"only for certain domains.", p.Name).
			WithNext(fmt.Sprintf(next, p.Name)).
			WithRule("domains")
	case !slices.Contains(p.Domains, strings.ToLower(domain)):
		return problem.Newf(problem.Denied, "Accounts are not created for addresses at %s.", domain).
			WithNext(fmt.Sprintf(next, p.Name)).
			WithRule("domains")
	}
	return nil
}
