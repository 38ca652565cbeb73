package console

import "sluice/internal/login/sso"

// preset fills in the values that are the same for all customers of a well-known identity provider.
type preset struct {
	// ID is in the address of the form, and is the suggested short name.
	ID, Title, Kind string
	// Issuer is suggested unchanged. Template shows where the customer's own name goes instead.
	Issuer, Template string
	Scopes           []string
	GroupClaim       string
	// Where says in one line where to register an application there. Note has everything else worth
	// knowing.
	Where, Note string
}

// presets are the presets that the pages offer. The last one is for everything else that speaks
// OpenID Connect.
var presets = []preset{
	{
		ID:     "google",
		Title:  "Google",
		Kind:   sso.KindOIDC,
		Issuer: "https://accounts.google.com",
		Scopes: []string{"openid", "profile", "email"},
		Where: "Google Cloud console › APIs & Services › Credentials › Create credentials › OAuth client ID, " +
			"type “Web application”.",
		Note: "Enter your domains below: without them, everyone with a Google account can sign in. Google sends no " +
			"groups.",
	},
	{
		ID:         "microsoft",
		Title:      "Microsoft Entra ID",
		Kind:       sso.KindOIDC,
		Template:   "https://login.microsoftonline.com/TENANT-ID/v2.0",
		Scopes:     []string{"openid", "profile", "email"},
		GroupClaim: "groups",
		Where: "Microsoft Entra admin center › App registrations › New registration, platform “Web”; the " +
			"secret is under “Certificates & secrets”.",
		Note: "Groups come as object ids once “Token configuration › Add groups claim” is set; choose “Groups " +
			"assigned to the application”. App roles come in the claim roles.",
	},
	{
		ID:         "okta",
		Title:      "Okta",
		Kind:       sso.KindOIDC,
		Template:   "https://YOUR-ORG.okta.com",
		Scopes:     []string{"openid", "profile", "email", "groups"},
		GroupClaim: "groups",
		Where:      "Okta admin console › Applications › Create App Integration › OIDC, “Web Application”.",
		Note: "For groups set a groups claim filter in the application's “Sign On” tab, such as groups · " +
			"matches regex · .*",
	},
	{
		ID:         "keycloak",
		Title:      "Keycloak",
		Kind:       sso.KindOIDC,
		Template:   "https://HOST/realms/REALM",
		Scopes:     []string{"openid", "profile", "email"},
		GroupClaim: "groups",
		Where:      "Keycloak admin console › your realm › Clients › Create client, with “Client authentication” on.",
		Note: "For groups add a “Group Membership” mapper with the claim name groups and without “Full " +
			"group path”. Realm roles are in realm_access.roles if their mapper adds them to the ID token.",
	},
	{
		ID:       "auth0",
		Title:    "Auth0",
		Kind:     sso.KindOIDC,
		Template: "https://TENANT.auth0.com/",
		Scopes:   []string{"openid", "profile", "email"},
		Where:    "Auth0 dashboard › Applications › Create Application › “Regular Web Applications”.",
		Note: "The issuer ends with a slash. Groups or roles come only by an Action that adds a claim with a " +
			"name that you choose.",
	},
	{
		ID:         "gitlab",
		Title:      "GitLab",
		Kind:       sso.KindOIDC,
		Issuer:     "https://gitlab.com",
		Scopes:     []string{"openid", "profile", "email"},
		GroupClaim: "groups_direct",
		Where: "GitLab › Applications (of your user, a group, or the instance), confidential, with the " +
			"scopes openid, profile and email.",
		Note: "For your own GitLab the issuer is its address. Groups are full paths, such as company/flows.",
	},
	{
		ID:     "github",
		Title:  "GitHub",
		Kind:   sso.KindGitHub,
		Scopes: []string{"read:user", "user:email", "read:org"},
		Where:  "GitHub › Settings (of your organization) › Developer settings › OAuth Apps › New OAuth App.",
		Note: "GitHub uses OAuth without OpenID Connect. Groups are organizations and teams: company, or " +
			"company/team. It does not report sign-outs.",
	},
	{
		ID:       "oidc",
		Title:    "Any OpenID Connect provider",
		Kind:     sso.KindOIDC,
		Template: "https://login.example.com",
		Scopes:   []string{"openid", "profile", "email"},
		Where:    "Register Sluice there as a confidential web application with the authorization code flow.",
		Note:     "Sluice reads everything else from /.well-known/openid-configuration below the issuer.",
	},
}

func presetByID(id string) (preset, bool) {
	for _, p := range presets {
		if p.ID == id {
			return p, true
		}
	}
	return preset{}, false
}

// presetOf finds the preset that a provider was probably created from, for its notes.
func presetOf(p sso.Provider) preset {
	for _, known := range presets {
		if known.Kind == p.Kind && known.Issuer != "" && known.Issuer == p.Issuer ||
			known.Kind == sso.KindGitHub && p.Kind == sso.KindGitHub {
			return known
		}
	}
	if known, ok := presetByID(p.Slug); ok && known.Kind == p.Kind {
		return known
	}
	return presets[len(presets)-1]
}
