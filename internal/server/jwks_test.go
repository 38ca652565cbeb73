package server_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sluice/internal/sluicetest"
)

func TestJWKS_Served(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t)
	token, err := s.Keyring.Signer().Sign(map[string]string{"sub": "ann"})
	if err != nil {
		t.Fatal(err)
	}
	got := s.Browser().Get("/.well-known/jwks.json")
	if got.Status != http.StatusOK || got.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Fatalf("%d %v", got.Status, got.Header)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(got.Body), &set); err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signed.Verify(&set); err != nil {
		t.Errorf("the published keys do not verify: %v", err)
	}
	for _, key := range set.Keys {
		if !key.IsPublic() {
			t.Error("a private key is served")
		}
	}
}
