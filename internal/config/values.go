package config

import (
	"log/slog"
	"net/url"
	"time"
)

// Toggle is a boolean that the operator can leave to Sluice.
type Toggle int

// The three states of a Toggle.
const (
	Auto Toggle = iota
	On
	Off
)

// Database is the location of the data.
type Database struct {
	Type     string // sqlite or postgres
	Folder   string // DATABASE_PATH; created when it is opened
	Host     string // this and the following: for postgres
	Port     int
	Name     string
	User     string
	Password Secret
	SSL      bool // encrypted, with the server's certificate checked
}

// Superuser is created at the first start if there is a password.
type Superuser struct {
	Name     string
	Password Secret
}

// Given is a secret that the operator has given.
type Given struct {
	Value Secret
	Name  string // its name there: the variable's own, an alias, or either with _FILE
	Where string // "environment", ".env:12" or "command line"
}

// Secrets is the location of Sluice's own secrets.
type Secrets struct {
	Folder       string           // SECRETKEY_PATH; created when it is opened
	Given        map[string]Given // by variable; only those that are set
	Former       Secret           // the previous root key
	KeepRoot     bool             // skip a given root key that opens nothing here, which may be another product's
	AWS          bool             // this and the following: for AWS Secrets Manager
	AWSAccessKey Secret           // "": the SDK's default chain
	AWSSecretKey Secret
	AWSRegion    string
	AWSName      string
	AWSPrefix    string
}

// Mail is the configuration for sending mail.
type Mail struct {
	Host                   string // "": mail is disabled
	Port                   int    // 465: TLS from the first byte
	User                   string // "": the server accepts mail without sign-in
	Password               Secret
	Secure                 bool
	Sender                 string // "": Sluice chooses; else an address with or without a name
	AllowUnauthorizedCerts bool
	InviteTemplate         string // path; "": the built-in mail
}

// Values is the configuration from which the server is built.
type Values struct {
	Host                  string   // address to listen on
	Port                  int      // 0: any free port
	AppURL                *url.URL // public origin of Sluice's own pages; nil: the listening address
	SecureCookies         Toggle
	TrustProxy            TrustProxy
	MaxBody               int64 // bytes
	Protect               []Target
	AppPorts              int // first port of apps without a host name; 0: any free port
	UpstreamHeaderTimeout time.Duration
	Database              Database
	Secrets               Secrets
	SessionIdle           time.Duration // at most SessionMax
	SessionMax            time.Duration
	AccessLife            time.Duration // of an access token of the API
	RefreshLife           time.Duration // of a refresh token
	RefreshGrace          time.Duration // in which a used refresh token returns the same successor
	TokenIssuer           string        // claim iss of access tokens
	TokenAudience         string        // claim aud
	EndAtRestart          bool          // EXPIRE_AUTH_TOKENS_ON_RESTART
	KeyLife               time.Duration // longest life of an API key; 0: unlimited
	StepUp                time.Duration // 0: a sign-in is sufficient proof for the whole session
	PasswordHashRounds    int           // bcrypt cost
	ResetLife             time.Duration // of a link that sets a new password
	InviteLife            time.Duration // of an invitation, or a link that confirms an address or sets a first password
	Mail                  Mail
	Superuser             Superuser
	AutoLogin             bool   // LANGFLOW_AUTO_LOGIN; only if Sluice is reachable by loopback addresses alone
	LangflowKey           Secret // LANGFLOW_SECRET_KEY for Langflow; may be a sample that Sluice refuses
	NewUserActive         bool   // NEW_USER_IS_ACTIVE
	OpenSignUp            bool
	LogLevel              slog.Level
	LogFormat             string // auto, text or json
	MetricsAddr           string // host:port, "" is off
}

// CookiesSecure resolves Auto by the scheme of AppURL.
func (v Values) CookiesSecure() bool {
	if v.SecureCookies == Auto {
		return v.AppURL != nil && v.AppURL.Scheme == "https"
	}
	return v.SecureCookies == On
}

var logLevels = map[string]slog.Level{
	"error": slog.LevelError, "warn": slog.LevelWarn, "info": slog.LevelInfo, "http": slog.LevelInfo,
	"verbose": slog.LevelDebug, "debug": slog.LevelDebug, "silly": slog.LevelDebug,
}

// get returns the parsed value of a variable, or the zero value if it is not set.
func get[T any](l *Loaded, name string) T {
	value, _ := l.items[name].parsed.(T)
	return value
}

