package profile

import (
	"context"
	"net/url"
	"strings"
	"time"

	"sluice/internal/problem"
	"sluice/internal/secret"
)

// LangflowTrial is what a test of one way into a Langflow found.
type LangflowTrial struct {
	Mode BridgeMode
	// OK means that it works now.
	OK bool
	// Detail says what was seen; Next what to set or to do. Both are safe to show.
	Detail, Next string
}

// TestLangflow tries each way into a Langflow with what is known, the best one first. It signs in at most once, and makes no account but, by an external assertion that Langflow accepts, that of the
// app's first workspace.
func TestLangflow(ctx context.Context, cfg LangflowConfig, jwks string) []LangflowTrial {
	cfg.Accounts = nil
	b := NewLangflowBridge(cfg)
	defer func() { _ = b.Close(ctx) }()
	root, rootErr := b.rootOf(ctx)
	return []LangflowTrial{b.tryExternal(ctx, jwks), b.trySigned(ctx, root, rootErr), b.trySignIn(rootErr)}
}

func failedTrial(mode BridgeMode, err error) LangflowTrial {
	p := problem.Of(err)
	return LangflowTrial{Mode: mode, Detail: p.Detail, Next: p.Next}
}

// tryExternal lets Langflow read an assertion for the first workspace.
func (b *LangflowBridge) tryExternal(ctx context.Context, jwks string) LangflowTrial {
	lines := LangflowExternalLines(b.cfg.Issuer, jwks)
	if b.cfg.Sign == nil || b.cfg.Issuer == "" {
		return LangflowTrial{Mode: BridgeExternal, Detail: "Sluice does not know its own address.", Next: "Set APP_URL to the address at which Langflow reaches Sluice."}
	}
	home := langflowHome{workspace: b.cfg.Workspace}
	name, err := b.cfg.Username(ctx, home.workspace, "")
	if err != nil {
		return failedTrial(BridgeExternal, err)
	}
	_, u, err := b.assertTested(ctx, home, name)
	if why := jwksTrouble(jwks); err != nil && why != "" && problem.Is(err, problem.Conflict) {
		return LangflowTrial{Mode: BridgeExternal, Detail: why, Next: "Give Sluice an https address (APP_URL), or run Langflow on the same machine."}
	}
	if err != nil {
		t := failedTrial(BridgeExternal, err)
		t.Next = strings.TrimSpace(t.Next + "\n" + lines)
		return t
	}
	return LangflowTrial{
		Mode: BridgeExternal, OK: true, Detail: "Langflow accepts Sluice's assertions; the workspace's account there is " + clip(u.Username, 80) + ". No secret of Langflow's is needed.",
		Next: "Users that Langflow had before can be adopted only if Sluice also has the secret key, or a superuser's name and password.",
	}
}

// jwksTrouble tells why Langflow would not read keys from an address: it takes plain http from the same machine only (CWE-319).
func jwksTrouble(jwks string) string {
	u, err := url.Parse(jwks)
	switch {
	case err != nil || u.Host == "":
		return "Sluice does not know its own address."
	case u.Scheme == "https":
		return ""
	case u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1":
		return ""
	}
	return "Langflow reads keys from an https address only, or from its own machine; Sluice's address is " + clip(u.Scheme+"://"+u.Host, 120) + "."
}

// LangflowExternalLines are the settings by which a Langflow from 1.10 trusts Sluice, as lines of a .env file.
func LangflowExternalLines(issuer, jwks string) string {
	return strings.Join([]string{
		"LANGFLOW_EXTERNAL_AUTH_ENABLED=true",
		"LANGFLOW_EXTERNAL_AUTH_PROVIDER=sluice",
		"LANGFLOW_EXTERNAL_AUTH_TOKEN_HEADER=" + HeaderAssertion,
		"LANGFLOW_EXTERNAL_AUTH_JWKS_URL=" + jwks,
		"LANGFLOW_EXTERNAL_AUTH_ISSUER=" + issuer,
		"LANGFLOW_EXTERNAL_AUTH_AUDIENCE=" + LangflowAudience,
	}, "\n")
}

// trySigned signs a token for the superuser.
func (b *LangflowBridge) trySigned(ctx context.Context, root *langflowRoot, rootErr error) LangflowTrial {
	t := LangflowTrial{Mode: BridgeSigned}
	if b.cfg.SecretKey == "" {
		t.Detail, t.Next = "Sluice does not have LANGFLOW_SECRET_KEY.", "Give Sluice the one that Langflow runs with, or the content of the file secret_key in its LANGFLOW_CONFIG_DIR."
		return t
	}
	if rootErr != nil {
		return failedTrial(BridgeSigned, rootErr)
	}
	if err := b.testSecret(ctx, root.user.ID); err != nil {
		return failedTrial(BridgeSigned, err)
	}
	t.OK, t.Detail = true, "Langflow accepts what Sluice signs with LANGFLOW_SECRET_KEY; the superuser makes the accounts."
	if skew := b.clock(); skew != 0 {
		t.Detail += " Its clock differs from Sluice's by " + skew.Round(time.Second).String() + ", which Sluice makes up for."
	}
	if _, err := secret.NewLangflowKeys(b.cfg.SecretKey); err != nil {
		p := problem.Of(err)
		t.Detail += " But Langflow cannot make API keys with it, so that flows do not run by API: " + p.Detail
		t.Next = p.Next
	}
	return t
}

// trySignIn tells whether the superuser can make accounts that Sluice signs in.
func (b *LangflowBridge) trySignIn(rootErr error) LangflowTrial {
	if rootErr != nil {
		return failedTrial(BridgeSignIn, rootErr)
	}
	return LangflowTrial{
		Mode: BridgeSignIn, OK: true, Detail: "The superuser can make accounts, and Sluice signs each of them in with a password that only Sluice knows.",
		Next: "Langflow lets 5 sign-ins a minute pass (LANGFLOW_RATE_LIMIT_PER_MINUTE): after a restart of Sluice many workspaces wait for one another. Users that are adopted get another password.",
	}
}
