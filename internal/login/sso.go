package login

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/problem"
)

// What a round trip to an identity provider is for.
const (
	// SSOSignIn begins a session.
	SSOSignIn = "sign-in"
	// SSOLink links the identity there to the account of the signed-in person.
	SSOLink = "link"
	// SSOConfirm proves once more that the signed-in person is who they are.
	SSOConfirm = "confirm"
	// SSOTest shows an admin what the provider says; it signs nobody in and makes nothing.
	SSOTest = "test"
)

const (
	purposeSSO = "sso"
	// SSOLife is how long somebody may take at the provider.
	SSOLife = 15 * time.Minute
	// MaxBounces is when a round that begins again and again is a loop: the page that says what was seen comes instead.
	MaxBounces = 3
	// answerTime bounds all that is asked of a provider for one callback.
	answerTime = 25 * time.Second
	// lostFor is how long callbacks of which nothing is known are counted together.
	lostFor = 2 * time.Minute
)

// beginLimit bounds the rounds that strangers of one address begin and do not finish.
var beginLimit = limit{120, time.Minute}

// Round is one round trip to an identity provider.
type Round struct {
	// Slug names the provider, Purpose is SSOSignIn, SSOLink, SSOConfirm or SSOTest.
	Slug, Purpose string
	// Browser is the value of the cookie sluice_sso; "" for none yet.
	Browser string
	// Destination is where the browser goes when it has signed in.
	Destination Destination
	// Principal is who is signed in; needed for all purposes but SSOSignIn.
	Principal authz.Principal
	// Origin is that of Sluice's own pages as the browser sees them, without a slash.
	Origin string
	// IP and UserAgent are the browser's.
	IP, UserAgent string
	// Bounces counts how often this round had to begin again.
	Bounces int
}

// Callback is a browser that comes back from a provider.
type Callback struct {
	Slug string
	// Query is the callback's query.
	Query url.Values
	// Browser is the value of the cookie sluice_sso, Device that of the device cookie.
	Browser, Device string
	// Origin is that of Sluice's own pages.
	Origin, IP, UserAgent string
	// Principal is who is signed in, if anybody is.
	Principal authz.Principal
}

// SSOEnd is how a round ended.
type SSOEnd struct {
	// Purpose is that of the round; "" where it is not known.
	Purpose string
	// Provider is the provider's id.
	Provider string
	// Progress is where the sign-in stands, for SSOSignIn.
	Progress *Progress
	// Test is what the provider says, for SSOTest.
	Test *ClaimReport
	// Linked and Confirmed tell that this was done.
	Linked, Confirmed bool
	// Destination is where the browser wanted to go.
	Destination Destination
	// Restart is set where the browser's cookie or the round is lost: begin again with it, unless Bounces has reached MaxBounces.
	Restart *Round
}

// round is what is kept of a round until the browser comes back: sealed, under its state.
type round struct {
	Provider, Purpose, Nonce, Verifier, Redirect string
	// Browser is the hash of the browser's cookie, Session and Account who was signed in.
	Browser, Session, Account string
	Destination               Destination
	Bounces                   int
	Begun                     int64 // Unix milliseconds
}

// BeginSSO begins a round: it returns the address at the provider that the browser goes to, and the value of the cookie sluice_sso that it must bring back.
func (l *Logins) BeginSSO(ctx context.Context, in Round) (redirect, browser string, err error) {
	p, ok := l.providers.bySlug(in.Slug)
	if !ok || !p.Enabled && in.Purpose != SSOTest {
		return "", "", noProvider()
	}
	if err := l.mayBegin(ctx, p, in); err != nil {
		return "", "", err
	}
	browser = in.Browser
	if !l.knownBrowser(browser) {
		if browser, err = l.newBrowser(); err != nil {
			return "", "", err
		}
	}
	nonce, err := randomToken()
	if err != nil {
		return "", "", err
	}
	r := round{
		Provider: p.ID, Purpose: in.Purpose, Nonce: nonce, Verifier: oauth2.GenerateVerifier(), Redirect: in.Origin + "/sso/" + p.Slug + "/callback", Browser: l.mac("sso browser", browser),
		Session: in.Principal.SessionID, Account: in.Principal.ID, Destination: in.Destination, Bounces: in.Bounces, Begun: l.cfg.Now().UnixMilli(),
	}
	client, err := l.clientOf(ctx, p, r.Redirect)
	if err != nil {
		return "", "", err
	}
	var state string
	err = l.cfg.DB.System(ctx, "attempts", func(tx *db.Tx) error {
		state, err = l.hold(ctx, tx, purposeSSO, p.ID, r, SSOLife)
		return err
	})
	if err != nil {
		return "", "", err
	}
	return client.AuthCodeURL(state, askFor(p, r)...), browser, nil
}

// askFor are the parameters of the request for a code besides the usual ones.
func askFor(p *provider, r round) []oauth2.AuthCodeOption {
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(r.Verifier)}
	if p.Kind == KindOIDC {
		options = append(options, oidc.Nonce(r.Nonce))
	}
	if r.Purpose == SSOConfirm {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return options
}

