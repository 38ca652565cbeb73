package sso

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"sluice/internal/login"
)

// client makes requests to identity providers. It knows nothing of accounts.
type client struct {
	http *http.Client
	now  func() time.Time
	// secret returns the client secret of a provider, "" for a public client.
	secret  func(context.Context, *provider) (string, error)
	fetches *fetches
}

const (
	// metadataLife is how long a discovery document is used, metadataStale how long it is used if a
	// new one cannot be fetched. keysLife is the limit for keys, which are never used beyond it.
	metadataLife, metadataStale = time.Hour, 24 * time.Hour
	keysLife                    = time.Hour
	// leeway is how far a provider's clock may be off.
	leeway = time.Minute
	// maxToken bounds a token that is parsed, maxKeys how many keys of a set are looked at.
	maxToken = 64 << 10
	maxKeys  = 50
)

// signatures are the accepted signature algorithms: never "none", and never a symmetric one, for
// which the published key would be the secret (RFC 8725 section 3.1).
var signatures = []jose.SignatureAlgorithm{
	jose.RS256,
	jose.RS384,
	jose.RS512,
	jose.ES256,
	jose.ES384,
	jose.PS256,
	jose.EdDSA,
}

// metadata is the content of a discovery document (OpenID Connect Discovery 1.0 section 3,
// RP-Initiated Logout 1.0, Back-Channel Logout 1.0, RFC 8414, RFC 9207).
type metadata struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	UserInfo      string   `json:"userinfo_endpoint"`
	Keys          string   `json:"jwks_uri"`
	EndSession    string   `json:"end_session_endpoint"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	ClientAuth    []string `json:"token_endpoint_auth_methods_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	Scopes        []string `json:"scopes_supported"`
	Claims        []string `json:"claims_supported"`
	NamesItself   bool     `json:"authorization_response_iss_parameter_supported"`
	BackChannel   bool     `json:"backchannel_logout_supported"`
}

// remote holds the data fetched from a provider.
type remote struct {
	metadata fetched[metadata]
	keys     fetched[[]jose.JSONWebKey]
	// signIns and logouts bound how often the keys are fetched for an unknown key id. They are
	// separate, so that strangers who send logout tokens cannot use up the budget of sign-ins.
	signIns, logouts budget
}

func newRemote() *remote { return &remote{} }

// metadata is the provider's discovery document, from memory or fetched.
func (c *client) metadata(ctx context.Context, p *provider) (metadata, error) {
	m, err := p.remote.metadata.get(ctx, c.fetches, c.now, c.now().Add(-metadataLife), metadataStale,
		func(ctx context.Context) (metadata, error) {
			var m metadata
			if _, err := getJSON(ctx, c.http, p.discovery(), nil, &m); err != nil {
				return metadata{}, err
			}
			return m, p.checkMetadata(m)
		})
	if err != nil {
		return metadata{}, p.unusable(err, p.discovery())
	}
	return m, nil
}

// oauth returns the client that requests codes and tokens.
func (c *client) oauth(ctx context.Context, p *provider, redirect string) (oauth2.Config, metadata, error) {
	m, err := c.metadata(ctx, p)
	if err != nil {
		return oauth2.Config{}, m, err
	}
	secret, err := c.secret(ctx, p)
	if err != nil {
		return oauth2.Config{}, m, err
	}
	style := oauth2.AuthStyleInHeader
	if basic := len(m.ClientAuth) == 0 || slices.Contains(m.ClientAuth, "client_secret_basic"); secret == "" || !basic {
		style = oauth2.AuthStyleInParams
	}
	return oauth2.Config{
		ClientID: p.ClientID, ClientSecret: secret, RedirectURL: redirect, Scopes: p.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.Token, AuthStyle: style},
	}, m, nil
}

// redeemOIDC redeems a code and checks everything that comes back. It requests userinfo if wholly
// is set, or if the id token lacks something that the settings need.
func (c *client) redeemOIDC(ctx context.Context, p *provider, r round, code string, wholly bool) (assertion, error) {
	client, m, err := c.oauth(ctx, p, r.Redirect)
	if err != nil {
		return assertion{}, err
	}
	token, err := c.exchange(ctx, p, client, r, code)
	if err != nil {
		return assertion{}, err
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return assertion{}, p.refused("it contains no id token").
			WithNext("For the operator of Sluice: the scopes must contain openid, and the client must use OpenID " +
				"Connect.")
	}
	a, err := c.verifyIDToken(ctx, p, m, raw, r.Nonce, token.AccessToken)
	if err != nil {
		return assertion{}, err
	}
	if m.UserInfo != "" && (wholly || p.lacks(a)) {
		if err := c.askUserInfo(ctx, p, m, token.AccessToken, &a); err != nil {
			return assertion{}, err
		}
	}
	a.Groups = groupsOf(a.value(p.GroupClaim))
	a.Label = p.labelOf(a)
	return a, nil
}

