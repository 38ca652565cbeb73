package server_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/secret"
	"sluice/internal/server"
	"sluice/internal/sluicetest"
)

// The command line replaces every key while two nodes run: sessions stay valid on both, the
// published set of assertion keys changes, and everything created with the previous keys is revoked
// when they are removed.
func TestSecrets_ReplaceWithNodes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	lines := append(onPostgres(t), "SECRETKEY_PATH="+t.TempDir())
	one, two := sluicetest.Start(t, lines...), sluicetest.Start(t, lines...)
	one.Add("ann", authz.RoleUser, false)
	ann := one.SignedIn("ann")
	there := ann.At(two.MainOrigin(""))
	until(t, "the session on the other node", func() bool { return there.Get("/account").Status == http.StatusOK })
	set := one.Browser().Get("/.well-known/jwks.json").Body

	core, err := server.OpenCore(ctx, sluicetest.Values(t, lines...), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close(ctx)
	clerk := secret.NewRotator(core.Keyring, core.Gate)
	for _, n := range secret.Names() {
		if err := clerk.Rotate(ctx, sluicetest.Operator(), n, nil); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	until(
		t,
		"the other set of assertion keys",
		func() bool { return two.Browser().Get("/.well-known/jwks.json").Body != set },
	)
	for name, node := range map[string]*sluicetest.Client{"one": ann, "two": there,
		"a new session": one.SignedIn("ann")} {
		if got := node.Get("/account").Status; got != http.StatusOK {
			t.Errorf("%s: %d after the rotation", name, got)
		}
	}
	if err := clerk.Forget(ctx, sluicetest.Operator(), secret.Session); err != nil {
		t.Fatal(err)
	}
	until(t, "the end of what the former key made", func() bool {
		return ann.Get("/account").Status == http.StatusSeeOther && there.Get("/account").Status == http.StatusSeeOther
	})
	if got := one.SignedIn("ann").Get("/account").Status; got != http.StatusOK {
		t.Errorf("a new session: %d", got)
	}
}

func TestSecrets_TwoRootKeys(t *testing.T) {
	t.Parallel()
	lines := onPostgres(t)
	const one, two = "c1a6_3uWkA0tYl9Q2Zp4vXHdGm7bRnJfEo5sTiUyKwM", "Zk0Y7mDq4vT1xWc9bNf2sLr8hPj5gUa3eIoXyRtQwEu"
	sluicetest.Start(t, append(lines, "LANGFLOW_SECRET_KEY="+one)...)
	mustNotStart(
		t,
		"The root key (LANGFLOW_SECRET_KEY; command line, FLOWISE_SECRETKEY_OVERWRITE) does not open the secrets in "+
			"this database. Give Sluice the root key",
		append(lines, "FLOWISE_SECRETKEY_OVERWRITE="+two)...)
	mustNotStart(t, "contains no root key, and a new one cannot open the secrets in this database", lines...)
	sluicetest.Start(t, append(lines, "FLOWISE_SECRETKEY_OVERWRITE="+one)...)
}

func TestSecrets_AWSDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://"+l.Addr().String())
	mustNotStart(
		t,
		"SECRETKEY_STORAGE_TYPE is aws, but AWS Secrets Manager in eu-central-1",
		"SECRETKEY_STORAGE_TYPE=aws",
		"SECRETKEY_AWS_REGION=eu-central-1",
		"SECRETKEY_AWS_ACCESS_KEY=AKIAEXAMPLE",
		"SECRETKEY_AWS_SECRET_KEY=an example",
	)
}

// The page's own sample of a key is explained in one warning, and everything still works.
func TestSecrets_SampleOfThePage(t *testing.T) {
	t.Parallel()
	const sample = "dBuuuB_FHLvU8T9eUNlxQF9ppqRxwWpXXQ42kM2_fb"
	s := sluicetest.Start(t, "LANGFLOW_SECRET_KEY="+sample)
	s.Add("ann", authz.RoleUser, false)
	if got := s.SignedIn("ann").Get("/account").Status; got != http.StatusOK {
		t.Errorf("%d", got)
	}
	if s.Keyring.GivenRoot() != sample {
		t.Error("Langflow's own key is lost")
	}
	if n := strings.Count(s.Log.String(), "LANGFLOW_SECRET_KEY"); n != 1 || strings.Contains(s.Log.String(), sample) {
		t.Errorf("%d lines about it:\n%s", n, s.Log.String())
	}
}
