package config

var serverVars = []Variable{
	{
		Name: "PORT", From: Flowise, Group: GroupServer, Kind: KindPort, Min: 1, Max: 65535, Default: "3000", Example: "3000", Wired: true,
		Text:    "Port of Sluice's own pages and API; on the command line 0 takes any free port.",
		effects: map[string]string{"*": "Sluice's own pages and API are served on port {value}.", "0": "Sluice's own pages and API are served on a free port chosen at start."},
	},
	{
		Name: "HOST", From: Flowise, Group: GroupServer, Kind: KindHost, Default: "127.0.0.1", Example: "0.0.0.0", Wired: true,
		Text:    "Address to listen on, for Sluice's own pages and for the apps' ports.",
		Differs: "Flowise listens on every interface when it is not set; Sluice on loopback only.",
		effects: map[string]string{
			"*": "Sluice listens on {value}.", "127.0.0.1": "Only this machine can connect.", "localhost": "Only this machine can connect.",
			"::1": "Only this machine can connect.", "0.0.0.0": "Every network this machine is on can connect.", "::": "Every network this machine is on can connect.",
		},
	},
	{
		Name: "APP_URL", From: Flowise, Group: GroupServer, Kind: KindAppURL, Example: "https://sluice.example.com", Wired: true,
		Text:        "Public address of Sluice's own pages, as people type it: links in mails, cookies and sign-in redirects are made from it.",
		DefaultNote: "the address Sluice listens on",
		effects:     map[string]string{"*": "People reach Sluice at {value}, and links in mails start with it.", "": "Links are made from the address Sluice listens on; set it before anybody else is to follow one."},
	},
	{
		Name: "SECURE_COOKIES", From: Flowise, Group: GroupServer, Kind: KindBool, Example: "true", Wired: true,
		Text:        "Whether browsers may send Sluice's cookies over https only.",
		DefaultNote: "true when APP_URL is https, else false",
		effects: map[string]string{
			"true": "Cookies are sent over https only.", "false": "Cookies are also sent over plain http.",
			"": "Follows APP_URL: cookies are sent over https only when it is https.",
		},
	},
	{
		Name: "TRUST_PROXY", From: Flowise, Group: GroupServer, Kind: KindTrust, Default: "false", Example: "loopback", Wired: true,
		Text:    "Which reverse proxies in front of Sluice are believed when they say what a visitor's address is.",
		Differs: "true trusts NUMBER_OF_PROXIES proxies (one when that is not set), never the whole X-Forwarded-For header, which any visitor can write.",
		effects: map[string]string{
			"*": "Forwarding headers are believed as far as {value} allows.", "false": "Forwarding headers are ignored; the address of the connection counts.",
			"true": "The proxies nearest to Sluice, as many as NUMBER_OF_PROXIES says, are believed.",
			"0":    "Forwarding headers are ignored; the address of the connection counts.",
		},
	},
	{
		Name: "NUMBER_OF_PROXIES", From: Flowise, Group: GroupServer, Kind: KindInt, Min: 0, Max: maxHops, Example: "1", Wired: true,
		Text:        "How many reverse proxies stand between the visitors and Sluice; used when TRUST_PROXY is true.",
		DefaultNote: "1 when TRUST_PROXY is true",
		effects:     map[string]string{"*": "With TRUST_PROXY=true, {value} of the addresses in X-Forwarded-For, from the right, are proxies.", "": "With TRUST_PROXY=true one proxy is assumed."},
	},
	{
		Name: "SLUICE_MAX_BODY_MB", From: Sluice, Group: GroupServer, Kind: KindInt, Unit: "MB", Min: 1, Max: 1024, Default: "50", Example: "50", Wired: true,
		Text:    "Largest request body that is passed on to an app.",
		effects: map[string]string{"*": "A larger request body than {value} is refused with 413."},
	},
}

