package langflow

import (
	_ "embed"
	"net/http"
)

//go:embed page.js
var pageScript []byte

// pageCookies make the pages of versions before 1.7 treat the person as signed in. They look for a
// cookie that their scripts can read, and send its value as a bearer token. Newer pages ask the
// server.
var pageCookies = []*http.Cookie{{Name: "access_token_lf", Value: pageToken, Path: "/", SameSite: http.SameSiteLaxMode}}
