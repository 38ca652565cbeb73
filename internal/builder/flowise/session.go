package flowise

import (
	"context"
	"net/http"
	"strings"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
)

const (
	// sessionLife is how long a sign-in is used. On SQLite Flowise forgets the session 24 h after
	// the sign-in, used or not.
	sessionLife = 23 * time.Hour
	// tokenLife is assumed when the token cookie holds no expiry; it is Flowise's own default.
	tokenLife = time.Hour
)

// session is a signed-in service owner. It is immutable.
type session struct {
	header http.Header    // Cookie and the mark of a page's call, ready to share
	token  string         // value of "token"
	others string         // the cookies besides token
	user   map[string]any // the owner as Flowise describes it
	born   time.Time      // time of the sign-in
	due    time.Time      // renew in the background from this time on
	dead   time.Time      // do not use from this time on
}

// newSession reads the answer to a sign-in or a refresh. old is the refreshed session, or nil. The
// answer is only valid if it is JSON, names a user and brings a token: Flowise answers an empty
// body with 200 and its page, and a vanished session with 200 and no id.
func newSession(r *builder.Reply, old *session, now time.Time) (*session, bool) {
	user := r.Object()
	if id, _ := user["id"].(string); r.Status != http.StatusOK || id == "" {
		return nil, false
	}
	s := &session{user: user, born: now}
	if old != nil {
		s.born, s.others = old.born, old.others
	}
	var others []string
	for _, c := range r.Cookies {
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
	s.header = http.Header{"Cookie": {"token=" + s.token + "; " + s.others}, "X-Request-From": internalCall}
	s.schedule(now)
	return s, true
}

// attach adds the session to the headers of a request.
func (s *session) attach(h http.Header) {
	h["Cookie"], h["X-Request-From"] = s.header["Cookie"], internalCall
}

// schedule sets due and dead from the token's expiry and the age of the sign-in.
func (s *session) schedule(now time.Time) {
	expires, ok := builder.TokenExpiry(s.token)
	life := min(expires.Sub(now), 2*sessionLife)
	if !ok || life < 10*time.Second {
		// The clocks disagree, or tokens expire immediately by design. Flowise's 401 will show
		// which, see Rejected.
		life = tokenLife
	}
	s.due, s.dead = now.Add(life*4/5), now.Add(life-2*time.Second)
	end := s.born.Add(sessionLife)
	if s.due.After(end) {
		s.due = end
	}
	if grace := end.Add(30 * time.Minute); s.dead.After(grace) {
		s.dead = grace
	}
}

// signInOwner signs the owner in. Errors: problem.Unauthenticated for wrong credentials, otherwise
// problem.Upstream, Unavailable or Timeout.
func signInOwner(ctx context.Context, c *builder.Client, a builder.Access, now time.Time) (*session, error) {
	r, err := c.Send(
		ctx,
		http.MethodPost,
		"/api/v1/auth/login",
		nil,
		map[string]string{"email": a.Email, "password": a.Password},
	)
	if err != nil {
		return nil, err
	}
	if s, ok := newSession(r, nil, now); ok {
		return s, nil
	}
	switch {
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusNotFound && r.JSON:
		return nil, problem.New(problem.Unauthenticated, "Flowise did not accept the owner's email address and "+
			"password.").
			WithField("owner_password").
			WithNext("Enter the email address and password with which the owner signs in to Flowise directly.")
	case r.Status == http.StatusTooManyRequests || r.Status >= 500:
		return nil, problem.Newf(problem.Unavailable, "Flowise could not sign the owner in (status %d).", r.Status).
			WithNext("Try again in a few seconds. If it fails again, restart Flowise.")
	}
	return nil, problem.Newf(problem.Upstream, "The answer to the owner's sign-in (status %d) does not come "+
		"from Flowise.", r.Status).
		WithNext("Check that the address belongs to Flowise 3.")
}

// refreshSession gets a new token for a session. It returns false if only a new sign-in helps.
func refreshSession(ctx context.Context, c *builder.Client, s *session, now time.Time) (*session, bool) {
	r, err := c.Send(ctx, http.MethodPost, "/api/v1/auth/refreshToken", s.header, struct{}{})
	if err != nil {
		return nil, false
	}
	return newSession(r, s, now)
}

// sessionKnown asks Flowise whether it still knows the session, with a call that changes nothing.
func sessionKnown(ctx context.Context, c *builder.Client, s *session) (bool, error) {
	r, err := c.Send(ctx, http.MethodGet, "/api/v1/auth/permissions/API_KEY", s.header, nil)
	if err != nil {
		return false, err
	}
	return r.Status == http.StatusOK && r.JSON, nil
}
