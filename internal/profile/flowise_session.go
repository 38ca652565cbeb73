package profile

import (
	"context"
	"net/http"
	"strings"
	"time"

	"sluice/internal/problem"
)

const (
	// flowiseSessionLife is how long a sign-in is used. On SQLite Flowise forgets the session 24 h after the sign-in, used or not.
	flowiseSessionLife = 23 * time.Hour
	// flowiseTokenLife is assumed when the token cookie tells no expiry; it is Flowise's own default.
	flowiseTokenLife = time.Hour
)

// flowiseSession is a signed-in service owner. It is immutable.
type flowiseSession struct {
	cookie []string       // the one Cookie header, ready to be shared
	token  string         // value of "token"
	others string         // the cookies besides token
	user   map[string]any // as Flowise describes the owner
	born   time.Time      // time of the sign-in
	due    time.Time      // renew in the background from here on
	dead   time.Time      // do not use from here on
}

// newFlowiseSession reads the answer to a sign-in or a refresh; old is the session that was refreshed, or nil. The answer counts only if it
// is JSON, names a user and brings a token: Flowise answers an empty body with 200 and its page, and a vanished session with 200 and no id.
func newFlowiseSession(r *reply, old *flowiseSession, now time.Time) (*flowiseSession, bool) {
	user := r.object()
	if id, _ := user["id"].(string); r.status != http.StatusOK || id == "" {
		return nil, false
	}
	s := &flowiseSession{user: user, born: now}
	if old != nil {
		s.born, s.others = old.born, old.others
	}
	var others []string
	for _, c := range r.cookies {
		switch c.Name {
		case "token":
			s.token = c.Value
		case "refreshToken", "connect.sid":
			others = append(others, c.Name+"="+c.Value)
		}
	}
	if s.token == "" || old == nil && len(others) != 2 {
		return nil, false
	}
	if old == nil {
		s.others = strings.Join(others, "; ")
	}
	s.cookie = []string{"token=" + s.token + "; " + s.others}
	s.schedule(now)
	return s, true
}

// schedule sets due and dead from the token's expiry and the age of the sign-in.
func (s *flowiseSession) schedule(now time.Time) {
	expires, ok := jwtExpiry(s.token)
	life := min(expires.Sub(now), 2*flowiseSessionLife)
	if !ok || life < 10*time.Second {
		// The clocks disagree, or tokens are made to expire at once. Flowise's 401 will tell, see Rejected.
		life = flowiseTokenLife
	}
	s.due, s.dead = now.Add(life*4/5), now.Add(life-2*time.Second)
	end := s.born.Add(flowiseSessionLife)
	if s.due.After(end) {
		s.due = end
	}
	if grace := end.Add(30 * time.Minute); s.dead.After(grace) {
		s.dead = grace
	}
}

// flowiseSignIn signs the owner in. Errors: problem.Unauthenticated for wrong credentials, problem.Upstream, Unavailable or Timeout else.
func flowiseSignIn(ctx context.Context, c *client, email, password string, now time.Time) (*flowiseSession, error) {
	r, err := c.send(ctx, http.MethodPost, "/api/v1/auth/login", "", map[string]string{"email": email, "password": password})
	if err != nil {
		return nil, err
	}
	if s, ok := newFlowiseSession(r, nil, now); ok {
		return s, nil
	}
	switch {
	case r.status == http.StatusUnauthorized || r.status == http.StatusNotFound && r.json:
		return nil, problem.New(problem.Unauthenticated, "Flowise did not accept the owner's e-mail address and password.").
			WithField("owner_password").WithNext("Enter the credentials that open this Flowise when you use it directly.")
	case r.status == http.StatusTooManyRequests || r.status >= 500:
		return nil, problem.Newf(problem.Unavailable, "Flowise could not sign the owner in just now (status %d).", r.status).
			WithNext("Try again in a few seconds; if it stays, restart Flowise.")
	}
	return nil, problem.Newf(problem.Upstream, "The answer to the owner's sign-in (status %d) is not one that Flowise gives.", r.status).
		WithNext("Check that the address is that of a Flowise 3.")
}

// flowiseRefresh gets a new token for a session; false if only a new sign-in helps.
func flowiseRefresh(ctx context.Context, c *client, s *flowiseSession, now time.Time) (*flowiseSession, bool) {
	r, err := c.send(ctx, http.MethodPost, "/api/v1/auth/refreshToken", s.cookie[0], struct{}{})
	if err != nil {
		return nil, false
	}
	return newFlowiseSession(r, s, now)
}

// flowiseAlive asks whether Flowise still knows the session, with a call that changes nothing.
func flowiseAlive(ctx context.Context, c *client, s *flowiseSession) (bool, error) {
	r, err := c.send(ctx, http.MethodGet, "/api/v1/auth/permissions/API_KEY", s.cookie[0], nil)
	if err != nil {
		return false, err
	}
	return r.status == http.StatusOK && r.json, nil
}
