package console

import (
	"cmp"
	"strconv"

	"sluice/internal/login/sso"
	"sluice/internal/web"
)

// providerPlace is the address of a provider.
func providerPlace(p sso.Provider) string {
	if p.Kind == sso.KindGitHub {
		return cmp.Or(p.Issuer, "https://github.com")
	}
	return p.Issuer
}

func issuerHint(p preset) string {
	if p.Template != "" {
		return "Such as " + p.Template + ", exactly as the provider writes it."
	}
	return "Exactly as the provider writes it."
}

func rowLabel(what string, row int) string { return what + " of mapping " + strconv.Itoa(row+1) }

// claimsOpen reports whether to show the names of claims: one of them is set or wrong.
func claimsOpen(v providerView) bool {
	typed := v.Form.UsernameClaim + v.Form.EmailClaim + v.Form.NameClaim
	return typed+v.Wrong["username_claim"]+v.Wrong["email_claim"]+v.Wrong["name_claim"] != ""
}

func findingTone(f sso.Finding) web.Tone {
	switch f.Level {
	case sso.FindingGood:
		return web.Good
	case sso.FindingBad:
		return web.Bad
	}
	return web.Info
}

func findingIcon(f sso.Finding) string {
	switch f.Level {
	case sso.FindingGood:
		return "circle-check"
	case sso.FindingBad:
		return "circle-alert"
	}
	return "info"
}

func findingWord(f sso.Finding) string {
	switch f.Level {
	case sso.FindingGood:
		return "Good"
	case sso.FindingBad:
		return "To fix"
	}
	return "Note"
}

// roleChangeText describes what would happen to a membership, and why.
func roleChangeText(c sso.RoleChange) string {
	by := ""
	if c.Group != "" {
		by = " by " + c.Group
	}
	switch {
	case c.Stays:
		return "Given by hand, unchanged" + also(c.Role, c.From, by)
	case c.Role == "":
		return "Removed: no group gives it now"
	case c.From == "":
		return "Given" + by
	case c.From == c.Role:
		return "Unchanged" + by
	}
	return "Changed from " + c.From + by
}

// also adds what the groups would give if a role does not change.
func also(role, from, by string) string {
	if role == "" || role == from {
		return ""
	}
	return "; the groups say " + role + by
}

// roleAfter is the person's role after the change.
func roleAfter(c sso.RoleChange) string {
	if c.Stays {
		return cmp.Or(c.From, "None")
	}
	return cmp.Or(c.Role, "None")
}
