package langflow

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/profile"
)

// kept stores a bridge's accounts, as the app registry does: the first account of a home wins.
type kept struct {
	mu       sync.Mutex
	accounts map[string]builder.Account
	gone     []string
}

func (k *kept) keep(_ context.Context, a builder.Account, gone string) (builder.Account, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if gone != "" {
		delete(k.accounts, gone)
		k.gone = append(k.gone, gone)
	}
	for _, other := range k.accounts {
		if other.ID != a.ID && other.Workspace == a.Workspace && other.Person == a.Person && !other.Adopted &&
			!a.Adopted {
			return other, nil
		}
	}
	k.accounts[a.ID] = a
	return a, nil
}

func (k *kept) list() []builder.Account {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []builder.Account
	for _, a := range k.accounts {
		out = append(out, a)
	}
	return out
}

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func signRS256(claims any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: signingKey()}, nil)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// lfConfig is a bridge to a fake, in a mode.
func lfConfig(t testing.TB, f *langflowtest.Server, mode builder.Mode, store *kept) builder.BridgeConfig {
	t.Helper()
	base, err := url.Parse(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	if store.accounts == nil {
		store.accounts = map[string]builder.Account{}
	}
	return builder.BridgeConfig{
		Base:   base,
		Client: &http.Client{Timeout: 5 * time.Second},
		Now:    time.Now,
		Access: builder.Access{
			SecretKey: langflowtest.Secret,
			Superuser: langflowtest.Superuser,
			Password:  langflowtest.Password,
		},
		AccountConfig: builder.AccountConfig{
			Mode: mode, Workspace: "w1", Accounts: store.list(), Keep: store.keep,
			Username: func(_ context.Context, ws, person string) (string, error) {
				return fmt.Sprintf("sluice-%s%s", ws, person), nil
			},
			Sign: signRS256, Issuer: "https://sluice.example.com",
		},
	}
}

func withJWKS(cfg builder.BridgeConfig, jwks string) builder.BridgeConfig {
	cfg.JWKS = jwks
	return cfg
}

func lfBridge(t testing.TB, cfg builder.BridgeConfig) *builder.Bridge {
	t.Helper()
	b := build(cfg)
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	return b
}

func actsFor(workspace, person string) builder.OnBehalf {
	return builder.OnBehalf{
		Principal: authz.Principal{Kind: authz.Person, ID: person, Name: person},
		Workspace: workspace,
	}
}

// enters sends a request as a person through a bridge, and returns the user that Langflow saw.
func enters(
	t testing.TB,
	f *langflowtest.Server,
	b *builder.Bridge,
	l builder.OnBehalf,
	e profile.Endpoint,
) (langflowtest.User, error) {
	t.Helper()
	h := http.Header{}
	if err := b.Attach(context.Background(), h, l, &e); err != nil {
		return langflowtest.User{}, err
	}
	return asks(t, f, h), nil
}

func asks(t testing.TB, f *langflowtest.Server, h http.Header) langflowtest.User {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, f.URL+"/api/v1/users/whoami", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var u langflowtest.User
	if res.StatusCode == 200 {
		_ = json.NewDecoder(res.Body).Decode(&u)
	}
	return u
}