var appVars = []Variable{
	{
		Name: "SLUICE_PROTECT", From: Sluice, Group: GroupApps, Kind: KindTargets, Example: "http://127.0.0.1:3001", Wired: true,
		Text:    "The apps to put behind Sluice at start, the same as --protect: each [kind=]url[@public-origin], or demo for the small built-in builder.",
		effects: map[string]string{"*": "Put behind Sluice at start: {value}.", "": "No app is added at start; they are added in the console."},
	},
	{
		Name: "SLUICE_APP_PORTS", From: Sluice, Group: GroupApps, Kind: KindPort, Min: 1, Max: 65535, Example: "3100", Wired: true,
		Text:        "First port for apps without a host name of their own; each further app takes the next free one.",
		DefaultNote: "PORT + 1",
		effects:     map[string]string{"*": "Apps without a host name of their own are served on port {value} and the ones after it.", "": "Apps without a host name of their own are served on the ports after PORT."},
	},
	{
		Name: "SLUICE_UPSTREAM_HEADER_TIMEOUT_SECONDS", From: Sluice, Group: GroupApps, Kind: KindDuration, Unit: "seconds", Min: 1, Max: 3600, Default: "120", Example: "120", Wired: true,
		Text:    "How long an app may take to begin its answer; an answer that has begun, such as a token stream, has no time limit.",
		effects: map[string]string{"*": "An app that has not begun to answer after {value} is given up with 504."},
	},
}

var databaseVars = []Variable{
	{
		Name: "DATABASE_TYPE", From: Flowise, Group: GroupDatabase, Kind: KindEnum, Choices: []string{"sqlite", "postgres"}, Default: "sqlite", Example: "postgres", Wired: true,
		Text: "Where Sluice keeps its data: an embedded SQLite file or a PostgreSQL server, in a schema of its own there.",
		Refused: map[string]string{
			"mysql":   "is a database Sluice does not support; its data goes into sqlite or postgres, whatever the builder behind it uses",
			"mariadb": "is a database Sluice does not support; its data goes into sqlite or postgres, whatever the builder behind it uses",
		},
		effects: map[string]string{"sqlite": "Data is kept in a SQLite file in the folder DATABASE_PATH.", "postgres": "Data is kept in the PostgreSQL database that the DATABASE_ variables name."},
	},
	{
		Name: "DATABASE_PATH", From: Flowise, Group: GroupDatabase, Kind: KindFolder, Default: "~/.sluice", Example: "/var/lib/sluice", Wired: true,
		Text:    "Folder of Sluice's data (the SQLite file and what belongs to it), made if missing.",
		effects: map[string]string{"*": "Data files are kept in {value}."},
	},
	{
		Name: "DATABASE_HOST", From: Flowise, Group: GroupDatabase, Kind: KindHost, Example: "db.example.com", Wired: true,
		Text:        "Host name or address of the PostgreSQL server.",
		DefaultNote: "none; required when DATABASE_TYPE is postgres",
		effects:     map[string]string{"*": "PostgreSQL is expected at {value}.", "": "Not needed for SQLite."},
	},
	{
		Name: "DATABASE_PORT", From: Flowise, Group: GroupDatabase, Kind: KindPort, Min: 1, Max: 65535, Default: "5432", Example: "5432", Wired: true,
		Text:    "Port of the PostgreSQL server.",
		effects: map[string]string{"*": "PostgreSQL is expected on port {value} when DATABASE_TYPE is postgres."},
	},
	{
		Name: "DATABASE_NAME", From: Flowise, Group: GroupDatabase, Kind: KindString, Example: "flowise", Wired: true,
		Text:        "Name of the PostgreSQL database; it may be the builder's own, as Sluice uses a schema of its own in it.",
		DefaultNote: "none; required when DATABASE_TYPE is postgres",
		effects:     map[string]string{"*": "The PostgreSQL database is {value}.", "": "Not needed for SQLite."},
	},
	{
		Name: "DATABASE_USER", From: Flowise, Group: GroupDatabase, Kind: KindString, Example: "sluice", Wired: true,
		Text:        "Role to sign in to PostgreSQL with.",
		DefaultNote: "none; required when DATABASE_TYPE is postgres",
		effects:     map[string]string{"*": "Sluice signs in to PostgreSQL as {value}.", "": "Not needed for SQLite."},
	},
	{
		Name: "DATABASE_PASSWORD", From: Flowise, Group: GroupDatabase, Kind: KindString, Secret: true, Example: "<the role's password>", Wired: true,
		Text:        "Password of that role.",
		DefaultNote: "none: the server must let the role in without one",
		effects:     map[string]string{"*": "Used to sign in to PostgreSQL.", "": "Not needed for SQLite; PostgreSQL would be asked for entry without one."},
	},
	{
		Name: "DATABASE_SSL", From: Flowise, Group: GroupDatabase, Kind: KindBool, Default: "false", Example: "true", Wired: true,
		Text:    "Whether the connection to PostgreSQL must be encrypted, with the server's certificate checked.",
		effects: map[string]string{"true": "The connection to PostgreSQL is encrypted and the server's certificate is checked.", "false": "Not needed for SQLite; a connection to PostgreSQL would not be encrypted."},
	},
}

