package console

import (
	"net/http"
	"net/url"
	"time"

	"sluice/internal/login"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// attemptCookie binds an attempt to sign in to one browser between its steps.
const attemptCookie = "sluice_attempt"

// stepPages are the pages of the steps that an attempt can stand at.
var stepPages = map[login.Step]string{
	login.StepIdentify: "/login", login.StepVerify: "/login/verify", login.StepFactor: "/login/factor", login.StepEnrol: "/login/enrol",
	login.StepInvitation: "/login/invitation",
}

// stepView is what every step's page shows: who is signing in, for what, and what was wrong.
type stepView struct {
	Account, AppName string
	// StartOver is the sign-in page with the same destination.
	StartOver     string
	Problem, Next string
	Wait          time.Duration
	Wrong         wrong
}

// advance leads the browser to what the dispatcher said: the next step, or the end, where it shows whether the browser kept its cookie.
func (x *visit) advance(p login.Progress) error {
	x.redirect(x.keep(p))
	return nil
}

// keep gives the browser the cookies of where its attempt stands, and returns the page of that.
func (x *visit) keep(p login.Progress) string {
	if p.Step != login.StepFinish {
		x.setCookie(attemptCookie, p.Token, "/login", int(login.AttemptLife/time.Second))
		return stepPages[p.Step]
	}
	x.forgetAttempt()
	x.signedIn(*p.Result)
	return "/login/done" + destinationAfter(p).query()
}

// advanceTo is advance for those who came with a link: they end on a page with a word on what was done.
func (x *visit) advanceTo(p login.Progress, to, notice string) error {
	x.setNotice(notice)
	if p.Step == login.StepFinish {
		p.Destination.Return = to
	}
	return x.advance(p)
}

func (x *visit) forgetAttempt() {
	if x.cookie(attemptCookie) != "" {
		x.setCookie(attemptCookie, "", "/login", -1)
	}
}

func destinationAfter(p login.Progress) destination {
	return destination{app: p.Destination.App, back: web.ReturnTo(p.Destination.Return), state: p.Destination.State}
}

// query is the destination as the sign-in pages pass it on in their addresses.
func (d destination) query() string {
	q := url.Values{"return": {d.back}}
	if d.app != "" {
		q.Set("app", d.app)
	}
	if d.state != "" {
		q.Set("state", d.state)
	}
	return "?" + q.Encode()
}

// attempt is the destination as an attempt keeps it.
func (d destination) attempt() login.Destination {
	return login.Destination{App: d.app, Return: d.back, State: d.state}
}

// atStep runs a handler only for a browser whose attempt stands at this step. Any other browser is led to where its attempt stands, or back to the beginning: the dispatcher knows, and
// what a step finds out itself (the attempt ended, or went on in another tab) leads the same way.
func atStep(step login.Step, run func(*visit, login.Progress) error) func(*visit) error {
	return func(x *visit) error {
		p, err := x.c.cfg.Logins.Where(x.r.Context(), x.cookie(attemptCookie))
		if err != nil {
			return x.attemptOver(err)
		}
		if p.Step != step {
			return x.advance(p)
		}
		return x.attemptOver(run(x, p))
	}
}

// attemptOver leads a browser on whose attempt has ended or stands elsewhere; any other error is returned.
func (x *visit) attemptOver(err error) error {
	if err == nil {
		return nil
	}
	e := problem.Of(err)
	switch {
	case e.Kind == problem.NotFound || e.Kind == problem.Gone:
		x.event.Reason = e.Kind.String()
		x.forgetAttempt()
		return x.done("/login", "attempt-over")
	case e.Kind == problem.Conflict && e.Rule == "sign-in step":
		p, where := x.c.cfg.Logins.Where(x.r.Context(), x.cookie(attemptCookie))
		if where != nil {
			return where
		}
		return x.advance(p)
	}
	return err
}

// stepOf is what the page of a step shows, and lets the page's form lead to the app.
func (x *visit) stepOf(p login.Progress) stepView {
	d := destinationAfter(p)
	v := stepView{Account: p.Account, StartOver: "/login" + d.query()}
	if a, ok := x.leadsTo(d); ok {
		v.AppName = a.Name
	}
	return v
}

// stepMistake notes on a step's view what was wrong, and returns the status to answer with; false leaves the error to the caller.
func (x *visit) stepMistake(v *stepView, err error, fields ...string) (status int, ok bool) {
	m, ok := formMistake(err, fields...)
	if !ok {
		return 0, false
	}
	e := problem.Of(err)
	if e.Kind == problem.Conflict && e.Rule == "sign-in step" {
		return 0, false
	}
	e.SetHeaders(x.w.Header())
	x.event.Reason = e.Kind.String()
	v.Problem, v.Next, v.Wait, v.Wrong = m.Text, m.Next, e.RetryAfter, m.Wrong
	return m.status, true
}

// verifyStepView is the step that waits for the link in the person's mail.
type verifyStepView struct {
	stepView
	Email string
}

func showVerifyStep(x *visit, p login.Progress) error {
	return x.renderVerifyStep(http.StatusOK, verifyStepView{x.stepOf(p), p.Email})
}

func (x *visit) renderVerifyStep(status int, v verifyStepView) error {
	return x.render(status, verifyStepPage(x.frame("Open the link in your mail", ""), v))
}

func resendVerification(x *visit, p login.Progress) error {
	err := x.c.cfg.SignUps.ResendVerification(x.r.Context(), p.Token)
	if err == nil {
		return x.done(stepPages[login.StepVerify], "verify-sent")
	}
	v := verifyStepView{x.stepOf(p), p.Email}
	status, ok := x.stepMistake(&v.stepView, err)
	if !ok {
		return err
	}
	return x.renderVerifyStep(status, v)
}

// offeredWorkspace is an invitation that waits for the person's answer.
type offeredWorkspace struct{ ID, Workspace, Role string }

// invitationStepView is the step that offers workspaces.
type invitationStepView struct {
	stepView
	Offers []offeredWorkspace
}

func showInvitationStep(x *visit, p login.Progress) error {
	return x.renderInvitationStep(http.StatusOK, invitationStepView{stepView: x.stepOf(p)}, p)
}

func (x *visit) renderInvitationStep(status int, v invitationStepView, p login.Progress) error {
	offers, err := x.c.cfg.Invitations.WaitingInvitations(x.r.Context(), p.Token)
	if err != nil {
		return err
	}
	for _, o := range offers {
		v.Offers = append(v.Offers, offeredWorkspace{o.ID, o.WorkspaceName, o.RoleName})
	}
	return x.render(status, invitationStepPage(x.frame("Invitations", ""), v))
}

// answerInvitations accepts what is ticked; "later" accepts nothing and leaves all of them open.
func answerInvitations(x *visit, p login.Progress) error {
	accepted := x.r.PostForm["accept"]
	if x.value("later") != "" {
		accepted = nil
	}
	after, err := x.c.cfg.Invitations.AnswerInvitations(x.r.Context(), p.Token, accepted)
	if problem.Is(err, problem.Gone) {
		// One of the invitations was taken back meanwhile; the others are offered again.
		v := invitationStepView{stepView: x.stepOf(p)}
		v.Problem = problem.Of(err).Detail
		return x.renderInvitationStep(problem.Gone.Status(), v, p)
	}
	if err != nil {
		return err
	}
	if len(accepted) > 0 {
		x.setNotice("joined")
	}
	return x.advance(after)
}
