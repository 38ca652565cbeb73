package console

import (
	"net/http"
	"net/url"
	"strconv"

	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

// rounds are the round trips to identity providers, each bound to one browser by a cookie.
type rounds struct {
	sso       *sso.SSO
	providers *sso.Providers
}

// ssoPages are where a browser leaves for an identity provider and where it comes back. A round
// returns, and shows its errors, on the page that began it.
type ssoPages struct {
	attempts  *attempts
	rounds    *rounds
	signIn    *signInPages
	security  *securityPages
	settings  *signInSettings
	providers *sso.Providers
	sso       *sso.SSO
}

// ssoCookie binds a round trip to an identity provider to one browser.
const ssoCookie = "sluice_sso"

// awayView is a page that automatically leads to another website. A form's answer cannot redirect
// there: browsers apply form-action to every address on the way, and an identity provider may lead
// to others that Sluice does not know.
type awayView struct{ Title, Text, To, Action string }

func sendAway(x *visit, v awayView) error {
	page := x.frame(v.Title, "")
	page.RefreshTo = v.To
	return x.render(http.StatusOK, awayPage(page, v))
}

// beginSSO leads to an identity provider, for a link on the sign-in page, or for the proof that a
// page asked for. Rounds that change an account are begun by a form instead.
func (s *ssoPages) beginSSO(x *visit) error {
	query := x.r.URL.Query()
	d := destinationOf(query)
	in := sso.Round{Slug: x.r.PathValue("slug"), Purpose: sso.ForSignIn, Destination: d.attempt()}
	switch query.Get("purpose") {
	case "":
		if x.who.SignedIn() {
			return s.attempts.onward(x, d)
		}
	case sso.ForConfirm:
		in.Purpose = sso.ForConfirm
	default:
		return problem.New(problem.Invalid, "Start this on the page that needs it.").
			WithNext("Go to your account, or to the sign-in settings.")
	}
	to, err := s.rounds.roundTrip(x, in)
	if err != nil {
		return s.ssoTrouble(x, sso.End{Purpose: in.Purpose, Destination: in.Destination}, err)
	}
	x.redirect(to)
	return nil
}

// roundTrip begins a round and gives the browser its cookie. It returns the address at the
// provider.
func (r *rounds) roundTrip(x *visit, in sso.Round) (string, error) {
	in.Browser, in.Principal, in.Origin = x.cookie(ssoCookie), x.who, x.origin()
	in.IP, in.UserAgent = x.event.Peer, x.r.UserAgent()
	to, browser, err := r.sso.Begin(x.r.Context(), in)
	if err != nil {
		return "", err
	}
	x.setCookie(ssoCookie, browser, "/sso", int(sso.RoundLife.Seconds()))
	return to, nil
}

func (r *rounds) providerName(x *visit, slug string) string {
	for _, b := range r.providers.SignInButtons() {
		if b.Slug == slug {
			return b.Name
		}
	}
	return "the provider"
}

// finishSSO is where a browser comes back from an identity provider.
func (s *ssoPages) finishSSO(x *visit) error {
	end, err := s.sso.Finish(x.r.Context(), sso.Callback{
		Slug:      x.r.PathValue("slug"),
		Query:     x.r.URL.Query(),
		Browser:   x.cookie(ssoCookie),
		Device:    x.cookie(deviceCookie),
		Origin:    x.origin(),
		IP:        x.event.Peer,
		UserAgent: x.r.UserAgent(),
		Principal: x.who,
	})
	switch {
	case err != nil:
		return s.ssoTrouble(x, end, err)
	case end.Restart != nil:
		return s.restartSSO(x, *end.Restart)
	case end.Progress != nil:
		return s.attempts.advance(x, *end.Progress)
	case end.Linked:
		return x.done(securityPath, "linked")
	case end.Confirmed:
		return x.render(http.StatusOK, confirmedPage(x.frame("Confirmed", "")))
	case end.Test != nil:
		x.redirect("/admin/sign-in/" + end.Provider + "/test")
		return nil
	}
	return problem.New(problem.Gone, "This sign-in has expired.").WithNext("Begin again.")
}

// restartSSO restarts a round that was lost. At the third time it stops instead, with the page that
// explains why.
func (s *ssoPages) restartSSO(x *visit, r sso.Round) error {
	again := destination{app: r.Destination.App, back: r.Destination.Return, state: r.Destination.State}
	if r.Bounces >= sso.MaxBounces {
		q := requestOf(x)
		name := s.rounds.providerName(x, r.Slug)
		return diagnose(
			x,
			"Signing in with "+name+" is caught in a loop",
			name+" sent your browser back, but without the cookie by which Sluice recognizes it, "+
				strconv.Itoa(r.Bounces)+" times in a row.",
			"/login"+again.query(),
			q,
			lostRound(q),
		)
	}
	to, err := s.rounds.roundTrip(x, r)
	if err != nil {
		return s.ssoTrouble(x, sso.End{Purpose: r.Purpose, Destination: r.Destination}, err)
	}
	x.redirect(to)
	return nil
}

// ssoTrouble shows an error on the page that began the round.
func (s *ssoPages) ssoTrouble(x *visit, end sso.End, err error) error {
	e := problem.Of(err)
	if e.Kind == problem.Internal || e.Kind == problem.StepUp {
		return err
	}
	x.event.Reason = e.Kind.String()
	switch end.Purpose {
	case sso.ForLink:
		if x.who.SignedIn() {
			return s.security.renderSecurity(
				x,
				shownStatus(e),
				securityView{At: "links", Problem: e.Detail, Next: e.Next, Wait: e.RetryAfter},
			)
		}
	case sso.ForTest:
		if x.who.SignedIn() {
			return s.settings.providerTrouble(x, end.Provider, err)
		}
	case sso.ForConfirm:
		return err
	}
	if x.who.SignedIn() {
		return err
	}
	e.SetHeaders(x.w.Header())
	d := destination{app: end.Destination.App, back: end.Destination.Return, state: end.Destination.State}
	if d.back == "" {
		d.back = "/"
	}
	return s.signIn.loginForm(x, shownStatus(e), d, loginView{Problem: e.Detail, Next: e.Next, Wait: e.RetryAfter})
}

// shownStatus is the status of a page that shows an error among other content. It is never 401,
// because the page does not ask for HTTP credentials.
func shownStatus(e *problem.Error) int {
	if e.Kind == problem.Unauthenticated {
		return http.StatusUnprocessableEntity
	}
	return e.Kind.Status()
}

// backChannelLogout is called by a provider's server, not by a browser. It has no cookie; the
// signature of the token is the proof (OpenID Connect Back-Channel Logout 1.0 section 2.5).
func (s *ssoPages) backChannelLogout(x *visit) error {
	x.w.Header().Set("Cache-Control", "no-store")
	err := s.providers.BackChannelLogout(x.r.Context(), x.r.PathValue("slug"), x.field("logout_token"))
	if err == nil {
		x.w.WriteHeader(http.StatusOK)
		return nil
	}
	e := problem.Of(err)
	x.event.Reason, x.event.Cause = e.Kind.String(), e.Unwrap()
	if e.Kind == problem.Invalid {
		// Section 2.8: 400 with error and error_description, as in RFC 6749 section 5.2.
		x.w.Header().Set("Content-Type", "application/json")
		x.w.WriteHeader(http.StatusBadRequest)
		body := `{"error":"invalid_request","error_description":` + strconv.QuoteToASCII(e.Detail) + `}`
		_, err := x.w.Write([]byte(body))
		return err
	}
	problem.WriteJSON(x.w, e, x.event.ID)
	return nil
}

// lostRound explains why a browser comes back from a provider without the cookie that it left with.
func lostRound(q request) []causeView {
	var causes []causeView
	own := &url.URL{}
	if q.own != nil {
		own = q.own
	}
	if !sameHostName(q.host, own.Hostname()) {
		causes = append(causes, causeView{
			"Sluice was opened at a different address from its own",
			"The provider sends browsers back to " + own.String() + ", and cookies belong to one host name. Open " +
				"Sluice at " + own.String() +
				", or set APP_URL to the address that people use.",
			[]string{"APP_URL=" + q.scheme() + "://" + shown(q.host)},
		})
	}
	if q.secure && !q.https {
		causes = append(causes, secureOverHTTP(q))
	}
	if len(causes) == 0 && !q.cookies {
		causes = append(causes, causeView{
			"The browser keeps no cookies for this site",
			"Allow cookies for " + own.Host + ", also for private windows, and check whether an extension blocks them.",
			nil,
		})
	}
	if len(causes) == 0 {
		causes = append(causes, causeView{
			"The sign-in started elsewhere, or too long ago",
			"Start at Sluice's own sign-in page, not at a bookmark of the provider's page, and finish within 15 " +
				"minutes. " +
				"If several Sluices answer for this address, they must share one database.",
			nil,
		})
	}
	return causes
}
