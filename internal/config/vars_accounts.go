package config

const (
	rootMade = "32 random bytes, created at the first start and stored in SECRETKEY_PATH, or in AWS Secrets " +
		"Manager if that is chosen"
	keyMade        = "32 random bytes, created at the first start and stored encrypted in the database"
	sampleAWSKey   = "<your-access-key>"
	sampleSecret   = "<output of: sluice secret generate>"
	onlyAWS        = "Only used when SECRETKEY_STORAGE_TYPE is aws."
	minutesPerYear = 525600
)

var secretVars = []Variable{
	{
		Name:    "SECRETKEY_PATH",
		From:    Flowise,
		Group:   GroupSecrets,
		Kind:    KindFolder,
		Example: "/var/lib/sluice/keys",
		Wired:   true,
		Text: "Folder of the secret key files, created if missing and readable only by Sluice's own user: " +
			"sluice_root.key and, if someone puts them there, jwt_auth_token_secret.key, " +
			"jwt_refresh_token_secret.key, " +
			"express_session_secret.key and token_hash_secret.key.",
		DefaultNote: "the folder DATABASE_PATH",
		Differs: "Flowise's own encryption.key is not used: every flow's code can read it, so Sluice's secrets " +
			"must not depend on it.",
		effects: map[string]string{
			"*": "Secret keys are kept in {value}.",
			"":  "Secret keys are kept in the folder DATABASE_PATH.",
		},
	},
	{
		Name: "SECRETKEY_STORAGE_TYPE", From: Flowise, Group: GroupSecrets, Kind: KindEnum, Choices: []string{"local",
			"aws"}, Default: "local", Example: "aws", Wired: true,
		Text: "Where Sluice looks for secrets that are not in the environment, before the key files: nowhere, or in " +
			"AWS Secrets Manager.",
		effects: map[string]string{
			"local": "Secrets come from the environment, else from files in SECRETKEY_PATH, else Sluice creates them.",
			"aws": "Secrets come from the environment, else from AWS Secrets Manager, else from files in " +
				"SECRETKEY_PATH, else Sluice creates them. While AWS cannot be read, Sluice does not start.",
		},
	},
	{
		Name:        "SECRETKEY_AWS_ACCESS_KEY",
		From:        Flowise,
		Group:       GroupSecrets,
		Kind:        KindString,
		Secret:      true,
		Example:     sampleAWSKey,
		DefaultNote: "the AWS default credential chain",
		Wired:       true,
		Text:        "AWS access key id for Secrets Manager; together with SECRETKEY_AWS_SECRET_KEY.",
		effects: map[string]string{
			"*": onlyAWS,
			"":  "The AWS SDK finds the credentials: environment, profile, container, instance.",
		},
	},
	{
		Name:        "SECRETKEY_AWS_SECRET_KEY",
		From:        Flowise,
		Group:       GroupSecrets,
		Kind:        KindString,
		Secret:      true,
		Example:     "<your-secret-key>",
		DefaultNote: "the AWS default credential chain",
		Wired:       true,
		Text:        "AWS secret access key for Secrets Manager; together with SECRETKEY_AWS_ACCESS_KEY.",
		effects: map[string]string{
			"*": onlyAWS,
			"":  "The AWS SDK finds the credentials: environment, profile, container, instance.",
		},
	},
	{
		Name:    "SECRETKEY_AWS_REGION",
		From:    Flowise,
		Group:   GroupSecrets,
		Kind:    KindString,
		Default: "us-east-1",
		Example: "eu-central-1",
		Wired:   true,
		Text:    "AWS region of Secrets Manager.", effects: map[string]string{"*": onlyAWS},
	},
	{
		Name:    "SECRETKEY_AWS_NAME",
		From:    Flowise,
		Group:   GroupSecrets,
		Kind:    KindString,
		Default: "FlowiseEncryptionKey",
		Example: "FlowiseEncryptionKey",
		Wired:   true,
		Text: "Name of the encryption key's entry in AWS Secrets Manager, created if missing. It holds the key " +
			"itself, or a JSON object whose fields are named like the variables; the other four secrets may be " +
			"fields of it too.",
		effects: map[string]string{"*": onlyAWS},
	},
	{
		Name:    "SECRETKEY_AWS_AUTH_PREFIX",
		From:    Flowise,
		Group:   GroupSecrets,
		Kind:    KindString,
		Default: "Flowise",
		Example: "Flowise",
		Wired:   true,
		Text: "Beginning of the names of the other secrets' entries in AWS Secrets Manager: " +
			"FlowiseJWTAuthTokenSecret, FlowiseJWTRefreshTokenSecret, FlowiseExpressSessionSecret, " +
			"FlowiseTokenHashSecret.",
		Differs: "Flowise creates a missing entry. Sluice creates such a key in its database instead.",
		effects: map[string]string{"*": onlyAWS},
	},
	{
		Name:    "LANGFLOW_SECRET_KEY",
		Aliases: []string{"FLOWISE_SECRETKEY_OVERWRITE"},
		From:    Langflow,
		Group:   GroupSecrets,
		Kind:    KindString,
		Secret:  true,
		Wired:   true,
		Example: sampleSecret, DefaultNote: rootMade,
		Text: "Root key that opens everything secret in the database; several nodes must share it. An " +
			"installation that created a key before changes over to it automatically.",
		Weak: []string{"your_generated_key"},
		Differs: "A published, short or guessable value is treated as not set and is reported at start. Sluice " +
			"still uses it as the key of a Langflow behind it.",
		effects: map[string]string{
			"*": "Opens the secrets in the database, unless it is weak.",
			"":  "The root key is a file in SECRETKEY_PATH, or an entry in AWS Secrets Manager.",
		},
	},
	{
		Name:        "SLUICE_FORMER_SECRET_KEY",
		From:        Sluice,
		Group:       GroupSecrets,
		Kind:        KindString,
		Secret:      true,
		Example:     "<the previous LANGFLOW_SECRET_KEY>",
		DefaultNote: "none",
		Wired:       true,
		Text: "The previous root key, to change LANGFLOW_SECRET_KEY: a start with both changes over to the new one. " +
			"Remove it afterwards.",
		effects: map[string]string{
			"*": "If the root key does not open the secrets and this one does, they are changed over.",
			"":  "Only the current root key opens the secrets.",
		},
	},
	{
		Name:        "JWT_AUTH_TOKEN_SECRET",
		From:        Flowise,
		Group:       GroupSecrets,
		Kind:        KindString,
		Secret:      true,
		Example:     sampleSecret,
		DefaultNote: keyMade,
		Wired:       true,
		Text:        "Secret of the key that signs access tokens.",
		Weak:        []string{"AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD"},
		effects:     keyEffects,
	},
	{
		Name:        "JWT_REFRESH_TOKEN_SECRET",
		From:        Flowise,
		Group:       GroupSecrets,
		Kind:        KindString,
		Secret:      true,
		Example:     sampleSecret,
		DefaultNote: keyMade,
		Wired:       true,
		Text:        "Secret of the key that signs refresh tokens.",
		Weak:        []string{"AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD"},
		effects:     keyEffects,
	},
	{
		Name:        "EXPRESS_SESSION_SECRET",
		From:        Flowise,
		Group:       GroupSecrets,
		Kind:        KindString,
		Secret:      true,
		Example:     sampleSecret,
		DefaultNote: keyMade,
		Wired:       true,
		Text:        "Secret of the key under which browsers' session cookies are hashed before they are stored.",
		Weak:        []string{"flowise"},
		effects:     keyEffects,
	},
	{
		Name:        "TOKEN_HASH_SECRET",
		From:        Flowise,
		Group:       GroupSecrets,
		Kind:        KindString,
		Secret:      true,
		Example:     sampleSecret,
		DefaultNote: keyMade,
		Wired:       true,
		Text:        "Secret of the key under which links, codes and API keys are hashed before they are stored.",
		Weak:        []string{"popcorn"},
		effects:     keyEffects,
	},
}

