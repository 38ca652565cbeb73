package console

import (
	"encoding/json"
	"net/url"

	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

// relyingParty returns the place where a passkey is created or used: the browser's origin, which is
// Sluice's own address if the names agree. It fails with an explanation if browsers do not support
// passkeys there.
func relyingParty(x *visit) (factor.RelyingParty, error) {
	origin := x.origin()
	if u, err := url.Parse(origin); err != nil || u.Host != x.r.Host {
		origin = requestOf(x).scheme() + "://" + x.r.Host
	}
	return factor.RelyingPartyOf(origin)
}

// passkeyView is what a page needs to offer passkeys.
type passkeyView struct {
	// Here reports that browsers support passkeys at this address; Why explains why not.
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

// passkeyAnswer returns the values that the script put into the form: the ceremony and the
// browser's answer. ok is false without a script.
func passkeyAnswer(x *visit) (token string, response []byte, ok bool) {
	token, answer := x.field("passkey_token"), x.field("passkey")
	return token, []byte(answer), token != "" && answer != ""
}

// offer answers a script's request for the options of a ceremony.
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

// passkeyName returns the typed name, or the device name that the browser reports.
func passkeyName(x *visit) string {
	if name := x.value("name"); name != "" {
		return name
	}
	return deviceName(x.r.UserAgent())
}
