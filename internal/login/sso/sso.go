package sso

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
	"sluice/internal/login"
	"sluice/internal/problem"
)

// SSO takes browsers to an identity provider and back.
type SSO struct {
	providers *Providers
	accounts  *accounts
	reports   *reports
	cfg       Config
}

// New creates SSO for the configured providers.
func New(ps *Providers) *SSO {
	c := ps.cfg
	ac := &accounts{db: c.DB, gate: c.Gate, people: c.People, now: c.Now}
	return &SSO{
		providers: ps,
		accounts:  ac,
		reports:   &reports{db: c.DB, gate: c.Gate, people: c.People, logins: c.Logins, accounts: ac, now: c.Now},
		cfg:       c,
	}
}

// Purposes of a round trip to an identity provider.
const (
	// ForSignIn begins a session.
	ForSignIn = "sign-in"
	// ForLink links the identity there to the account of the signed-in person.
	ForLink = "link"
	// ForConfirm proves the identity of the signed-in person again.
	ForConfirm = "confirm"
	// ForTest shows an admin the provider's assertion. It signs no one in and changes nothing.
	ForTest = "test"
)

const (
	purposeSSO = "sso"
	// RoundLife is how long a person may take at the provider.
	RoundLife = 15 * time.Minute
	// MaxBounces is the number of restarts from which a round is treated as a loop. Then a page
	// that explains it is shown instead.
	MaxBounces = 3
	// answerTime bounds all requests to a provider for one callback.
	answerTime = 25 * time.Second
	// lostFor is how long unknown callbacks are counted together.
	lostFor = 2 * time.Minute
)

// beginLimit bounds how many rounds strangers from one address begin without finishing them.
var beginLimit = login.Limit{Free: 120, Most: time.Minute}

// Round is one round trip to an identity provider.
type Round struct {
	// Slug names the provider. Purpose is ForSignIn, ForLink, ForConfirm or ForTest.
	Slug, Purpose string
	// Browser is the value of the cookie sluice_sso; "" without one.
	Browser string
	// Destination is where the browser goes after the sign-in.
	Destination login.Destination
	// Principal is the signed-in person. All purposes except ForSignIn require one.
	Principal authz.Principal
	// Origin is the origin of Sluice's own pages as the browser sees them, without a slash.
	Origin string
	// IP and UserAgent describe the browser.
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
	// Origin is the origin of Sluice's own pages.
	Origin, IP, UserAgent string
	// Principal is the signed-in person, if any.
	Principal authz.Principal
}

// End is the result of a round.
type End struct {
	// Purpose is the purpose of the round; "" if it is unknown.
	Purpose string
	// Provider is the provider's id.
	Provider string
	// Progress is the progress of the sign-in, for ForSignIn.
	Progress *login.Progress
	// Test is the report for the admin, for ForTest.
	Test *ClaimReport
	// Linked and Confirmed report the success of ForLink and ForConfirm.
	Linked, Confirmed bool
	// Destination is where the browser wanted to go.
	Destination login.Destination
	// Restart is set if the browser's cookie or the round is lost. The caller begins again with it,
	// unless Bounces has reached MaxBounces.
	Restart *Round
}

// round is the state of a round until the browser comes back: sealed, under its state parameter.
type round struct {
	Provider, Purpose, Nonce, Verifier, Redirect string
	// Browser is the hash of the browser's cookie. Session and Account are those of the signed-in
	// person.
	Browser, Session, Account string
	Destination               login.Destination
	Bounces                   int
	Begun                     int64 // Unix milliseconds
}

