package api

import (
	"time"

	"sluice/internal/authn"
	"sluice/internal/login"
	"sluice/internal/problem"
)

// grant is the request with which a program signs in.
type grant struct {
	Username  string `json:"username" minLength:"1" maxLength:"254" doc:"A username or an email address." example:"ann"`
	Password  string `json:"password" minLength:"1" maxLength:"1024" doc:"The password." example:"the current password"`
	Code      string `json:"code,omitempty" maxLength:"64" doc:"For accounts with a second factor: a code of the authenticator app, or a recovery code."`
	Workspace string `json:"workspace,omitempty" maxLength:"64" doc:"The id of the workspace to work in. If left out, Sluice chooses."`
}

// tokenPair is the answer to a program (RFC 6749 section 5.1).
type tokenPair struct {
	AccessToken      string `json:"access_token" doc:"Send it as Authorization: Bearer. It is revoked together with the session."`
	TokenType        string `json:"token_type" enum:"Bearer"`
	ExpiresIn        int64  `json:"expires_in" doc:"Seconds until the access token expires."`
	RefreshToken     string `json:"refresh_token" doc:"Gets the next pair of tokens, once. Keep only the newest one."`
	RefreshExpiresIn int64  `json:"refresh_expires_in" doc:"Seconds until the refresh token expires."`
}

// pairOf returns a pair of tokens as an answer.
func pairOf(x *visit, p authn.Pair) tokenPair {
	x.event.Session = p.SessionID
	left := func(end time.Time) int64 { return max(0, int64(end.Sub(x.cfg.Now())/time.Second)) }
	return tokenPair{
		AccessToken:      p.Access,
		TokenType:        "Bearer",
		ExpiresIn:        left(p.AccessExpires),
		RefreshToken:     p.Refresh,
		RefreshExpiresIn: left(p.RefreshExpires),
	}
}

type grantInput struct{ Body grant }

func createTokens(x *visit, in *grantInput) (tokenPair, error) {
	p, err := x.cfg.Logins.SignInProgram(x, login.Grant{
		Identifier: in.Body.Username,
		Password:   in.Body.Password,
		Code:       in.Body.Code,
		Workspace:  in.Body.Workspace,
		IP:         x.event.Peer,
		UserAgent:  x.r.UserAgent(),
	})
	if err != nil {
		return tokenPair{}, err
	}
	return pairOf(x, p), nil
}

type refreshInput struct {
	Body struct {
		RefreshToken string `json:"refresh_token" minLength:"1" maxLength:"512" doc:"The newest refresh token." example:"sluicert_AQ"`
	}
}

func refreshTokens(x *visit, in *refreshInput) (tokenPair, error) {
	p, err := x.cfg.Tokens.Refresh(x, in.Body.RefreshToken, authn.Meta{IP: x.event.Peer, UserAgent: x.r.UserAgent()})
	if err != nil {
		return tokenPair{}, err
	}
	return pairOf(x, p), nil
}

// revoked is empty: the answer does not reveal whether the token was valid (RFC 7009 section 2.2).
type revoked struct{}

func revokeTokens(x *visit, in *refreshInput) (revoked, error) {
	return revoked{}, x.cfg.Tokens.Revoke(x, in.Body.RefreshToken, authn.Meta{
		IP:        x.event.Peer,
		UserAgent: x.r.UserAgent(),
	})
}

func logout(x *visit, _ *struct{}) error {
	if x.kind != authn.CredentialAccess {
		return problem.New(problem.Invalid, "This operation revokes the session of an access token, and the request "+
			"has none.").
			WithField("Authorization").
			WithNext("Send the access token as Authorization: Bearer. Browsers sign out on Sluice's pages; API keys " +
				"are revoked, not signed out.")
	}
	return x.cfg.Logins.SignOut(x, x.who)
}