var keyEffects = map[string]string{
	"*": "Used unless it is weak. When it changes, everything created with the previous value stays valid until it " +
		"expires.",
	"": "Sluice looks in AWS Secrets Manager if that is chosen, then in SECRETKEY_PATH, and otherwise creates the " +
		"key itself.",
}

var tokenVars = []Variable{
	{
		Name:    "SLUICE_SESSION_IDLE_MINUTES",
		From:    Sluice,
		Group:   GroupTokens,
		Kind:    KindDuration,
		Unit:    "minutes",
		Min:     1,
		Max:     minutesPerYear,
		Default: "1440",
		Example: "60",
		Wired:   true,
		Text: "A browser session expires after this time without a request, and never later than " +
			"SLUICE_SESSION_MAX_MINUTES.",
		effects: map[string]string{"*": "After {value} without a request, a person must sign in again."},
	},
	{
		Name:    "SLUICE_SESSION_MAX_MINUTES",
		From:    Sluice,
		Group:   GroupTokens,
		Kind:    KindDuration,
		Unit:    "minutes",
		Min:     1,
		Max:     minutesPerYear,
		Default: "43200",
		Example: "720",
		Wired:   true,
		Text: "A session, of a browser or of a program with tokens, expires this long after sign-in, even if it " +
			"is in use.",
		effects: map[string]string{"*": "Everyone must sign in again {value} after signing in."},
	},
	{
		Name:    "SLUICE_STEP_UP_MINUTES",
		From:    Sluice,
		Group:   GroupTokens,
		Kind:    KindDuration,
		Unit:    "minutes",
		Min:     0,
		Max:     minutesPerYear,
		Default: "15",
		Example: "5",
		Wired:   true,
		Text: "How long a proof of identity is valid for dangerous actions, such as creating a superuser. Then " +
			"Sluice asks again. With 0, it never asks again in a session.",
		effects: map[string]string{
			"*": "A person whose last proof of identity is older than {value} must confirm it before a dangerous " +
				"action.",
			"0": "The sign-in is sufficient proof for the whole session.",
		},
	},
	{
		Name:    "JWT_ISSUER",
		From:    Flowise,
		Group:   GroupTokens,
		Kind:    KindString,
		Default: "Flowise",
		Example: "Flowise",
		Wired:   true,
		Text: "Issuer claim (iss) of the access tokens that Sluice creates and accepts. Tokens from before a " +
			"change are refused, and programs refresh them.",
		effects: map[string]string{"*": "Access tokens name {value} as their issuer, and others are refused."},
	},
	{
		Name:    "JWT_AUDIENCE",
		From:    Flowise,
		Group:   GroupTokens,
		Kind:    KindString,
		Default: "Flowise",
		Example: "Flowise",
		Wired:   true,
		Text: "Audience claim (aud) of the access tokens that Sluice creates and accepts. Tokens from before a " +
			"change are refused, and programs refresh them.",
		effects: map[string]string{"*": "Access tokens have the audience {value}, and others are refused."},
	},
	{
		Name:    "JWT_TOKEN_EXPIRY_IN_MINUTES",
		From:    Flowise,
		Group:   GroupTokens,
		Kind:    KindDuration,
		Unit:    "minutes",
		Min:     1,
		Max:     minutesPerYear,
		Default: "360",
		Example: "360",
		Wired:   true,
		Text: "Lifetime of an access token. It is revoked together with its session, by sign-out, revocation or " +
			"deactivation.",
		Differs: "Flowise itself falls back to 60 when it is not set; Sluice keeps the documented 360.",
		effects: map[string]string{"*": "A program's access token is valid for {value}."},
	},
	{
		Name:    "JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES",
		From:    Flowise,
		Group:   GroupTokens,
		Kind:    KindDuration,
		Unit:    "minutes",
		Min:     1,
		Max:     minutesPerYear,
		Default: "43200",
		Example: "43200",
		Wired:   true,
		Text: "Lifetime of a refresh token from its creation. Each use creates a new one with the same lifetime, " +
			"but none lives longer than SLUICE_SESSION_MAX_MINUTES from the sign-in.",
		Differs: "Flowise itself falls back to 129600 when it is not set; Sluice keeps the documented 43200.",
		effects: map[string]string{"*": "A program that does not refresh its tokens for {value} must sign in again."},
	},
	{
		Name:    "SLUICE_API_KEY_MAX_DAYS",
		From:    Sluice,
		Group:   GroupTokens,
		Kind:    KindDuration,
		Unit:    "days",
		Min:     0,
		Max:     3650,
		Default: "365",
		Example: "90",
		Wired:   true,
		Text: "The longest lifetime of an API key from its creation or rotation. Longer lifetimes are refused, and " +
			"older keys expire at this age. 0 permits keys that never expire.",
		effects: map[string]string{
			"*": "An API key expires {value} after its creation or rotation, or earlier.",
			"0": "API keys can be created without an expiry date.",
		},
	},
	{
		Name:    "SLUICE_REFRESH_GRACE_SECONDS",
		From:    Sluice,
		Group:   GroupTokens,
		Kind:    KindDuration,
		Unit:    "seconds",
		Min:     0,
		Max:     600,
		Default: "60",
		Example: "30",
		Wired:   true,
		Text: "How long a used refresh token still returns the same successor, for programs that lost the answer or " +
			"refresh in several threads. After that, a second use revokes the session.",
		effects: map[string]string{
			"*": "A refresh token that is used again within {value} gets the same answer; later it counts as stolen.",
			"0": "A refresh token that is used a second time counts as stolen at once, even if only an answer was " +
				"lost.",
		},
	},
	{
		Name:    "EXPIRE_AUTH_TOKENS_ON_RESTART",
		From:    Flowise,
		Group:   GroupTokens,
		Kind:    KindBool,
		Default: "false",
		Example: "true",
		Wired:   true,
		Text: "Whether a start revokes all earlier sessions and tokens, of browsers and programs, but not API keys. " +
			"With several nodes on one database, the start of any node affects all.",
		effects: map[string]string{
			"true":  "Everyone must sign in again after the start of any node.",
			"false": "Sessions and tokens survive a restart.",
		},
	},
}

