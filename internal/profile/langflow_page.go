package profile

import (
	_ "embed"
	"net/http"
)

//go:embed langflow_page.js
var langflowPageScript []byte

// langflowPageCookies let pages of before 1.7 take the person for signed in: they go by a cookie that their scripts can read, and send its value as a bearer token. Newer pages ask.
var langflowPageCookies = []*http.Cookie{{Name: "access_token_lf", Value: langflowPageToken, Path: "/", SameSite: http.SameSiteLaxMode}}
