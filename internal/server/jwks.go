package server

import "net/http"

// jwksPath is where the public keys of identity assertions are (RFC 8615; the name is OpenID Connect's custom).
const jwksPath = "/.well-known/jwks.json"

// jwks serves the public keys of identity assertions to everybody. They may be kept for five minutes: a new key is published a day before the former one is forgotten, and who meets an unknown key id asks again.
func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write(s.Keyring.Signer().JWKS())
}