var accountVars = []Variable{
	{
		Name:    "PASSWORD_SALT_HASH_ROUNDS",
		From:    Flowise,
		Group:   GroupAccounts,
		Kind:    KindInt,
		Min:     4,
		Max:     15,
		Default: "10",
		Example: "12",
		Wired:   true,
		Text:    "Cost of the bcrypt password hash; each step doubles the work of one sign-in.",
		MaxWhy: "each step doubles the work, and above 15 a single sign-in would keep a processor busy for several " +
			"seconds",
		effects: map[string]string{
			"*": "New passwords are hashed with bcrypt cost {value}; older hashes are upgraded when their owner " +
				"signs in.",
		},
	},
	{
		Name:    "PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS",
		Aliases: []string{"PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES"},
		From:    Flowise,
		Group:   GroupAccounts,
		Kind:    KindDuration, Unit: "minutes", Min: 1, Max: 1440, Default: "15", Example: "15", Wired: true,
		Text:    "How long a link to set a new password works.",
		effects: map[string]string{"*": "A link to set a new password works for {value}."},
	},
	{
		Name:    "INVITE_TOKEN_EXPIRY_IN_HOURS",
		From:    Flowise,
		Group:   GroupAccounts,
		Kind:    KindDuration,
		Unit:    "hours",
		Min:     1,
		Max:     8760,
		Default: "24",
		Example: "24",
		Wired:   true,
		Text: "How long an invitation to a workspace works, and a link that confirms an email address or sets a " +
			"first password.",
		effects: map[string]string{
			"*": "Invitations, and links that confirm an address or set a first password, work for {value}.",
		},
	},
	{
		Name:    "LANGFLOW_AUTO_LOGIN",
		Aliases: []string{"AUTO_LOGIN"},
		From:    Langflow,
		Group:   GroupAccounts,
		Kind:    KindBool,
		Default: "False",
		Example: "False",
		Wired:   true,
		Text: "Whether browsers on this machine are signed in as the superuser LANGFLOW_SUPERUSER automatically. " +
			"The account is created if it is missing. Every page shows a notice.",
		Differs: "The page's default is True; Sluice requires sign-in by default. True is accepted only while HOST, " +
			"APP_URL and all other settings keep Sluice on the loopback address. Only a browser on this machine is " +
			"signed in: API calls get no superuser permissions, and dangerous actions still ask for a password.",
		effects: map[string]string{
			"true":  "Anyone who opens Sluice in a browser on this machine works as the superuser LANGFLOW_SUPERUSER.",
			"false": "Everyone must sign in.",
		},
	},
	{
		Name:    "LANGFLOW_SUPERUSER",
		From:    Langflow,
		Group:   GroupAccounts,
		Kind:    KindString,
		Default: "langflow",
		Example: "administrator",
		Wired:   true,
		Text: "Username of the superuser that the first start creates, if LANGFLOW_SUPERUSER_PASSWORD is set or " +
			"LANGFLOW_AUTO_LOGIN is True. Sluice also signs in with it at a Langflow behind it, unless the app has " +
			"its own setting.",
		effects: map[string]string{
			"*": "If LANGFLOW_SUPERUSER_PASSWORD is set and no superuser exists, {value} becomes one.",
		},
	},
	{
		Name:    "LANGFLOW_SUPERUSER_PASSWORD",
		From:    Langflow,
		Group:   GroupAccounts,
		Kind:    KindString,
		Secret:  true,
		Example: "<a long password>",
		Wired:   true,
		Text: "Password of the superuser that the first start creates. An existing superuser keeps the password. " +
			"Sluice also tries it at a Langflow behind it, unless the app has its own setting.",
		effects: map[string]string{
			"*": "The first start creates the superuser LANGFLOW_SUPERUSER with this password.",
			"":  "The first admin is created through the one-time setup link.",
		},
		DefaultNote: "none: the first admin is created through the one-time setup link",
		Differs:     "The page's default is langflow; Sluice has no account with a published password.",
	},
	{
		Name:    "LANGFLOW_NEW_USER_IS_ACTIVE",
		Aliases: []string{"NEW_USER_IS_ACTIVE"},
		From:    Langflow,
		Group:   GroupAccounts,
		Kind:    KindBool,
		Default: "False",
		Example: "False",
		Wired:   true,
		Text:    "Whether a new user can sign in at once, without approval by an admin.",
		effects: map[string]string{
			"true": "People who sign up, or are added on Langflow's own pages, can sign in at once.",
			"false": "People who sign up, or are added on Langflow's own pages, wait until an admin activates the " +
				"account.",
		},
	},
	{
		Name:    "SLUICE_OPEN_SIGN_UP",
		From:    Sluice,
		Group:   GroupAccounts,
		Kind:    KindBool,
		Default: "false",
		Example: "true",
		Wired:   true,
		Text:    "Whether anyone can create an account on the sign-up page.",
		effects: map[string]string{
			"true":  "Anyone who can reach Sluice can sign up.",
			"false": "Accounts are created by admins and by invitation.",
		},
	},
}

