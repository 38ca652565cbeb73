package authn

import "time"

// Forget makes all tokens strange again.
func (t *Tokens) Forget() {
	t.known.mu.Lock()
	defer t.known.mu.Unlock()
	clear(t.known.young)
	clear(t.known.old)
}

// Another is a further access token of a pair's session.
func (t *Tokens) Another(p Pair) string {
	account, err := t.Verify(p.Access)
	if err != nil {
		return ""
	}
	token, _, err := t.access(account.ID, p.SessionID, t.now().Add(time.Hour))
	if err != nil {
		return ""
	}
	return token
}
