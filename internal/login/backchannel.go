package login

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/problem"
)

const (
	purposeLogout = "logout token"
	// logoutAge is how old a logout token may be, and how far ahead its end; its id is remembered for longer than both.
	logoutAge = time.Hour
	// maxHint bounds the id token in the address of a sign-out: longer addresses fail in browsers and proxies.
	maxHint = 4 << 10
	// signOutPatience is how long a sign-out waits for a provider whose addresses are not known yet.
	signOutPatience = 3 * time.Second
)

// BackChannelLogout ends the sessions that a provider has ended (OpenID Connect Back-Channel Logout 1.0 section 2.6): the one of a provider's session (sid), or all of a subject. Sessions that
// are not known are no error. Errors: problem.Invalid for a token that is not good, problem.NotFound for an unknown provider, problem.Unavailable where its keys cannot be had.
func (l *Logins) BackChannelLogout(ctx context.Context, slug, logoutToken string) error {
	p, ok := l.providers.bySlug(slug)
	if !ok || p.Kind != KindOIDC {
		return noProvider()
	}
	told, err := l.verifyLogout(ctx, p, logoutToken)
	if err != nil {
		return err
	}
	return l.cfg.DB.System(ctx, "provider sign-out", func(tx *db.Tx) error {
		if err := l.rememberLogout(ctx, tx, p, told.id); err != nil {
			return err
		}
		rows, err := q.New(tx).ProviderSessionsOfSID(ctx, q.ProviderSessionsOfSIDParams{ProviderID: p.ID, Sid: told.sid, Subject: told.subject})
		if told.sid == "" {
			var all []q.ProviderSessionsOfSubjectRow
			all, err = q.New(tx).ProviderSessionsOfSubject(ctx, q.ProviderSessionsOfSubjectParams{ProviderID: p.ID, Subject: told.subject})
			rows = rows[:0]
			for _, r := range all {
				rows = append(rows, q.ProviderSessionsOfSIDRow(r))
			}
		}
		if err != nil {
			return fmt.Errorf("finding the sessions: %w", err)
		}
		for _, r := range rows {
			if err := l.cfg.Sessions.EndIn(ctx, tx, r.SessionID); err != nil {
				return err
			}
			res := authz.Resource{Type: "Session", ID: r.SessionID, Owner: r.AccountID}
			if err := l.cfg.Gate.Record(ctx, tx, p.principal(""), authz.SessionEnd, res, audit.Done, "signed out at the provider"); err != nil {
				return err
			}
		}
		return nil
	})
}

// logoutToken is what a checked logout token says. One of subject and sid is set.
type logoutToken struct{ id, subject, sid string }

// verifyLogout checks a logout token. Nothing of it is believed before its signature is.
func (l *Logins) verifyLogout(ctx context.Context, p *provider, raw string) (logoutToken, error) {
	bad := func(err error, text string) (logoutToken, error) {
		return logoutToken{}, problem.New(problem.Invalid, "The logout token is not good: "+text+".").WithField("logout_token").WithCause(err)
	}
	if err := plausible(raw); err != nil {
		return bad(err, "it is not a signed token")
	}
	m, err := l.metadata(ctx, p)
	if err != nil {
		return logoutToken{}, err
	}
	payload, err := l.signed(ctx, p, m, raw, &p.remote.logouts)
	if problem.Is(err, problem.Unauthenticated) {
		return bad(err, "its signature is not the provider's")
	}
	if err != nil {
		return logoutToken{}, err
	}
	t, err := l.verifier(p, payload).VerifyLogout(ctx, raw)
	if err != nil {
		return bad(err, "a claim is missing or wrong")
	}
	now := l.cfg.Now()
	switch {
	case len(t.TokenID) > 512, len(t.Subject) > 512, len(t.SessionID) > 512:
		return bad(nil, "a claim is too long")
	case t.IssuedAt.After(now.Add(leeway)), t.IssuedAt.Before(now.Add(-logoutAge)):
		return bad(nil, "it is too old or from the future (iat)")
	}
	return logoutToken{id: t.TokenID, subject: t.Subject, sid: t.SessionID}, nil
}

// rememberLogout refuses a token whose id was seen already. A token is at most logoutAge old, so that its id need not be remembered for longer.
func (l *Logins) rememberLogout(ctx context.Context, tx *db.Tx, p *provider, id string) error {
	now := l.cfg.Now()
	row := l.mac("logout token", p.ID+"\x00"+id)
	_, err := q.New(tx).GetPending(ctx, q.GetPendingParams{TokenHash: row, Purpose: purposeLogout})
	switch err := db.Found(err, "new"); {
	case err == nil:
		return problem.New(problem.Invalid, "The logout token was used already (jti).").WithField("logout_token")
	case !problem.Is(err, problem.NotFound):
		return fmt.Errorf("remembering a logout token: %w", err)
	}
	err = q.New(tx).InsertPending(ctx, q.InsertPendingParams{
		TokenHash: row, Purpose: purposeLogout, Subject: p.ID, CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(logoutAge + 2*leeway).UnixMilli(),
	})
	if db.IsUnique(err) {
		return problem.New(problem.Invalid, "The logout token was used already (jti).").WithField("logout_token")
	}
	if err != nil {
		return fmt.Errorf("remembering a logout token: %w", err)
	}
	return nil
}

// SignOutElsewhere returns the address that signs the person of a session out at its provider too (OpenID Connect RP-Initiated Logout 1.0 section 2), "" if there is none. Origin is that of
// Sluice's own pages; the provider sends the browser back to its /logout. Call it before SignOut, which forgets where the session came from.
func (l *Logins) SignOutElsewhere(ctx context.Context, who authz.Principal, origin string) (string, error) {
	if who.SessionID == "" {
		return "", nil
	}
	row, err := q.New(l.cfg.DB.Read()).GetProviderSession(ctx, who.SessionID)
	if err := db.Found(err, "none"); problem.Is(err, problem.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading where the session came from: %w", err)
	}
	p, ok := l.providers.byID(row.ProviderID)
	if !ok || p.Kind != KindOIDC {
		return "", nil
	}
	patient, cancel := context.WithTimeout(ctx, signOutPatience)
	defer cancel()
	m, err := l.metadata(patient, p)
	if err != nil || m.EndSession == "" {
		// Signing out here must not wait for a provider that is down.
		return "", nil
	}
	u, err := url.Parse(m.EndSession)
	if err != nil {
		return "", nil
	}
	state, err := randomToken()
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set("client_id", p.ClientID)
	query.Set("post_logout_redirect_uri", origin+"/logout")
	query.Set("state", state)
	hint, err := l.idToken(row)
	if err != nil {
		return "", err
	}
	if hint != "" && len(hint) <= maxHint {
		query.Set("id_token_hint", hint)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// idToken opens the id token that is kept with a session.
func (l *Logins) idToken(row q.ProviderSession) (string, error) {
	sealed, err := base64.StdEncoding.DecodeString(row.IDTokenSealed)
	if err != nil {
		return "", fmt.Errorf("reading the provider's token: %w", err)
	}
	text, err := l.cfg.Keyring.Open(sealed, "provider_session", row.SessionID)
	return string(text), err
}
