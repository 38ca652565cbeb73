package console

import (
	"encoding/json"
	"net/url"

	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

// relyingParty is the place that a passkey is created for or used at: the origin that the browser
// shows, which is Sluice's own address if the names agree. It fails with a sentence where browsers
// know no passkeys.
func relyingParty(x *visit) (factor.RelyingParty, error) {
	origin := x.origin()
	if u, err := url.Parse(origin); err != nil || u.Host != x.r.Host {
		origin = requestOf(x).scheme() + "://" + x.r.Host
	}
	return factor.RelyingPartyOf(origin)
}

// passkeyView is what a page needs to offer passkeys.
type passkeyView struct {
	// Here tells that browsers know passkeys at this address; Why says why not.
	Here     bool
	Why, How string
}

func passkeysAt(x *visit) passkeyView {
	if _, err := relyingParty(x); err != nil {
		e := problem.Of(err)
		return passkeyView{Why: e.Detail, How: e.Next}
	}
	return passkeyView{Here: true}
}

// passkeyAnswer is what the script put into the form: the ceremony and the browser's answer. There
// is none without a script.
func passkeyAnswer(x *visit) (token string, response []byte, ok bool) {
	token, answer := x.field("passkey_token"), x.field("passkey")
	return token, []byte(answer), token != "" && answer != ""
}

// offer answers a script's question for the options of a ceremony.
func (x *visit) offer(token string, options []byte, err error) error {
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		Token   string          `json:"token"`
		Options json.RawMessage `json:"options"`
	}{token, options})
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_, _ = x.w.Write(body)
	return nil
}

// passkeyName is the name that was typed, or what the browser says it runs on.
func passkeyName(x *visit) string {
	if name := x.value("name"); name != "" {
		return name
	}
	return deviceName(x.r.UserAgent())
}
