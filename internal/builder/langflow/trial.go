package langflow

import (
	"context"
	"net/url"
	"strings"
	"time"

	"sluice/internal/builder"
	"sluice/internal/builder/langflow/database"
	"sluice/internal/problem"
)

// modes are the ways in, the best one first.
var modes = []builder.ModeText{
	{
		Mode:  External,
		Title: "Langflow trusts Sluice",
		Tradeoff: "Sluice stores no Langflow secret. Needs Langflow 1.10 or newer and the settings below. On " +
			"its own it cannot open users that already existed.",
		How:        "by assertions that Sluice signs (external)",
		Assertions: true,
	},
	{
		Mode:  Signed,
		Title: "A shared secret key",
		Tradeoff: "Works with every version and every user, without sign-ins. But LANGFLOW_SECRET_KEY opens " +
			"everything in Langflow, and Sluice stores it (encrypted).",
		How: "by tokens signed with the shared secret key (signed)",
	},
	{
		Mode:  SignIn,
		Title: "A sign-in for each account",
		Tradeoff: "Needs only a superuser's password. But Langflow allows five sign-ins per minute, so a " +
			"restart is slow, and adopted users get a new password.",
		How:          "by a sign-in for each account (sign-in)",
		NewPasswords: true,
	},
}

// texts are the sentences about a Langflow that is not connected.
var texts = builder.AccountTexts{
	NotConnected: "Connect it on the apps page, or set LANGFLOW_SECRET_KEY, LANGFLOW_SUPERUSER and " +
		"LANGFLOW_SUPERUSER_PASSWORD.",
	NoWay: "Enter LANGFLOW_SECRET_KEY and a superuser's name and password, or set the LANGFLOW_EXTERNAL_AUTH " +
		"variables at Langflow. The test on the app's page shows what each way lacks.",
}

// try tries each way into a Langflow with the known credentials, the best one first. It signs in at
// most once. The only account it may create is that of the app's first workspace, if Langflow
// accepts an external assertion for it.
func try(ctx context.Context, cfg builder.BridgeConfig) []builder.Trial {
	cfg.Accounts = nil
	b := newBridge(cfg)
	defer func() { _ = b.Close(ctx) }()
	ts := &trials{cfg: b.cfg, wire: b.wire, admin: b.admin}
	root, rootErr := ts.admin.session(ctx)
	return []builder.Trial{ts.external(ctx), ts.signed(ctx, root, rootErr), ts.signIn(rootErr)}
}

// trials tries the ways into a Langflow.
type trials struct {
	cfg   *builder.BridgeConfig
	wire  *wire
	admin *admin
}

func failedTrial(mode builder.Mode, err error) builder.Trial {
	p := problem.Of(err)
	return builder.Trial{Mode: mode, Detail: p.Detail, Next: p.Next}
}

// external tests whether Langflow accepts an assertion for the first workspace.
func (ts *trials) external(ctx context.Context) builder.Trial {
	lines := trustLines(ts.cfg.Issuer, ts.cfg.JWKS)
	if ts.cfg.Sign == nil || ts.cfg.Issuer == "" {
		return builder.Trial{
			Mode:   External,
			Detail: "Sluice does not know its own address.",
			Next:   "Set APP_URL to the address at which Langflow reaches Sluice.",
		}
	}
	home := homeKey{workspace: ts.cfg.Workspace}
	name, err := ts.cfg.Username(ctx, home.workspace, "")
	if err != nil {
		return failedTrial(External, err)
	}
	_, u, err := ts.wire.assertTested(ctx, home, name)
	if why := jwksTrouble(ts.cfg.JWKS); err != nil && why != "" && problem.Is(err, problem.Conflict) {
		return builder.Trial{
			Mode:   External,
			Detail: why,
			Next:   "Give Sluice an https address (APP_URL), or run Langflow on the same machine.",
		}
	}
	if err != nil {
		t := failedTrial(External, err)
		t.Next = strings.TrimSpace(t.Next + "\n" + lines)
		return t
	}
	return builder.Trial{
		Mode: External,
		OK:   true,
		Detail: "Langflow accepts Sluice's assertions. The workspace's account there is " +
			builder.Clip(u.Username, 80) + ". No Langflow secret is needed.",
		Next: "Existing Langflow users can be adopted only if Sluice also has the secret key, or a superuser's " +
			"name and password.",
	}
}

// jwksTrouble says why Langflow would not read keys from an address; "" if it would. It accepts
// plain http only from the same machine (CWE-319).
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
	return "Langflow reads keys only from an https address or from its own machine. Sluice's address is " +
		builder.Clip(u.Scheme+"://"+u.Host, 120) + "."
}

// trustLines are the settings that make a Langflow from 1.10 on trust Sluice, as lines of a .env
// file.
func trustLines(issuer, jwks string) string {
	return strings.Join([]string{
		"LANGFLOW_EXTERNAL_AUTH_ENABLED=true",
		"LANGFLOW_EXTERNAL_AUTH_PROVIDER=sluice",
		"LANGFLOW_EXTERNAL_AUTH_TOKEN_HEADER=" + builder.HeaderAssertion,
		"LANGFLOW_EXTERNAL_AUTH_JWKS_URL=" + jwks,
		"LANGFLOW_EXTERNAL_AUTH_ISSUER=" + issuer,
		"LANGFLOW_EXTERNAL_AUTH_AUDIENCE=" + audience,
	}, "\n")
}

// signed tests a token that it signs for the superuser.
func (ts *trials) signed(ctx context.Context, root *superuser, rootErr error) builder.Trial {
	t := builder.Trial{Mode: Signed}
	if ts.cfg.Access.SecretKey == "" {
		t.Detail, t.Next = "Sluice does not have "+
			"LANGFLOW_SECRET_KEY.", "Enter the key that Langflow runs with, or the content of the file "+
			"secret_key in its LANGFLOW_CONFIG_DIR."
		return t
	}
	if rootErr != nil {
		return failedTrial(Signed, rootErr)
	}
	if err := ts.wire.testSecret(ctx, root.user.ID); err != nil {
		return failedTrial(Signed, err)
	}
	t.OK, t.Detail = true, "Langflow accepts tokens that Sluice signs with LANGFLOW_SECRET_KEY. The superuser "+
		"creates the accounts."
	if skew := ts.wire.clock(); skew != 0 {
		t.Detail += " Its clock differs from Sluice's by " + skew.Round(time.Second).
			String() +
			", which Sluice compensates for."
	}
	if _, err := database.NewKeys(ts.cfg.Access.SecretKey); err != nil {
		p := problem.Of(err)
		t.Detail += " But Langflow cannot create API keys with it, so flows cannot run through the API: " + p.Detail
		t.Next = p.Next
	}
	return t
}

// signIn tests whether the superuser can create accounts that Sluice signs in.
func (ts *trials) signIn(rootErr error) builder.Trial {
	if rootErr != nil {
		return failedTrial(SignIn, rootErr)
	}
	return builder.Trial{
		Mode: SignIn,
		OK:   true,
		Detail: "The superuser can create accounts. Sluice signs each of them in with a password that only " +
			"Sluice knows.",
		Next: "Langflow allows 5 sign-ins per minute (LANGFLOW_RATE_LIMIT_PER_MINUTE), so after a restart of " +
			"Sluice many workspaces wait for one another. Adopted users get a new password.",
	}
}