// Begin begins a round. It returns the address at the provider to redirect the browser to, and the
// value of the cookie sluice_sso that the browser must bring back.
func (s *SSO) Begin(ctx context.Context, in Round) (redirect, browser string, err error) {
	p, ok := s.providers.bySlug(in.Slug)
	if !ok || !p.Enabled && in.Purpose != ForTest {
		return "", "", noProvider()
	}
	if err := s.mayBegin(ctx, p, in); err != nil {
		return "", "", err
	}
	browser = in.Browser
	if !s.knownBrowser(browser) {
		if browser, err = s.newBrowser(); err != nil {
			return "", "", err
		}
	}
	nonce, err := login.RandomToken()
	if err != nil {
		return "", "", err
	}
	r := round{
		Provider:    p.ID,
		Purpose:     in.Purpose,
		Nonce:       nonce,
		Verifier:    oauth2.GenerateVerifier(),
		Redirect:    in.Origin + "/sso/" + p.Slug + "/callback",
		Browser:     s.cfg.Logins.Hash("sso browser", browser),
		Session:     in.Principal.SessionID,
		Account:     in.Principal.ID,
		Destination: in.Destination,
		Bounces:     in.Bounces,
		Begun:       s.cfg.Now().UnixMilli(),
	}
	client, err := s.providers.client.clientOf(ctx, p, r.Redirect)
	if err != nil {
		return "", "", err
	}
	state, err := s.cfg.Logins.Pending.Keep(ctx, purposeSSO, p.ID, r, RoundLife)
	if err != nil {
		return "", "", err
	}
	return client.AuthCodeURL(state, askFor(p, r)...), browser, nil
}

// askFor returns the additional parameters of the request for a code.
func askFor(p *provider, r round) []oauth2.AuthCodeOption {
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(r.Verifier)}
	if p.Kind == KindOIDC {
		options = append(options, oidc.Nonce(r.Nonce))
	}
	if r.Purpose == ForConfirm {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return options
}

// mayBegin checks the permission that a purpose requires, and bounds how many rounds strangers
// begin.
func (s *SSO) mayBegin(ctx context.Context, p *provider, in Round) error {
	if in.Purpose != ForSignIn && (!in.Principal.SignedIn() || in.Principal.SessionID == "") {
		return problem.New(problem.Unauthenticated, "Sign in first.")
	}
	switch in.Purpose {
	case ForSignIn:
		err := s.cfg.Logins.Limits.Reserve(ctx, beginCounter(in.IP))
		if problem.Is(err, problem.Limited) {
			limited := problem.Of(err)
			limited.Detail, limited.Next = "Too many sign-ins were started from this address and not "+
				"finished.", "Wait, then try again."
			return limited
		}
		return err
	case ForLink:
		if err := s.cfg.Gate.Check(ctx, in.Principal, authz.AccountFactors,
			login.OwnAccount(in.Principal)); err != nil {
			return err
		}
		return s.cfg.Gate.Fresh(in.Principal)
	case ForConfirm:
		return s.mayConfirmThere(ctx, p, in.Principal)
	case ForTest:
		if err := s.cfg.Gate.Check(ctx, in.Principal, authz.SignInManage, p.resource()); err != nil {
			return err
		}
		return s.cfg.Gate.Fresh(in.Principal)
	}
	return problem.New(problem.Invalid, "There is no such purpose.").WithField("purpose")
}

func beginCounter(ip string) login.Counter {
	return login.Counter{Subject: "sso:" + login.AddressPrefix(ip), Limit: beginLimit}
}

// newBrowser creates a value of the cookie sluice_sso: random, and authenticated, so that counters
// apply only to browsers that Sluice has seen.
func (s *SSO) newBrowser() (string, error) {
	id, err := login.RandomToken()
	return id + "." + s.cfg.Logins.Hash("sso cookie", id), err
}

func (s *SSO) knownBrowser(cookie string) bool {
	id, mac, ok := strings.Cut(cookie, ".")
	return ok && len(cookie) <= 100 && hmac.Equal([]byte(mac), []byte(s.cfg.Logins.Hash("sso cookie", id)))
}

