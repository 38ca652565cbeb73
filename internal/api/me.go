package api

import (
	"time"

	"sluice/internal/authn"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// me describes the person who makes the request.
type me struct {
	Account
	SessionID  string      `json:"session_id" doc:"The session of the request."`
	Workspace  string      `json:"workspace" doc:"The id of your current workspace."`
	Workspaces []workplace `json:"workspaces" nullable:"false" doc:"Your workspaces."`
}

// workplace is a workspace with the person's role in it.
type workplace struct {
	ID   string `json:"id" example:"default"`
	Name string `json:"name" example:"Default workspace"`
	Role string `json:"role,omitempty" doc:"The id of your role. Left out for superusers who are not members." example:"admin"`
}

// session is one signed-in browser or program.
type session struct {
	ID        string    `json:"id"`
	IP        string    `json:"ip" doc:"The network address of the sign-in." example:"192.0.2.7"`
	UserAgent string    `json:"user_agent" doc:"The User-Agent of the browser or program."`
	Method    string    `json:"method" doc:"The factors of the sign-in, in order." example:"password + totp"`
	Strong    bool      `json:"strong" doc:"Whether more than one factor was proven. Some workspaces require it."`
	ProvenAt  time.Time `json:"proven_at" doc:"When the person last proved their identity. Dangerous actions require a recent proof."`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at" doc:"The time of its last use, to the minute."`
	ExpiresAt time.Time `json:"expires_at"`
	Program   bool      `json:"program" doc:"Whether it belongs to a program that signed in for tokens, not to a browser."`
	Current   bool      `json:"current" doc:"Whether it is the session of the request."`
}

func sessionOf(s authn.Session) session {
	return session{
		s.ID,
		s.IP,
		s.UserAgent,
		s.Method,
		s.Strong,
		s.ProvenAt.UTC(),
		s.CreatedAt.UTC(),
		s.SeenAt.UTC(),
		s.ExpiresAt.UTC(),
		s.Program,
		s.Current,
	}
}

func getMe(x *visit, _ *struct{}) (me, error) {
	u, err := x.cfg.People.Get(x, x.who, x.who.ID)
	if err != nil {
		return me{}, err
	}
	out := me{Account: accountOf(u), SessionID: x.who.SessionID, Workspace: x.who.Workspace, Workspaces: []workplace{}}
	for _, w := range x.cfg.People.WorkspacesOf(x.who) {
		out.Workspaces = append(out.Workspaces, workplace{ID: w.ID, Name: w.Name, Role: x.who.Role(w.ID)})
	}
	return out, nil
}

type meInput struct {
	Body struct {
		Name string `json:"name" maxLength:"100" doc:"The full name; empty for none." example:"Ann Example"`
	}
}

func updateMe(x *visit, in *meInput) (me, error) {
	if err := x.cfg.People.Update(x, x.who, x.who.ID, identity.UserUpdate{
		Name: problem.Some(in.Body.Name),
		Own:  true,
	}); err != nil {
		return me{}, err
	}
	return getMe(x, nil)
}

type emailInput struct {
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"1024" doc:"The current password." example:"the current password"`
		Email    string `json:"email" minLength:"3" maxLength:"254" doc:"The new address. Both the current and the new address get a link, and both links must be opened." example:"ann@example.org"`
	}
}

func changeEmail(x *visit, in *emailInput) error {
	return x.cfg.SignUps.ChangeEmail(x, x.who, in.Body.Password, in.Body.Email)
}

func verifyEmail(x *visit, _ *struct{}) error { return x.cfg.SignUps.SendVerification(x, x.who) }

type passwordInput struct {
	Body struct {
		Old string `json:"old_password" minLength:"1" maxLength:"1024" doc:"The current password." example:"the current password"`
		New string `json:"password" minLength:"1" maxLength:"1024" doc:"The new one, of at least 15 characters." example:"seven unlikely herons dance"`
	}
}

func changePassword(x *visit, in *passwordInput) error {
	return x.cfg.Logins.ChangePassword(x, x.who, in.Body.Old, in.Body.New)
}

type switchInput struct {
	Body struct {
		Workspace string `json:"workspace" minLength:"1" maxLength:"64" doc:"A workspace's id." example:"default"`
	}
}

func switchWorkspace(x *visit, in *switchInput) error {
	return x.cfg.Sessions.SwitchWorkspace(x, x.who, in.Body.Workspace)
}

func listMySessions(x *visit, in *Paging) (list[session], error) {
	return sessionsOf(x, x.who.ID, *in)
}

func sessionsOf(x *visit, userID string, p Paging) (list[session], error) {
	rows, err := x.cfg.Sessions.List(x, x.who, userID)
	return pageOf(rows, p, sessionOf), err
}

type sessionInput struct {
	Session string `path:"session" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"A session's id." example:"0199aaaa-0000-7000-8000-000000000003"`
}

func endMySession(x *visit, in *sessionInput) error {
	return x.cfg.Sessions.Revoke(x, x.who, in.Session)
}

func endMyOtherSessions(x *visit, _ *struct{}) error {
	return x.cfg.Sessions.RevokeAll(x, x.who, x.who.ID, x.who.SessionID)
}

// right is one action, and whether a person may perform it.
type right struct {
	Permission string   `json:"permission" example:"chatflows:view"`
	Title      string   `json:"title" example:"See chatflows"`
	Group      string   `json:"group" example:"Chatflows and agentflows"`
	Allowed    bool     `json:"allowed"`
	Policies   []string `json:"policies" nullable:"false" doc:"The policies that decided; none if no policy permits it."`
}

func rightOf(r identity.Right) right {
	return right{string(r.Name), r.Title, r.Group, r.Allowed, append([]string{}, r.Policies...)}
}

func listMyRights(x *visit, in *Where) (list[right], error) {
	return rightsOf(x, x.who.ID, in.Workspace)
}

func rightsOf(x *visit, userID, workspaceID string) (list[right], error) {
	rows, err := x.cfg.People.WhatCan(x, x.who, userID, workspaceID)
	return listOf(rows, len(rows), rightOf), err
}