// wrongClient are the errors with which providers refuse Sluice's own credentials (RFC 6749 section
// 5.2; the last one is GitHub's).
var wrongClient = []string{"invalid_client", "unauthorized_client", "incorrect_client_credentials"}

// exchange redeems a code for tokens.
func (c *client) exchange(
	ctx context.Context, p *provider, client oauth2.Config, r round, code string,
) (*oauth2.Token, error) {
	token, err := client.Exchange(oidc.ClientContext(ctx, c.http), code, oauth2.VerifierOption(r.Verifier))
	if err == nil {
		return token, nil
	}
	var told *oauth2.RetrieveError
	if !errors.As(err, &told) {
		if at := (*url.Error)(nil); !errors.As(err, &at) {
			err = formError{err}
		}
		return nil, p.unusable(err, client.Endpoint.TokenURL)
	}
	switch {
	case told.ErrorCode == "invalid_grant":
		return nil, p.refused("it did not accept the code, which may be used or too old").WithCause(err)
	case slices.Contains(wrongClient, told.ErrorCode):
		return nil, p.refused("it does not accept Sluice's client id and secret").
			WithNext("For the operator of Sluice: enter the client id and secret again, as issued by the provider.").
			WithCause(err)
	case told.ErrorCode != "":
		return nil, p.refused("it says %s", told2text(told.ErrorCode, told.ErrorDescription)).WithCause(err)
	}
	return nil, p.unusable(errors.Join(statusError(told.Response.StatusCode), err), client.Endpoint.TokenURL)
}

// told2text turns a provider's error into one line of plain text.
func told2text(code, description string) string {
	text := plain(code, 60)
	if d := strings.TrimRight(plain(description, 200), ". "); d != "" {
		text += " (" + d + ")"
	}
	return text
}

// signed verifies a token's signature with the provider's keys and returns the payload. refetch
// bounds how often the keys are fetched for an unknown key.
func (c *client) signed(ctx context.Context, p *provider, m metadata, raw string, refetch *budget) ([]byte, error) {
	if len(raw) > maxToken {
		return nil, p.refused("its token is too large")
	}
	jws, err := jose.ParseSignedCompact(raw, signatures)
	if err != nil {
		return nil, p.refused("its token is not signed with an accepted algorithm").WithCause(err)
	}
	fetch := func(ctx context.Context) ([]jose.JSONWebKey, error) { return c.fetchKeys(ctx, m.Keys) }
	keys, err := p.remote.keys.get(ctx, c.fetches, c.now, c.now().Add(-keysLife), 0, fetch)
	if err != nil {
		return nil, p.unusable(err, m.Keys)
	}
	if payload, ok := verifiedBy(keys, jws); ok {
		return payload, nil
	}
	if !refetch.take(c.now()) {
		return nil, p.refused("its token is signed with a key that it does not publish")
	}
	// Nothing was fetched after this moment, so this fetches again.
	if keys, err = p.remote.keys.get(ctx, c.fetches, c.now, c.now(), 0, fetch); err != nil {
		return nil, p.unusable(err, m.Keys)
	}
	if payload, ok := verifiedBy(keys, jws); ok {
		return payload, nil
	}
	return nil, p.refused("its token is signed with a key that it does not publish")
}