func (l *Logins) clientOf(ctx context.Context, p *provider, redirect string) (oauth2.Config, error) {
	if p.Kind == KindGitHub {
		return l.githubClient(ctx, p, redirect)
	}
	client, _, err := l.oauth(ctx, p, redirect)
	return client, err
}

// mayBegin asks the right that a purpose needs, and bounds what strangers can begin.
func (l *Logins) mayBegin(ctx context.Context, p *provider, in Round) error {
	if in.Purpose != SSOSignIn && (!in.Principal.SignedIn() || in.Principal.SessionID == "") {
		return problem.New(problem.Unauthenticated, "Sign in first.")
	}
	switch in.Purpose {
	case SSOSignIn:
		err := l.reserve(ctx, []counter{beginCounter(in.IP)})
		if problem.Is(err, problem.Limited) {
			limited := problem.Of(err)
			limited.Detail, limited.Next = "Too many sign-ins were begun from this address and not finished.", "Wait, then try again."
			return limited
		}
		return err
	case SSOLink:
		if err := l.cfg.Gate.Check(ctx, in.Principal, authz.AccountFactors, ownAccount(in.Principal)); err != nil {
			return err
		}
		return l.cfg.Gate.Fresh(in.Principal)
	case SSOConfirm:
		return l.mayConfirmThere(ctx, p, in.Principal)
	case SSOTest:
		if err := l.cfg.Gate.Check(ctx, in.Principal, authz.SignInManage, p.resource()); err != nil {
			return err
		}
		return l.cfg.Gate.Fresh(in.Principal)
	}
	return problem.New(problem.Invalid, "There is no such purpose.").WithField("purpose")
}

func beginCounter(ip string) counter { return counter{"sso:" + addressPrefix(ip), beginLimit} }

// newBrowser makes a value of the cookie sluice_sso: random, and authentic, so that what is counted for a browser is counted only for those that Sluice has seen.
func (l *Logins) newBrowser() (string, error) {
	id, err := randomToken()
	return id + "." + l.mac("sso cookie", id), err
}

func (l *Logins) knownBrowser(cookie string) bool {
	id, mac, ok := strings.Cut(cookie, ".")
	return ok && len(cookie) <= 100 && hmac.Equal([]byte(mac), []byte(l.mac("sso cookie", id)))
}

// FinishSSO ends a round when the browser comes back. Nothing of the answer is looked at before the round is known to be this browser's own.
func (l *Logins) FinishSSO(ctx context.Context, c Callback) (SSOEnd, error) {
	p, ok := l.providers.bySlug(c.Slug)
	if !ok {
		return SSOEnd{}, noProvider()
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if values := c.Query[name]; len(values) > 1 || len(values) == 1 && len(values[0]) > 8192 {
			return SSOEnd{}, problem.Newf(problem.Invalid, "The answer of %s has more than one %s, or one that is too long.", p.Name, name)
		}
	}
	state := c.Query.Get("state")
	var r round
	_, err := l.held(ctx, purposeSSO, state, &r)
	switch {
	case problem.Is(err, problem.NotFound), problem.Is(err, problem.Gone), err == nil && r.Provider != p.ID:
		return l.lost(ctx, c)
	case err != nil:
		return SSOEnd{}, err
	case !hmac.Equal([]byte(r.Browser), []byte(l.mac("sso browser", c.Browser))):
		return l.foreign(p, r, c)
	}
	if !p.Enabled && r.Purpose != SSOTest {
		return SSOEnd{}, noProvider()
	}
	end := SSOEnd{Purpose: r.Purpose, Provider: p.ID, Destination: r.Destination}
	if r.Purpose != SSOSignIn && (c.Principal.SessionID == "" || c.Principal.SessionID != r.Session) {
		return end, problem.New(problem.Unauthenticated, "You are not signed in as the person who began this any more.").WithNext("Sign in and begin again.")
	}
	err = l.cfg.DB.System(ctx, "attempts", func(tx *db.Tx) error { return l.take(ctx, tx, purposeSSO, state) })
	if problem.Is(err, problem.Gone) {
		return l.lost(ctx, c)
	}
	if err != nil {
		return end, err
	}
	a, err := l.answered(ctx, p, r, c)
	if err == nil {
		err = l.concluded(ctx, p, r, c, a, &end)
	}
	if err != nil {
		l.recordRefused(p, r, c, err)
	}
	return end, err
}

// concluded does what the round was for.
func (l *Logins) concluded(ctx context.Context, p *provider, r round, c Callback, a assertion, end *SSOEnd) (err error) {
	switch r.Purpose {
	case SSOLink:
		end.Linked, err = true, l.linkTo(ctx, p, c.Principal, a)
	case SSOConfirm:
		end.Confirmed, err = true, l.confirmedThere(ctx, p, r, c.Principal, a)
	case SSOTest:
		end.Test, err = l.report(ctx, p, c.Principal, a)
	default:
		end.Progress, err = l.signedIn(ctx, p, r, c, a)
	}
	if err != nil {
		end.Linked, end.Confirmed = false, false
	}
	return err
}

