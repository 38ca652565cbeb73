package sso

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
	"sluice/internal/login"
	"sluice/internal/problem"
)

// KeepSession records from which provider session a session came, in the transaction that creates
// the session.
func (ps *Providers) KeepSession(ctx context.Context, tx *db.Tx, sessionID string, s login.ProviderSession) error {
	sealed, err := ps.cfg.Keyring.Seal([]byte(s.IDToken), "provider_session", sessionID)
	if err == nil {
		err = q.New(tx).InsertProviderSession(ctx, q.InsertProviderSessionParams{
			SessionID:     sessionID,
			ProviderID:    s.ProviderID,
			Subject:       s.Subject,
			Sid:           s.SID,
			IDTokenSealed: base64.StdEncoding.EncodeToString(sealed),
		})
	}
	if err != nil {
		return fmt.Errorf("noting the provider's session: %w", err)
	}
	return nil
}

const (
	purposeLogout = "logout token"
	// logoutAge is the maximum age of a logout token, and how far in the future it may expire. Its
	// id is remembered for longer than both.
	logoutAge = time.Hour
	// maxHint bounds the id token in the address of a sign-out. Longer addresses fail in browsers
	// and proxies.
	maxHint = 4 << 10
	// signOutPatience is how long a sign-out waits for a provider whose addresses are not known
	// yet.
	signOutPatience = 3 * time.Second
)

// BackChannelLogout revokes the sessions that a provider has signed out (OpenID Connect
// Back-Channel Logout 1.0 section 2.6): the one of a provider's session (sid), or all of a subject.
// Unknown sessions are not an error. Errors: problem.Invalid for an invalid token, problem.NotFound
// for an unknown provider, problem.Unavailable if its keys cannot be fetched.
func (ps *Providers) BackChannelLogout(ctx context.Context, slug, logoutToken string) error {
	p, ok := ps.bySlug(slug)
	if !ok || p.Kind != KindOIDC {
		return noProvider()
	}
	told, err := ps.verifyLogout(ctx, p, logoutToken)
	if err != nil {
		return err
	}
	return ps.cfg.DB.System(ctx, "provider sign-out", func(tx *db.Tx) error {
		if err := ps.rememberLogout(ctx, tx, p, told.id); err != nil {
			return err
		}
		rows, err := q.New(tx).ProviderSessionsOfSID(ctx,
			q.ProviderSessionsOfSIDParams{ProviderID: p.ID, Sid: told.sid, Subject: told.subject})
		if told.sid == "" {
			var all []q.ProviderSessionsOfSubjectRow
			all, err = q.New(tx).ProviderSessionsOfSubject(ctx,
				q.ProviderSessionsOfSubjectParams{ProviderID: p.ID, Subject: told.subject})
			rows = rows[:0]
			for _, r := range all {
				rows = append(rows, q.ProviderSessionsOfSIDRow(r))
			}
		}
		if err != nil {
			return fmt.Errorf("finding the sessions: %w", err)
		}
		for _, r := range rows {
			if err := ps.cfg.Sessions.EndIn(ctx, tx, r.SessionID); err != nil {
				return err
			}
			res := authz.Resource{Type: "Session", ID: r.SessionID, Owner: r.AccountID}
			if err := ps.cfg.Gate.Record(ctx, tx, p.principal(""), authz.SessionEnd, res, audit.Done,
				"signed out at the provider"); err != nil {
				return err
			}
		}
		return nil
	})
}

// logoutToken holds the claims of a verified logout token. At least one of subject and sid is set.
type logoutToken struct{ id, subject, sid string }