// Finish finishes a round when the browser comes back. It looks at the answer only once it knows
// that the round belongs to this browser.
func (s *SSO) Finish(ctx context.Context, c Callback) (End, error) {
	p, ok := s.providers.bySlug(c.Slug)
	if !ok {
		return End{}, noProvider()
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if values := c.Query[name]; len(values) > 1 || len(values) == 1 && len(values[0]) > 8192 {
			return End{}, problem.Newf(problem.Invalid,
				"The answer of %s has more than one %s, or a value that is too long.", p.Name, name)
		}
	}
	state := c.Query.Get("state")
	var r round
	_, err := s.cfg.Logins.Pending.Held(ctx, purposeSSO, state, &r)
	switch {
	case problem.Is(err, problem.NotFound), problem.Is(err, problem.Gone), err == nil && r.Provider != p.ID:
		return s.lost(ctx, c)
	case err != nil:
		return End{}, err
	case !hmac.Equal([]byte(r.Browser), []byte(s.cfg.Logins.Hash("sso browser", c.Browser))):
		return s.foreign(p, r, c)
	}
	if !p.Enabled && r.Purpose != ForTest {
		return End{}, noProvider()
	}
	end := End{Purpose: r.Purpose, Provider: p.ID, Destination: r.Destination}
	if r.Purpose != ForSignIn && (c.Principal.SessionID == "" || c.Principal.SessionID != r.Session) {
		return end, problem.New(problem.Unauthenticated, "You are no longer signed in as the person who started "+
			"this.").
			WithNext("Sign in and start again.")
	}
	err = s.cfg.Logins.Pending.Spend(ctx, purposeSSO, state)
	if problem.Is(err, problem.Gone) {
		return s.lost(ctx, c)
	}
	if err != nil {
		return end, err
	}
	a, err := s.answered(ctx, p, r, c)
	if err == nil {
		err = s.concluded(ctx, p, r, c, a, &end)
	}
	if err != nil {
		s.recordRefused(p, r, c, err)
	}
	return end, err
}

// concluded carries out the purpose of the round.
func (s *SSO) concluded(ctx context.Context, p *provider, r round, c Callback, a assertion, end *End) (err error) {
	switch r.Purpose {
	case ForLink:
		end.Linked, err = true, s.linkTo(ctx, p, c.Principal, a)
	case ForConfirm:
		end.Confirmed, err = true, s.confirmedThere(ctx, p, r, c.Principal, a)
	case ForTest:
		end.Test, err = s.reports.create(ctx, p, c.Principal, a)
	default:
		end.Progress, err = s.signedIn(ctx, p, r, c, a)
	}
	if err != nil {
		end.Linked, end.Confirmed = false, false
	}
	return err
}

// signedIn begins the attempt of a person whom the provider has identified, after creating their
// account or updating their roles.
func (s *SSO) signedIn(ctx context.Context, p *provider, r round, c Callback, a assertion) (*login.Progress, error) {
	userID, err := s.accounts.admit(ctx, p, a, c.IP)
	if err != nil {
		return nil, err
	}
	factor := login.FactorSSO
	if p.TrustFactor && strongly(a) {
		factor = login.FactorSSOStrong
	}
	at := login.State{
		Account:     userID,
		Method:      p.method(),
		Factors:     []string{factor},
		IP:          c.IP,
		UserAgent:   c.UserAgent,
		Device:      c.Device,
		Destination: r.Destination,
		Provider:    &login.ProviderSession{ProviderID: p.ID, Subject: a.Subject, SID: a.SID, IDToken: a.IDToken},
	}
	progress, err := s.cfg.Logins.Begin(ctx, at, func(tx *db.Tx) error {
		return s.cfg.Logins.Limits.Forgive(ctx, tx, beginCounter(c.IP))
	})
	if err != nil {
		return nil, err
	}
	return &progress, nil
}

