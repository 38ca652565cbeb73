package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/login/factor"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// confirmPages ask a signed-in person to confirm their identity.
type confirmPages struct {
	gate      *authz.Gate
	factors   *factor.Factors
	providers *sso.Providers
}

// confirmPrefix begins the names of the fields that prove a person's identity. No other fields in
// the console's forms begin with it.
const confirmPrefix = "confirm_"

// confirmView is the page that asks a person to confirm their identity. It holds the request that
// they were about to send, so that one answer is enough.
type confirmView struct {
	Ways    factor.ConfirmWays
	Passkey passkeyView
	// Action is the form's target, and Fields are the fields that it carries besides the proof.
	Action string
	Fields []carried
	// Provider is the name of the identity provider for the proof; its page opens beside this one.
	Provider string
	// Unasked is the account of a person who was signed in automatically; "" for others.
	Unasked string
	// Back is the page to return to without confirming.
	Back          string
	Problem, Next string
	Wait          time.Duration
	Wrong         wrong
}

// none reports that there is no way to confirm.
func (v confirmView) none() bool { return v.Ways == factor.ConfirmWays{} }

// carried is a form field that is kept while a person confirms.
type carried struct{ Name, Value string }

// carriedFields are the fields of the request without proofs, in a fixed order. Several values of
// one name keep their order, because checkboxes rely on it.
func carriedFields(form url.Values) []carried {
	var names []string
	for name := range form {
		if !strings.HasPrefix(name, confirmPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []carried
	for _, name := range names {
		for _, value := range form[name] {
			out = append(out, carried{name, value})
		}
	}
	return out
}

// takeProof takes the proof that a form brings, before its handler runs. fresh means that the
// session is proven again; shown means that the proof was wrong and the answer is written.
func (p *confirmPages) takeProof(x *visit) (fresh, shown bool, err error) {
	proof := factor.Proof{
		Password:     x.field(confirmPrefix + "password"),
		Code:         x.field(confirmPrefix + "code"),
		PasskeyToken: x.field(confirmPrefix + "passkey_token"),
		Passkey:      []byte(x.field(confirmPrefix + "passkey")),
	}
	if proof.Password == "" && proof.Code == "" && proof.PasskeyToken == "" || !x.who.SignedIn() {
		return false, false, nil
	}
	// Without passkeys at this address, rp is empty and a passkey cannot be the proof.
	rp, _ := relyingParty(x)
	err = p.factors.Confirm(x.r.Context(), x.who, rp, proof)
	if err == nil {
		return true, false, nil
	}
	e := problem.Of(err)
	switch e.Kind {
	case problem.Internal, problem.StepUp:
		return false, false, err
	case problem.NotFound, problem.Gone:
		e = problem.New(problem.Invalid, "That took too long.").WithNext("Try again.")
	}
	e.SetHeaders(x.w.Header())
	x.event.Reason = e.Kind.String()
	v := confirmView{Problem: e.Detail, Next: e.Next, Wait: e.RetryAfter}
	if e.Field == "password" || e.Field == "code" {
		v.Wrong = wrong{confirmPrefix + e.Field: strings.TrimSpace(e.Detail + " " + e.Next)}
		v.Problem, v.Next = "", ""
	}
	status := e.Kind.Status()
	if e.Kind == problem.Unauthenticated {
		status = http.StatusUnprocessableEntity // the person is properly signed in
	}
	return false, true, p.renderConfirm(x, status, v)
}

// askToConfirm answers a request that needs a fresh proof: with the same form plus a field for the
// proof, or, if there is no form to keep, with a page that returns to the previous one.
func (p *confirmPages) askToConfirm(x *visit, e *problem.Error) error {
	if x.r.Header.Get("HX-Request") != "" {
		back := "/"
		if u, err := url.Parse(x.r.Header.Get("HX-Current-URL")); err == nil {
			back = u.RequestURI()
		}
		x.w.Header().Set("HX-Redirect", "/confirm?return="+url.QueryEscape(web.ReturnTo(back)))
		problem.WriteJSON(x.w, e, x.event.ID)
		return nil
	}
	if x.r.Method != http.MethodPost {
		x.redirect("/confirm?return=" + url.QueryEscape(web.ReturnTo(x.r.URL.RequestURI())))
		return nil
	}
	v := confirmView{}
	if x.value(confirmPrefix+"provider") != "" {
		v.Problem, v.Next = "You have not confirmed yet.", "First finish on your provider's page."
	}
	return p.renderConfirm(x, e.Kind.Status(), v)
}

func (p *confirmPages) renderConfirm(x *visit, status int, v confirmView) error {
	var err error
	if v.Ways, err = p.factors.ConfirmWays(x.r.Context(), x.who); err != nil {
		return err
	}
	for _, b := range p.providers.SignInButtons() {
		if b.Slug == v.Ways.Provider {
			v.Provider = b.Name
		}
	}
	if x.who.Automatic {
		v.Unasked = x.who.Name
	}
	v.Passkey, v.Back = passkeysAt(x), "/"
	if v.Action == "" {
		v.Action, v.Fields = web.ReturnTo(x.r.URL.RequestURI()), carriedFields(x.r.PostForm)
	}
	if u, err := url.Parse(x.r.Referer()); err == nil && u.Host == x.r.Host && !strings.HasPrefix(u.Path, "/confirm") {
		v.Back = web.ReturnTo(u.RequestURI())
	}
	page := x.frame("Confirm your identity", "")
	page.Path = v.Back
	page.Scripts = []string{"passkey.js"}
	return x.render(status, confirmPage(page, v))
}

// showConfirm asks for a proof alone; the page that needed it comes next.
func (p *confirmPages) showConfirm(x *visit) error {
	back := carried{"return", web.ReturnTo(x.r.URL.Query().Get("return"))}
	return p.renderConfirm(x, http.StatusOK, confirmView{Action: "/confirm", Fields: []carried{back}})
}

// confirmed returns to the previous page once the proof is fresh.
func (p *confirmPages) confirmed(x *visit) error {
	if err := p.gate.Fresh(x.who); err != nil {
		return err
	}
	x.redirect(web.ReturnTo(x.field("return")))
	return nil
}

func (p *confirmPages) offerConfirmPasskey(x *visit) error {
	rp, err := relyingParty(x)
	if err != nil {
		return err
	}
	return x.offer(p.factors.OfferConfirmPasskey(x.r.Context(), x.who, rp))
}
