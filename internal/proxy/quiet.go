package proxy

// mayGoOn reports whether a request without the right to it is one that the builder's own page makes by itself, and which Sluice answers so that the page goes on: a viewer's page that saves
// what nobody changed must not end in an error.
func (x *exchange) mayGoOn() bool {
	return x.match.Endpoint.Own.Denied != "" && x.who.SignedIn() && x.who.KeyID == "" && x.app.Profile.PageCall(x.r.Header)
}

// goOn answers in the builder's stead instead of refusing. It is a refusal in the log all the same; the audit is for what people try, and not for what a page does in the background.
func (x *exchange) goOn(why string) {
	x.instead, x.event.Reason = x.match.Endpoint.Own.Denied, "denied quietly: "+why
}
