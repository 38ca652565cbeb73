package console

import (
	"net/http"
	"time"

	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/login/signup"
	"sluice/internal/problem"
)

// signInSteps are the pages of an attempt between the first proof and the session: a link in a
// mail, a second factor, its set-up, invitations.
type signInSteps struct {
	attempts    *attempts
	enrollment  *enrollment
	logins      *login.Logins
	factors     *factor.Factors
	signUps     *signup.SignUps
	invitations *signup.Invitations
}

// stepPages are the pages of the steps of an attempt.
var stepPages = map[login.Step]string{
	login.StepIdentify:   "/login",
	login.StepVerify:     "/login/verify",
	login.StepFactor:     "/login/factor",
	login.StepEnrol:      "/login/enrol",
	login.StepInvitation: "/login/invitation",
}

// stepView is shared by the pages of all steps: the account, the destination, and the last mistake.
type stepView struct {
	Account, AppName string
	// StartOver is the sign-in page with the same destination.
	StartOver     string
	Problem, Next string
	Wait          time.Duration
	Wrong         wrong
}

// stepMistake notes a mistake on a step's view, and returns the status for the answer; ok is false
// if the caller must handle the error.
func stepMistake(x *visit, v *stepView, err error, fields ...string) (status int, ok bool) {
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

// verifyStepView is the step that waits for the person to open the link in their mail.
type verifyStepView struct {
	stepView
	Email string
}

func (s *signInSteps) showVerifyStep(x *visit, p login.Progress) error {
	return s.renderVerifyStep(x, http.StatusOK, verifyStepView{s.attempts.stepOf(x, p), p.Email})
}

func (s *signInSteps) renderVerifyStep(x *visit, status int, v verifyStepView) error {
	return x.render(status, verifyStepPage(x.frame("Open the link in your mail", ""), v))
}

func (s *signInSteps) resendVerification(x *visit, p login.Progress) error {
	err := s.signUps.ResendVerification(x.r.Context(), p.Token)
	if err == nil {
		return x.done(stepPages[login.StepVerify], "verify-sent")
	}
	v := verifyStepView{s.attempts.stepOf(x, p), p.Email}
	status, ok := stepMistake(x, &v.stepView, err)
	if !ok {
		return err
	}
	return s.renderVerifyStep(x, status, v)
}

// offeredWorkspace is an open invitation of the person.
type offeredWorkspace struct{ ID, Workspace, Role string }

// invitationStepView is the step that offers workspaces.
type invitationStepView struct {
	stepView
	Offers []offeredWorkspace
}

func (s *signInSteps) showInvitationStep(x *visit, p login.Progress) error {
	return s.renderInvitationStep(x, http.StatusOK, invitationStepView{stepView: s.attempts.stepOf(x, p)}, p)
}

func (s *signInSteps) renderInvitationStep(x *visit, status int, v invitationStepView, p login.Progress) error {
	offers, err := s.invitations.WaitingInvitations(x.r.Context(), p.Token)
	if err != nil {
		return err
	}
	for _, o := range offers {
		v.Offers = append(v.Offers, offeredWorkspace{o.ID, o.WorkspaceName, o.RoleName})
	}
	return x.render(status, invitationStepPage(x.frame("Invitations", ""), v))
}

// answerInvitations accepts the ticked invitations; "later" accepts none and leaves all of them
// open.
func (s *signInSteps) answerInvitations(x *visit, p login.Progress) error {
	accepted := x.r.PostForm["accept"]
	if x.value("later") != "" {
		accepted = nil
	}
	after, err := s.invitations.AnswerInvitations(x.r.Context(), p.Token, accepted)
	if problem.Is(err, problem.Gone) {
		// An invitation was withdrawn in the meantime; offer the others again.
		v := invitationStepView{stepView: s.attempts.stepOf(x, p)}
		v.Problem = problem.Of(err).Detail
		return s.renderInvitationStep(x, problem.Gone.Status(), v, p)
	}
	if err != nil {
		return err
	}
	if len(accepted) > 0 {
		x.setNotice("joined")
	}
	return s.attempts.advance(x, after)
}