var mailVars = []Variable{
	{
		Name:        "SMTP_HOST",
		From:        Flowise,
		Group:       GroupMail,
		Kind:        KindHost,
		Example:     "smtp.example.com",
		DefaultNote: "none: no mail is sent",
		Wired:       true,
		Text:        "Mail server for password resets, verification and invitations.",
		effects: map[string]string{
			"*": "Mail is sent through {value}.",
			"":  "No mail is sent; links are shown to the admin to pass on.",
		},
	},
	{
		Name:    "SMTP_PORT",
		From:    Flowise,
		Group:   GroupMail,
		Kind:    KindPort,
		Min:     1,
		Max:     65535,
		Default: "587",
		Example: "587",
		Wired:   true,
		Text:    "Port of the mail server.",
		effects: map[string]string{
			"*":   "The mail server is expected on port {value}.",
			"465": "The mail server is expected on port 465, with TLS from the first byte.",
		},
	},
	{
		Name:        "SMTP_USER",
		From:        Flowise,
		Group:       GroupMail,
		Kind:        KindString,
		Example:     "apikey",
		DefaultNote: "none: the server accepts mail without sign-in",
		Wired:       true,
		Text:        "User name at the mail server.",
		Differs:     "Flowise sends no mail without it; here it can be empty for a relay without sign-in.",
		effects: map[string]string{
			"*": "Sluice signs in to the mail server as {value}.",
			"":  "Sluice does not sign in to the mail server.",
		},
	},
	{
		Name:    "SMTP_PASSWORD",
		From:    Flowise,
		Group:   GroupMail,
		Kind:    KindString,
		Secret:  true,
		Weak:    []string{"your-app-password"},
		Example: "<app-password>",
		Wired:   true,
		Text:    "Password at the mail server. It is sent only over encrypted connections, or to this machine.",
		effects: map[string]string{
			"*": "Used to sign in to the mail server.",
			"":  "Not needed when SMTP_USER is empty.",
		},
	},
	{
		Name:    "SMTP_SECURE",
		From:    Flowise,
		Group:   GroupMail,
		Kind:    KindBool,
		Default: "true",
		Example: "true",
		Wired:   true,
		Text:    "Whether mail must travel encrypted: TLS from the first byte on port 465, STARTTLS on any other.",
		Differs: "In Flowise true means TLS from the first byte on every port, so that its own example with port " +
			"587 fails.",
		effects: map[string]string{
			"true":  "Mail is sent encrypted to a server with a trusted certificate, or not at all.",
			"false": "Mail is sent encrypted if the server offers it, and otherwise unencrypted.",
		},
	},
	{
		Name:        "SENDER_EMAIL",
		From:        Flowise,
		Group:       GroupMail,
		Kind:        KindEmail,
		Example:     "flows@example.com",
		DefaultNote: "Sluice <no-reply@host of APP_URL>",
		Wired:       true,
		Text:        "Sender of the mails, with or without a name.",
		effects: map[string]string{
			"*": "Mails come from {value}.",
			"":  "Mails come from no-reply at the host of APP_URL.",
		},
	},
	{
		Name:    "ALLOW_UNAUTHORIZED_CERTS",
		From:    Flowise,
		Group:   GroupMail,
		Kind:    KindExactBool,
		Default: "false",
		Example: "false",
		Wired:   true,
		Text:    "Whether to skip the check of the mail server's certificate; only for testing.",
		Differs: "In Flowise any text, even false, turns the check off; here only the exact word true does.",
		effects: map[string]string{
			"true":  "The mail server's certificate is not checked: anyone in between can read mails and the password.",
			"false": "The mail server's certificate must be trusted.",
		},
	},
	{
		Name:        "WORKSPACE_INVITE_TEMPLATE_PATH",
		From:        Flowise,
		Group:       GroupMail,
		Kind:        KindFile,
		Example:     "/etc/sluice/workspace_invite.hbs",
		Wired:       true,
		DefaultNote: "the built-in mail",
		Text: "Handlebars file with the HTML of the invitation, checked at start: {{workspaceName}} and " +
			"{{registerLink}}, and {{dashboardLink}} for people who already have an account.",
		Differs: "Flowise warns about a file that it cannot read and uses its own; here the start stops. " +
			"Without {{dashboardLink}}, people who have an account get the built-in mail.",
		effects: map[string]string{
			"*": "Invitations use the template {value}.",
			"":  "Invitations use the built-in text.",
		},
	},
}
