package langflow

import (
	_ "embed"
	"net/http"
)

//go:embed page.js
var pageScript []byte

// pageCookies let pages of before 1.7 take the person for signed in: they go by a cookie that their
// scripts can read, and send its value as a bearer token. Newer pages ask.
var pageCookies = []*http.Cookie{{Name: "access_token_lf", Value: pageToken, Path: "/", SameSite: http.SameSiteLaxMode}}