func verifiedBy(keys []jose.JSONWebKey, jws *jose.JSONWebSignature) ([]byte, bool) {
	id := jws.Signatures[0].Header.KeyID
	for _, key := range keys {
		if id != "" && key.KeyID != id {
			continue
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// fetchKeys reads a key set (RFC 7517) and returns its public signature keys. It skips keys that it
// does not understand, as section 5 requires.
func (c *client) fetchKeys(ctx context.Context, address string) ([]jose.JSONWebKey, error) {
	var set struct{ Keys []json.RawMessage }
	if _, err := getJSON(ctx, c.http, address, nil, &set); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// proven is a key set for a token whose signature has been verified already.
type proven []byte

// VerifySignature implements oidc.KeySet.
func (p proven) VerifySignature(context.Context, string) ([]byte, error) { return p, nil }

// verifier checks the claims of tokens whose payload is proven.
func (c *client) verifier(p *provider, payload []byte) *oidc.IDTokenVerifier {
	names := make([]string, len(signatures))
	for i, s := range signatures {
		names[i] = string(s)
	}
	return oidc.NewVerifier(p.Issuer, proven(payload), &oidc.Config{
		ClientID: p.ClientID, SupportedSigningAlgs: names, Now: func() time.Time { return c.now().Add(-leeway) },
	})
}

// verifyIDToken checks an id token (OpenID Connect Core 1.0 section 3.1.3.7).
func (c *client) verifyIDToken(
	ctx context.Context, p *provider, m metadata, raw, nonce, access string,
) (assertion, error) {
	payload, err := c.signed(ctx, p, m, raw, &p.remote.signIns)
	if err != nil {
		return assertion{}, err
	}
	id, err := c.verifier(p, payload).Verify(ctx, raw)
	if err != nil {
		return assertion{}, p.refused("%s", c.whyRefused(p, payload)).WithCause(err)
	}
	claims, err := claimsOf(payload)
	if err != nil {
		return assertion{}, p.refused("its token contains no claims").WithCause(err)
	}
	azp, _ := claims["azp"].(string)
	switch {
	case azp != "" && azp != p.ClientID, len(id.Audience) > 1 && azp == "":
		return assertion{}, p.refused("its token is for another application (azp)")
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1:
		return assertion{}, p.refused("its token belongs to another sign-in (nonce)")
	case claims["sub"] != id.Subject || claims["iss"] != id.Issuer || claims["nonce"] != id.Nonce:
		// Some readers treat names that differ only in capital letters as one name, others as two.
		return assertion{}, p.refused("its token is ambiguous: it contains names that differ only in case")
	case id.IssuedAt.Unix() <= 0:
		return assertion{}, p.refused("its token does not say when it was issued (iat)")
	case id.IssuedAt.After(c.now().Add(leeway)):
		return assertion{}, p.refused("its token is from the future (iat); one of the two clocks is wrong")
	case id.Subject == "" || len(id.Subject) > 512:
		return assertion{}, p.refused("its token names no person (sub)")
	}
	if id.AccessTokenHash != "" && id.VerifyAccessToken(access) != nil {
		return assertion{}, p.refused("its two tokens do not belong together (at_hash)")
	}
	sid, _ := claims["sid"].(string)
	return assertion{
		Issuer:   id.Issuer,
		Subject:  id.Subject,
		SID:      login.Clip(sid, 512),
		IDToken:  raw,
		Claims:   claims,
		AuthTime: momentOf(claims["auth_time"]),
	}, nil
}

// whyRefused names the claim because of which a correctly signed token was refused.
func (c *client) whyRefused(p *provider, payload []byte) string {
	claims, _ := claimsOf(payload)
	issuer, _ := claims["iss"].(string)
	switch {
	case issuer != p.Issuer:
		return "its token comes from another issuer (iss)"
	case !slices.Contains(stringsOf(claims["aud"]), p.ClientID):
		return "its token is for another application (aud)"
	case momentOf(claims["exp"]).Before(c.now().Add(-leeway)):
		return "its token has expired (exp), or one of the two clocks is wrong"
	case momentOf(claims["nbf"]).After(c.now()):
		return "its token is not valid yet (nbf), or one of the two clocks is wrong"
	}
	return "its token is not valid"
}

// askUserInfo adds the claims that the provider returns for the access token. They must be about
// the same person (OpenID Connect Core 1.0 section 5.3.2).
func (c *client) askUserInfo(ctx context.Context, p *provider, m metadata, access string, a *assertion) error {
	var claims map[string]any
	if _, err := getJSON(ctx, c.http, m.UserInfo, http.Header{"Authorization": {"Bearer " + access}},
		&claims); err != nil {
		return p.unusable(err, m.UserInfo)
	}
	if subject, _ := claims["sub"].(string); subject != a.Subject {
		return p.refused("its userinfo is about another person (sub)")
	}
	a.UserInfo = claims
	return nil
}

// checkIssuerOf refuses the answer of another provider (RFC 9207 section 2.4).
func (c *client) checkIssuerOf(ctx context.Context, p *provider, query url.Values) error {
	if p.Kind != KindOIDC {
		return nil
	}
	m, err := c.metadata(ctx, p)
	if err != nil {
		return err
	}
	if given := query.Has("iss"); given && query.Get("iss") != p.Issuer || !given && m.NamesItself {
		return p.refused("it does not come from this provider (iss)")
	}
	return nil
}
