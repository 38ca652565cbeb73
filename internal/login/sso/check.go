package sso

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"sluice/internal/problem"
)

// Finding is one result of checking a provider.
type Finding struct {
	// Level is FindingGood, FindingNote or FindingBad.
	Level string
	// Text is a sentence for an admin.
	Text string
}

// Levels of findings.
const (
	FindingGood = "good"
	FindingNote = "note"
	FindingBad  = "bad"
)

type findings []Finding

func (f *findings) add(level, format string, args ...any) {
	*f = append(*f, Finding{level, fmt.Sprintf(format, args...)})
}

func probeGitHub(ctx context.Context, c *client, p *provider, found *findings) {
	_, api := p.githubAddresses()
	var meta struct{}
	if _, err := getJSON(ctx, c.http, api+"/meta", http.Header{"Accept": {"application/vnd.github+json"}},
		&meta); err != nil {
		found.add(FindingBad, "GitHub's API at %s cannot be reached: %s.", api, reasonText(err))
		return
	}
	found.add(FindingGood, "GitHub's API at %s answers.", api)
}

func reasonText(err error) string {
	reason, _ := reasonOf(err)
	return reason
}

func probeOIDC(ctx context.Context, c *client, p *provider, found *findings) {
	m, err := c.metadata(ctx, p)
	if err != nil {
		told := problem.Of(err)
		found.add(FindingBad, "%s %s", told.Detail, told.Next)
		return
	}
	found.add(FindingGood, "The discovery document at %s was read, and its issuer equals this setting.",
		p.discovery())
	accepted := func(name string) bool {
		return slices.ContainsFunc(signatures, func(s jose.SignatureAlgorithm) bool { return string(s) == name })
	}
	if len(m.Algorithms) > 0 && !slices.ContainsFunc(m.Algorithms, accepted) {
		found.add(FindingBad,
			"It signs tokens only with %s; Sluice accepts RS256, RS384, RS512, ES256, ES384, PS256 and EdDSA.",
			plain(strings.Join(m.Algorithms, ", "), 200))
	}
	keys, err := c.fetchKeys(ctx, m.Keys)
	switch {
	case err != nil:
		found.add(FindingBad, "Its keys at %s cannot be read: %s.", plain(m.Keys, 300), reasonText(err))
	case len(keys) == 0:
		found.add(FindingBad, "Its key set holds no key that can check a signature.")
	default:
		found.add(FindingGood, "Its key set holds %d keys for signatures.", len(keys))
	}
	probeMetadata(p.Provider, m, found)
}

func probeMetadata(p Provider, m metadata, found *findings) {
	if !slices.Contains(m.Challenges, "S256") {
		found.add(
			FindingNote,
			"It does not declare support for PKCE (S256). Sluice still uses it; providers without support ignore it.",
		)
	}
	for _, s := range p.Scopes {
		if len(m.Scopes) > 0 && !slices.Contains(m.Scopes, s) {
			found.add(FindingNote, "It does not list the scope %s.", s)
		}
	}
	if m.EndSession == "" {
		found.add(FindingNote, "It has no sign-out address: signing out here leaves people signed in there.")
	}
	if !m.BackChannel {
		found.add(FindingNote, "It does not notify applications when a person signs out there (back-channel logout).")
	}
	if claim, _, _ := strings.Cut(p.GroupClaim,
		"."); claim != "" && len(m.Claims) > 0 && !slices.Contains(m.Claims, claim) &&
		!slices.Contains(m.Claims, p.GroupClaim) {
		found.add(FindingNote, "It does not list the claim %s; a test shows whether it sends it.",
			p.GroupClaim)
	}
	if p.Issuer == "https://accounts.google.com" && p.CreateAccounts && len(p.Domains) == 0 {
		found.add(FindingBad, "Everyone with a Google account gets an account here. Name the allowed domains.")
	}
}

func probeSettings(p Provider, found *findings) {
	if !p.HasSecret {
		found.add(FindingNote, "No client secret is stored, which is correct only for a public client.")
	}
	if p.CreateAccounts && len(p.Domains) == 0 && p.Kind == KindGitHub && p.Issuer == "" {
		found.add(FindingBad,
			"Everyone with a GitHub account gets an account here. Name the allowed domains, or do not create "+
				"accounts.")
	}
	if p.CreateAccounts && len(p.Mappings) == 0 {
		found.add(FindingNote, "New people become viewers of the default workspace, because no group has a role.")
	}
	if !p.Enabled {
		found.add(FindingNote, "It is not in use: no one sees its button.")
	}
}