func fill(l *Loaded) {
	superuser := Superuser{
		Name:     get[string](l, "LANGFLOW_SUPERUSER"),
		Password: get[Secret](l, "LANGFLOW_SUPERUSER_PASSWORD"),
	}
	l.Values = Values{
		Host:                  get[string](l, "HOST"),
		Port:                  get[int](l, "PORT"),
		AppURL:                get[*url.URL](l, "APP_URL"),
		SecureCookies:         toggle(l, "SECURE_COOKIES"),
		TrustProxy:            get[TrustProxy](l, "TRUST_PROXY"),
		MaxBody:               int64(get[int](l, "SLUICE_MAX_BODY_MB")) << 20,
		Protect:               get[[]Target](l, "SLUICE_PROTECT"),
		AppPorts:              get[int](l, "SLUICE_APP_PORTS"),
		UpstreamHeaderTimeout: get[time.Duration](l, "SLUICE_UPSTREAM_HEADER_TIMEOUT_SECONDS"),
		Database:              databaseOf(l),
		Secrets:               secretsOf(l),
		SessionIdle:           get[time.Duration](l, "SLUICE_SESSION_IDLE_MINUTES"),
		SessionMax:            get[time.Duration](l, "SLUICE_SESSION_MAX_MINUTES"),
		AccessLife:            get[time.Duration](l, "JWT_TOKEN_EXPIRY_IN_MINUTES"),
		RefreshLife:           get[time.Duration](l, "JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES"),
		RefreshGrace:          get[time.Duration](l, "SLUICE_REFRESH_GRACE_SECONDS"),
		TokenIssuer:           get[string](l, "JWT_ISSUER"),
		TokenAudience:         get[string](l, "JWT_AUDIENCE"),
		EndAtRestart:          get[bool](l, "EXPIRE_AUTH_TOKENS_ON_RESTART"),
		KeyLife:               get[time.Duration](l, "SLUICE_API_KEY_MAX_DAYS"),
		StepUp:                get[time.Duration](l, "SLUICE_STEP_UP_MINUTES"),
		PasswordHashRounds:    get[int](l, "PASSWORD_SALT_HASH_ROUNDS"),
		Superuser:             superuser,
		AutoLogin:             get[bool](l, "LANGFLOW_AUTO_LOGIN"),
		LangflowKey:           l.langflowKey(),
		NewUserActive:         get[bool](l, "LANGFLOW_NEW_USER_IS_ACTIVE"),
		OpenSignUp:            get[bool](l, "SLUICE_OPEN_SIGN_UP"),
		ResetLife:             get[time.Duration](l, "PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS"),
		InviteLife:            get[time.Duration](l, "INVITE_TOKEN_EXPIRY_IN_HOURS"),
		Mail:                  mailOf(l),
		LogLevel:              logLevels[get[string](l, "LOG_LEVEL")],
		LogFormat:             get[string](l, "SLUICE_LOG_FORMAT"),
		MetricsAddr:           get[string](l, "SLUICE_METRICS_ADDR"),
	}
}

func databaseOf(l *Loaded) Database {
	return Database{
		Type:     get[string](l, "DATABASE_TYPE"),
		Folder:   get[string](l, "DATABASE_PATH"),
		Host:     get[string](l, "DATABASE_HOST"),
		Port:     get[int](l, "DATABASE_PORT"),
		Name:     get[string](l, "DATABASE_NAME"),
		User:     get[string](l, "DATABASE_USER"),
		Password: get[Secret](l, "DATABASE_PASSWORD"),
		SSL:      get[bool](l, "DATABASE_SSL"),
	}
}

func secretsOf(l *Loaded) Secrets {
	s := Secrets{
		Folder:       get[string](l, "SECRETKEY_PATH"),
		Given:        map[string]Given{},
		Former:       get[Secret](l, "SLUICE_FORMER_SECRET_KEY"),
		AWS:          get[string](l, "SECRETKEY_STORAGE_TYPE") == "aws",
		AWSAccessKey: get[Secret](l, "SECRETKEY_AWS_ACCESS_KEY"),
		AWSSecretKey: get[Secret](l, "SECRETKEY_AWS_SECRET_KEY"),
		AWSRegion:    get[string](l, "SECRETKEY_AWS_REGION"),
		AWSName:      get[string](l, "SECRETKEY_AWS_NAME"),
		AWSPrefix:    get[string](l, "SECRETKEY_AWS_AUTH_PREFIX"),
	}
	for _, name := range []string{"LANGFLOW_SECRET_KEY", "JWT_AUTH_TOKEN_SECRET", "JWT_REFRESH_TOKEN_SECRET",
		"EXPRESS_SESSION_SECRET", "TOKEN_HASH_SECRET"} {
		if value := get[Secret](l, name); value != "" {
			source := l.items[name].source
			s.Given[name] = Given{Value: value, Name: source.Name, Where: source.String()}
		}
	}
	return s
}

func mailOf(l *Loaded) Mail {
	return Mail{
		Host:                   get[string](l, "SMTP_HOST"),
		Port:                   get[int](l, "SMTP_PORT"),
		User:                   get[string](l, "SMTP_USER"),
		Password:               get[Secret](l, "SMTP_PASSWORD"),
		Secure:                 get[bool](l, "SMTP_SECURE"),
		Sender:                 get[string](l, "SENDER_EMAIL"),
		AllowUnauthorizedCerts: get[bool](l, "ALLOW_UNAUTHORIZED_CERTS"),
		InviteTemplate:         get[string](l, "WORKSPACE_INVITE_TEMPLATE_PATH"),
	}
}

func toggle(l *Loaded, name string) Toggle {
	switch on, set := l.items[name].parsed.(bool); {
	case !set:
		return Auto
	case on:
		return On
	}
	return Off
}
