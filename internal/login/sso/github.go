package sso

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/oauth2"
)

// githubPages bounds how many pages of a hundred organizations or teams are read.
const githubPages = 10

func (c *client) githubClient(ctx context.Context, p *provider, redirect string) (oauth2.Config, error) {
	secret, err := c.secret(ctx, p)
	if err != nil {
		return oauth2.Config{}, err
	}
	pages, _ := p.githubAddresses()
	scopes := slices.Clone(p.Scopes)
	if p.needsGroups() && !slices.Contains(scopes, "read:org") {
		scopes = append(scopes, "read:org")
	}
	return oauth2.Config{
		ClientID:     p.ClientID,
		ClientSecret: secret,
		RedirectURL:  redirect,
		Scopes:       scopes,
		Endpoint: oauth2.Endpoint{
			AuthURL:   pages + "/login/oauth/authorize",
			TokenURL:  pages + "/login/oauth/access_token",
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}, nil
}

// redeemGitHub redeems a code and asks GitHub for the person. GitHub issues no id token; its
// answers come directly over the connection that Sluice opened.
func (c *client) redeemGitHub(ctx context.Context, p *provider, r round, code string) (assertion, error) {
	client, err := c.githubClient(ctx, p, r.Redirect)
	if err != nil {
		return assertion{}, err
	}
	token, err := c.exchange(ctx, p, client, r, code)
	if err != nil {
		return assertion{}, err
	}
	ask := githubAsk{client: c.http, p: p, access: token.AccessToken}
	a := assertion{Issuer: client.Endpoint.AuthURL[:strings.Index(client.Endpoint.AuthURL, "/login/")]}
	if err := ask.get(ctx, "/user", &a.Claims); err != nil {
		return assertion{}, err
	}
	id, ok := a.Claims["id"].(json.Number)
	if n, err := strconv.ParseInt(string(id), 10, 64); !ok || err != nil || n <= 0 {
		return assertion{}, p.refused("it does not say who the person is (id)")
	}
	a.Subject = string(id)
	if err := ask.names(ctx, &a); err != nil {
		return assertion{}, err
	}
	if p.needsGroups() {
		if a.Groups, err = ask.groups(ctx); err != nil {
			return assertion{}, err
		}
	}
	return a, nil
}

// githubAsk makes requests to GitHub with a person's access token.
type githubAsk struct {
	client *http.Client
	p      *provider
	access string
}

func (g githubAsk) get(ctx context.Context, path string, into any) error {
	_, api := g.p.githubAddresses()
	header := http.Header{
		"Authorization":        {"Bearer " + g.access},
		"Accept":               {"application/vnd.github+json"},
		"X-Github-Api-Version": {"2022-11-28"},
	}
	if _, err := getJSON(ctx, g.client, api+path, header, into); err != nil {
		return g.p.unusable(err, api+path)
	}
	return nil
}

// names fills the claims of OpenID Connect for which GitHub has other names. Only the verified
// primary address counts; the one in the public profile is free text.
func (g githubAsk) names(ctx context.Context, a *assertion) error {
	name, _ := a.Claims["login"].(string)
	a.Label = plain(name, 200)
	kept := map[string]any{"id": a.Claims["id"], "login": a.Claims["login"], "name": a.Claims["name"]}
	a.Claims, a.UserInfo = kept, map[string]any{"preferred_username": name}
	if !slices.ContainsFunc(g.p.Scopes, func(s string) bool { return s == "user:email" || s == "user" }) {
		return nil
	}
	var addresses []struct {
		Email             string `json:"email"`
		Primary, Verified bool
	}
	if err := g.get(ctx, "/user/emails", &addresses); err != nil {
		return err
	}
	for _, e := range addresses {
		if e.Primary && e.Verified {
			a.UserInfo["email"], a.UserInfo["email_verified"] = e.Email, true
		}
	}
	return nil
}

// groups are the person's organizations, and their teams as organization/team.
func (g githubAsk) groups(ctx context.Context) ([]string, error) {
	type organisation struct {
		Login string `json:"login"`
	}
	orgs, err := pagesOf[organisation](ctx, g, "/user/orgs")
	if err != nil {
		return nil, err
	}
	teams, err := pagesOf[struct {
		Slug         string       `json:"slug"`
		Organization organisation `json:"organization"`
	}](ctx, g, "/user/teams")
	if err != nil {
		return nil, err
	}
	var found []any
	for _, o := range orgs {
		found = append(found, o.Login)
	}
	for _, t := range teams {
		if t.Organization.Login != "" && t.Slug != "" {
			found = append(found, t.Organization.Login+"/"+t.Slug)
		}
	}
	return groupsOf(found), nil
}

// pagesOf reads a GitHub list page by page.
func pagesOf[T any](ctx context.Context, g githubAsk, path string) ([]T, error) {
	const size = 100
	var all []T
	for page := 1; page <= githubPages; page++ {
		var list []T
		if err := g.get(ctx, fmt.Sprintf("%s?per_page=%d&page=%d", path, size, page), &list); err != nil {
			return nil, err
		}
		all = append(all, list...)
		if len(list) < size {
			break
		}
	}
	return all, nil
}

func (c *client) clientOf(ctx context.Context, p *provider, redirect string) (oauth2.Config, error) {
	if p.Kind == KindGitHub {
		return c.githubClient(ctx, p, redirect)
	}
	client, _, err := c.oauth(ctx, p, redirect)
	return client, err
}