var loggingVars = []Variable{
	{
		Name: "LOG_LEVEL", From: Flowise, Group: GroupLogging, Kind: KindEnum, Default: "info", Example: "debug", Wired: true,
		Choices: []string{"error", "warn", "info", "http", "verbose", "debug", "silly"},
		Text:    "Least important message that is still logged; http counts as info, verbose and silly as debug.",
		effects: map[string]string{
			"error": "Only errors are logged.", "warn": "Errors and warnings are logged.", "info": "Errors, warnings and one line per request are logged.",
			"http":    "The same as info: errors, warnings and one line per request are logged.",
			"verbose": "The same as debug: everything is logged.", "debug": "Everything is logged.", "silly": "The same as debug: everything is logged.",
		},
	},
	{
		Name: "SLUICE_LOG_FORMAT", From: Sluice, Group: GroupLogging, Kind: KindEnum, Choices: []string{"auto", "text", "json"}, Default: "auto", Example: "json", Wired: true,
		Text:    "Shape of the log lines.",
		effects: map[string]string{"auto": "Log lines are text on a terminal and JSON otherwise.", "text": "Log lines are text.", "json": "Log lines are JSON."},
	},
	{
		Name: "SLUICE_METRICS_ADDR", From: Sluice, Group: GroupLogging, Kind: KindAddress, Example: "127.0.0.1:9090", Wired: true,
		Text:        "Loopback address on which Prometheus metrics are served, without sign-in.",
		DefaultNote: "off",
		effects:     map[string]string{"*": "Metrics are served at http://{value}/metrics.", "": "No metrics are served."},
	},
	{
		Name: "LOG_SANITIZE_BODY_FIELDS", From: Flowise, Group: GroupLogging, Kind: KindWords, Default: "password,pwd,pass,secret,token,apikey,api_key", Example: "password,secret,token",
		Text: "Names of body fields whose values never reach the log.",
	},
	{
		Name: "LOG_SANITIZE_HEADER_FIELDS", From: Flowise, Group: GroupLogging, Kind: KindWords, Default: "authorization,x-api-key,x-auth-token,cookie", Example: "authorization,cookie",
		Text: "Names of headers whose values never reach the log.",
	},
	{
		Name: "DISABLE_FLOWISE_TELEMETRY", From: Flowise, Group: GroupLogging, Kind: KindBool, Default: "false", Example: "true", Wired: true,
		Text:    "Turns off Flowise's usage reports; Sluice has none.",
		effects: map[string]string{"*": "Sluice sends no telemetry, whatever the value; Flowise reads it from its own environment."},
	},
}