// verifyLogout verifies a logout token. It trusts none of it before its signature.
func (ps *Providers) verifyLogout(ctx context.Context, p *provider, raw string) (logoutToken, error) {
	bad := func(err error, text string) (logoutToken, error) {
		return logoutToken{}, problem.New(problem.Invalid, "The logout token is invalid: "+text+".").
			WithField("logout_token").
			WithCause(err)
	}
	if err := plausible(raw); err != nil {
		return bad(err, "it is not a signed token")
	}
	m, err := ps.client.metadata(ctx, p)
	if err != nil {
		return logoutToken{}, err
	}
	payload, err := ps.client.signed(ctx, p, m, raw, &p.remote.logouts)
	if problem.Is(err, problem.Unauthenticated) {
		return bad(err, "its signature is not the provider's")
	}
	if err != nil {
		return logoutToken{}, err
	}
	t, err := ps.client.verifier(p, payload).VerifyLogout(ctx, raw)
	if err != nil {
		return bad(err, "a claim is missing or wrong")
	}
	now := ps.cfg.Now()
	switch {
	case len(t.TokenID) > 512, len(t.Subject) > 512, len(t.SessionID) > 512:
		return bad(nil, "a claim is too long")
	case t.IssuedAt.After(now.Add(leeway)), t.IssuedAt.Before(now.Add(-logoutAge)):
		return bad(nil, "it is too old or from the future (iat)")
	}
	return logoutToken{id: t.TokenID, subject: t.Subject, sid: t.SessionID}, nil
}

// rememberLogout refuses a token whose id was seen before. A token is at most logoutAge old, so its
// id need not be remembered for longer.
func (ps *Providers) rememberLogout(ctx context.Context, tx *db.Tx, p *provider, id string) error {
	mark := ps.cfg.Logins.Hash("logout token", p.ID+"\x00"+id)
	first, err := ps.cfg.Logins.Pending.Mark(ctx, tx, purposeLogout, mark, p.ID, logoutAge+2*leeway)
	if db.IsUnique(err) || err == nil && !first {
		return problem.New(problem.Invalid, "The logout token was already used (jti).").WithField("logout_token")
	}
	if err != nil {
		return fmt.Errorf("remembering a logout token: %w", err)
	}
	return nil
}

// SignOutElsewhere returns the address that also signs the person of a session out at its provider
// (OpenID Connect RP-Initiated Logout 1.0 section 2), or "" if the provider has no such address.
// origin is the origin of Sluice's own pages; the provider sends the browser back to its /logout.
// Call it before SignOut, which forgets where the session came from.
func (ps *Providers) SignOutElsewhere(ctx context.Context, who authz.Principal, origin string) (string, error) {
	if who.SessionID == "" {
		return "", nil
	}
	row, err := q.New(ps.cfg.DB.Read()).GetProviderSession(ctx, who.SessionID)
	if err := db.Found(err, "none"); problem.Is(err, problem.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the origin of the session: %w", err)
	}
	p, ok := ps.byID(row.ProviderID)
	if !ok || p.Kind != KindOIDC {
		return "", nil
	}
	patient, cancel := context.WithTimeout(ctx, signOutPatience)
	defer cancel()
	m, err := ps.client.metadata(patient, p)
	if err != nil || m.EndSession == "" {
		// Signing out here must not fail or wait because a provider is down.
		return "", nil
	}
	u, err := url.Parse(m.EndSession)
	if err != nil {
		return "", nil
	}
	state, err := login.RandomToken()
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set("client_id", p.ClientID)
	query.Set("post_logout_redirect_uri", origin+"/logout")
	query.Set("state", state)
	hint, err := ps.idToken(row)
	if err != nil {
		return "", err
	}
	if hint != "" && len(hint) <= maxHint {
		query.Set("id_token_hint", hint)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// idToken opens the id token that is stored with a session.
func (ps *Providers) idToken(row q.ProviderSession) (string, error) {
	sealed, err := base64.StdEncoding.DecodeString(row.IDTokenSealed)
	if err != nil {
		return "", fmt.Errorf("reading the provider's token: %w", err)
	}
	text, err := ps.cfg.Keyring.Open(sealed, "provider_session", row.SessionID)
	return string(text), err
}