// lost answers an unknown callback: used up, too old, or never begun here. It begins again, unless
// a person is signed in, who has merely gone back in their browser.
func (s *SSO) lost(ctx context.Context, c Callback) (End, error) {
	if c.Principal.SignedIn() {
		return End{}, problem.New(problem.Gone, "This sign-in is already finished, or it took too long.").
			WithNext("You are signed in; open the page that you wanted.").
			WithRule("single use")
	}
	// Such a round does not reveal how often it began again, so restarts are counted per browser,
	// or per address for an unknown browser.
	subject := "sso-lost:" + login.AddressPrefix(c.IP)
	if s.knownBrowser(c.Browser) {
		subject = "sso-lost:" + s.cfg.Logins.Hash("sso lost", c.Browser)
	}
	var times int64
	err := s.cfg.DB.System(ctx, "guess counters", func(tx *db.Tx) (err error) {
		times, err = s.cfg.Logins.Limits.Count(ctx, tx, subject, lostFor)
		return err
	})
	if err != nil {
		return End{}, fmt.Errorf("counting a lost sign-in: %w", err)
	}
	return End{Purpose: ForSignIn, Restart: &Round{
		Slug:      c.Slug,
		Purpose:   ForSignIn,
		Browser:   c.Browser,
		Origin:    c.Origin,
		IP:        c.IP,
		UserAgent: c.UserAgent,
		Principal: c.Principal,
		Bounces:   int(min(times, 1000)),
	}}, nil
}

// foreign answers a callback without the cookie of the browser that began the round. It keeps the
// round, which may belong to another browser.
func (s *SSO) foreign(p *provider, r round, c Callback) (End, error) {
	end := End{Purpose: r.Purpose, Provider: p.ID}
	if r.Purpose == ForSignIn && c.Principal.SignedIn() ||
		r.Purpose != ForSignIn && (c.Principal.SessionID == "" || c.Principal.SessionID != r.Session) {
		return end, problem.New(problem.Denied, "This was started in another browser.").
			WithNext("Start again in this one.").
			WithRule("browser binding")
	}
	end.Restart = &Round{
		Slug:        c.Slug,
		Purpose:     r.Purpose,
		Browser:     c.Browser,
		Destination: r.Destination,
		Origin:      c.Origin,
		IP:          c.IP,
		UserAgent:   c.UserAgent,
		Principal:   c.Principal,
		Bounces:     r.Bounces + 1,
	}
	return end, nil
}

// answered checks the provider's answer and redeems its code for an assertion about the person.
func (s *SSO) answered(ctx context.Context, p *provider, r round, c Callback) (assertion, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := s.providers.client.checkIssuerOf(ctx, p, c.Query); err != nil {
		return assertion{}, err
	}
	if code := c.Query.Get("error"); code != "" {
		return assertion{}, p.said(code, c.Query.Get("error_description"))
	}
	code := c.Query.Get("code")
	if code == "" {
		return assertion{}, p.refused("it contains neither a code nor an error")
	}
	if p.Kind == KindGitHub {
		return s.providers.client.redeemGitHub(ctx, p, r, code)
	}
	return s.providers.client.redeemOIDC(ctx, p, r, code, r.Purpose == ForTest)
}

// recordRefused records that a round failed.
func (s *SSO) recordRefused(p *provider, r round, c Callback, err error) {
	who, action := authz.Principal{IP: c.IP}, authz.AccountSignIn
	if r.Purpose != ForSignIn {
		who = c.Principal
	}
	detail := "trouble in Sluice"
	if e := (*problem.Error)(nil); errors.As(err, &e) {
		if e.Kind == problem.StepUp {
			return
		}
		detail = e.Detail
	}
	s.cfg.Gate.RecordLater(who, action, authz.Resource{Type: "User", ID: who.ID, Name: who.Name, Owner: who.ID},
		audit.Denied, p.method()+" "+r.Purpose+": "+login.Clip(detail, 400))
}

// TestReport returns the report of the last test of a provider in the actor's session, once.
// Errors: problem.NotFound if no report exists or it was shown already. It requires SignInManage.
func (s *SSO) TestReport(ctx context.Context, actor authz.Principal, providerID string) (ClaimReport, error) {
	return s.reports.take(ctx, actor, providerID)
}
