package console

// pages are the pages of the console, grouped by their dependencies.
type pages struct {
	// Pages for people who are not signed in yet, and what these pages share.
	attempts *attempts
	signIn   *signInPages
	steps    *signInSteps
	sso      *ssoPages
	links    *linkPages
	joining  *joinPages
	// Pages for everyone who is signed in.
	confirm    *confirmPages
	home       *homePages
	flows      *flowPages
	account    *accountPages
	security   *securityPages
	keys       *keyPages
	workspaces *workspacePages
	vault      *vaultPages
	// Pages for the people who run the installation.
	apps        *appPages
	adoption    *adoptionPages
	connection  *connectionPages
	verify      *verifyPages
	forwardAuth *forwardAuthPages
	people      *peoplePages
	roles       *rolePages
	settings    *signInSettings
	mail        *mailPages
	secrets     *secretPages
}

// newPages gives each page the capabilities that it uses.
func newPages(c Config) *pages {
	attempts := &attempts{logins: c.Logins, sessions: c.Sessions, apps: c.Apps}
	enrollment := &enrollment{factors: c.Factors}
	rounds := &rounds{sso: c.SSO, providers: c.Providers}
	views := &appViews{gate: c.Gate, apps: c.Apps}
	p := &pages{
		attempts: attempts,
		signIn: &signInPages{
			attempts:  attempts,
			logins:    c.Logins,
			sessions:  c.Sessions,
			people:    c.People,
			factors:   c.Factors,
			providers: c.Providers,
			signUps:   c.SignUps,
			apps:      c.Apps,
		},
		steps: &signInSteps{
			attempts:    attempts,
			enrollment:  enrollment,
			logins:      c.Logins,
			factors:     c.Factors,
			signUps:     c.SignUps,
			invitations: c.Invitations,
		},
		links: &linkPages{
			attempts: attempts,
			setup:    c.Setup,
			signUps:  c.SignUps,
			people:   c.People,
		},
		joining: &joinPages{
			attempts:    attempts,
			logins:      c.Logins,
			signUps:     c.SignUps,
			invitations: c.Invitations,
		},
		confirm: &confirmPages{gate: c.Gate, factors: c.Factors, providers: c.Providers},
		home:    &homePages{views: views, apps: c.Apps, people: c.People},
		flows:   &flowPages{views: views, apps: c.Apps, people: c.People},
		account: &accountPages{
			people:   c.People,
			logins:   c.Logins,
			sessions: c.Sessions,
			signUps:  c.SignUps,
		},
		security: &securityPages{
			enrollment: enrollment,
			rounds:     rounds,
			people:     c.People,
			logins:     c.Logins,
			factors:    c.Factors,
			providers:  c.Providers,
			sso:        c.SSO,
		},
		keys: &keyPages{
			forms:  &keyForms{keys: c.Keys, apps: c.Apps},
			gate:   c.Gate,
			people: c.People,
			keys:   c.Keys,
			apps:   c.Apps,
		},
		workspaces: &workspacePages{
			views:       views,
			gate:        c.Gate,
			people:      c.People,
			factors:     c.Factors,
			invitations: c.Invitations,
			apps:        c.Apps,
			logins:      c.Logins,
		},
		vault: &vaultPages{gate: c.Gate, people: c.People, vault: c.Vault, apps: c.Apps},
		apps:  &appPages{views: views, apps: c.Apps},
		adoption: &adoptionPages{
			views:  views,
			people: c.People,
			apps:   c.Apps,
		},
		connection: &connectionPages{views: views, apps: c.Apps},
		verify:     &verifyPages{views: views, apps: c.Apps, trust: c.Trust},
		forwardAuth: &forwardAuthPages{
			views:      views,
			apps:       c.Apps,
			trust:      c.Trust,
			listens:    c.Listens,
			mainOrigin: c.MainOrigin,
		},
		people: &peoplePages{
			people:   c.People,
			sessions: c.Sessions,
			logins:   c.Logins,
			factors:  c.Factors,
			sso:      c.SSO,
			signUps:  c.SignUps,
		},
		roles:    &rolePages{gate: c.Gate, people: c.People},
		settings: &signInSettings{rounds: rounds, logins: c.Logins, providers: c.Providers, sso: c.SSO},
		mail:     &mailPages{gate: c.Gate, box: c.Mail},
		secrets:  &secretPages{secrets: c.Secrets, warnings: c.SecretWarnings},
	}
	p.sso = &ssoPages{
		attempts:  attempts,
		rounds:    rounds,
		signIn:    p.signIn,
		security:  p.security,
		settings:  p.settings,
		providers: c.Providers,
		sso:       c.SSO,
	}
	return p
}