// lost answers a callback of which nothing is known: used up, too old, or never begun here. It begins again, unless somebody is signed in, who has only gone back in their browser.
func (l *Logins) lost(ctx context.Context, c Callback) (SSOEnd, error) {
	if c.Principal.SignedIn() {
		return SSOEnd{}, problem.New(problem.Gone, "This sign-in was finished already, or it took too long.").WithNext("You are signed in; go on to where you wanted to go.").WithRule("single use")
	}
	// Of such a round it is not known how often it began again, so that is counted for the browser.
	subject := "sso-lost:" + addressPrefix(c.IP)
	if l.knownBrowser(c.Browser) {
		subject = "sso-lost:" + l.mac("sso lost", c.Browser)
	}
	var times int64
	err := l.cfg.DB.System(ctx, "guess counters", func(tx *db.Tx) (err error) {
		now := l.cfg.Now()
		times, err = q.New(tx).AddGuess(ctx, q.AddGuessParams{Subject: subject, Now: now.UnixMilli(), ForgetBefore: now.Add(-lostFor).UnixMilli()})
		return err
	})
	if err != nil {
		return SSOEnd{}, fmt.Errorf("counting a lost sign-in: %w", err)
	}
	return SSOEnd{Purpose: SSOSignIn, Restart: &Round{
		Slug: c.Slug, Purpose: SSOSignIn, Browser: c.Browser, Origin: c.Origin, IP: c.IP, UserAgent: c.UserAgent, Principal: c.Principal, Bounces: int(min(times, 1000)),
	}}, nil
}

// foreign answers a callback that comes without the cookie of the browser that began it. The round stays as it is: it may be another browser's.
func (l *Logins) foreign(p *provider, r round, c Callback) (SSOEnd, error) {
	end := SSOEnd{Purpose: r.Purpose, Provider: p.ID}
	if r.Purpose == SSOSignIn && c.Principal.SignedIn() || r.Purpose != SSOSignIn && (c.Principal.SessionID == "" || c.Principal.SessionID != r.Session) {
		return end, problem.New(problem.Denied, "This was begun in another browser.").WithNext("Begin again in this one.").WithRule("browser binding")
	}
	end.Restart = &Round{
		Slug: c.Slug, Purpose: r.Purpose, Browser: c.Browser, Destination: r.Destination, Origin: c.Origin, IP: c.IP, UserAgent: c.UserAgent, Principal: c.Principal, Bounces: r.Bounces + 1,
	}
	return end, nil
}

// answered checks the provider's answer and turns its code into what it says about the person.
func (l *Logins) answered(ctx context.Context, p *provider, r round, c Callback) (assertion, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := l.checkIssuerOf(ctx, p, c.Query); err != nil {
		return assertion{}, err
	}
	if code := c.Query.Get("error"); code != "" {
		return assertion{}, p.said(code, c.Query.Get("error_description"))
	}
	code := c.Query.Get("code")
	if code == "" {
		return assertion{}, p.refused("it holds neither a code nor an error")
	}
	if p.Kind == KindGitHub {
		return l.redeemGitHub(ctx, p, r, code)
	}
	return l.redeemOIDC(ctx, p, r, code, r.Purpose == SSOTest)
}

// checkIssuerOf refuses the answer of another provider (RFC 9207 section 2.4).
func (l *Logins) checkIssuerOf(ctx context.Context, p *provider, query url.Values) error {
	if p.Kind != KindOIDC {
		return nil
	}
	m, err := l.metadata(ctx, p)
	if err != nil {
		return err
	}
	if given := query.Has("iss"); given && query.Get("iss") != p.Issuer || !given && m.NamesItself {
		return p.refused("it does not come from this provider (iss)")
	}
	return nil
}

// said is what a provider answers in place of a code (RFC 6749 section 4.1.2.1, OpenID Connect Core 1.0 section 3.1.2.6), as plain text.
func (p Provider) said(code, description string) error {
	text := told2text(code, description)
	switch code {
	case "access_denied":
		return problem.Newf(problem.Denied, "%s let nobody in: %s.", p.Name, text).WithNext("Begin again and agree there, or ask whoever runs the provider.").WithRule("identity provider")
	case "server_error", "temporarily_unavailable":
		return problem.Newf(problem.Unavailable, "%s has trouble: %s.", p.Name, text).WithNext("Try again in a minute, or sign in another way.").WithRule("identity provider")
	}
	return p.refused("it says %s", text)
}

// recordRefused writes down that a round did not succeed.
func (l *Logins) recordRefused(p *provider, r round, c Callback, err error) {
	who, action := authz.Principal{IP: c.IP}, authz.AccountSignIn
	if r.Purpose != SSOSignIn {
		who = c.Principal
	}
	detail := "trouble in Sluice"
	if e := (*problem.Error)(nil); errors.As(err, &e) {
		if e.Kind == problem.StepUp {
			return
		}
		detail = e.Detail
	}
	l.cfg.Gate.RecordLater(who, action, authz.Resource{Type: "User", ID: who.ID, Name: who.Name, Owner: who.ID}, audit.Denied, p.method()+" "+r.Purpose+": "+clipped(detail, 400))
}
