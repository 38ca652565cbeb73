package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/api"
	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/config"
	"sluice/internal/console"
	"sluice/internal/problem"
	"sluice/internal/proxy"
	"sluice/internal/secret"
	"sluice/internal/web"
)

const mainListener = "main"

// Server is a running Sluice.
type Server struct {
	*Core
	// Apps are the connected builders.
	Apps *app.Apps

	proxy     *proxy.Proxy
	listeners *listeners
	demo      *builtIn
	runner    runner
	metrics   *metricsListener
	stopJobs  context.CancelFunc
	port      int
}

// Start opens everything, listens, and connects the apps from the configuration. When it returns,
// Sluice answers. The caller stops it with Stop. Additional kinds of builder are for tests.
func Start(ctx context.Context, v config.Values, log *slog.Logger, more ...*builder.Kind) (*Server, error) {
	core, err := OpenCore(ctx, v, log)
	if err != nil {
		return nil, err
	}
	for _, warning := range core.Keyring.Warnings() {
		log.Warn(warning)
	}
	s := &Server{Core: core, demo: newBuiltIn(v.Database.Folder, log), runner: runner{log: log}, stopJobs: func() {}}
	s.listeners = &listeners{
		host:    v.Host,
		local:   v.AutoLogin,
		log:     log,
		servers: map[string]*http.Server{},
		ports:   map[string]int{},
	}
	if err := s.start(ctx, more); err != nil {
		s.Stop(ctx)
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, more []*builder.Kind) (err error) {
	if err := s.endSessions(ctx); err != nil {
		return err
	}
	if err := s.superuser(ctx); err != nil {
		return err
	}
	if err := s.automaticSignIn(ctx); err != nil {
		return err
	}
	known, err := Kinds(more...)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	client := upstreamClient()
	s.Apps, err = app.New(ctx, app.Config{
		DB:         s.DB,
		Gate:       s.Gate,
		Keyring:    s.Keyring,
		Vault:      s.Vault,
		Opener:     s.Opener,
		Kinds:      known,
		Client:     client,
		Demo:       s.demo.address,
		ListenHost: s.Values.Host,
		FirstPort:  s.Values.AppPorts,
		Configured: builder.Access{
			SecretKey: cmp.Or(s.Values.LangflowKey.Reveal(), s.Keyring.GivenRoot()),
			Superuser: s.Values.Superuser.Name,
			Password:  s.Values.Superuser.Password.Reveal(),
		},
		Origin:      func() string { return s.MainOrigin("") },
		LocalOrigin: s.localOrigin,
		Now:         time.Now,
		Log:         s.Log,
	})
	if err != nil {
		return err
	}
	trust := web.Trust{Proxies: s.Values.TrustProxy.Nets, Hops: s.Values.TrustProxy.Hops}
	s.proxy = proxy.New(proxy.Config{
		Apps:          s.Apps.Registry,
		Sessions:      s.Sessions,
		Keys:          s.Keys,
		People:        s.People,
		Logins:        s.Logins,
		NewUserActive: s.Values.NewUserActive,
		Credentials:   s.Credentials,
		Gate:          s.Gate,
		SignOut:       s.Logins.SignOut,
		Sign:          s.Keyring.Signer().Sign,
		MainOrigin:    s.MainOrigin,
		SecureCookies: s.secureCookies(),
		Hosts:         s.hosts(),
		Trust:         trust,
		MaxBody:       s.Values.MaxBody,
		HeaderTimeout: s.Values.UpstreamHeaderTimeout,
		Metrics:       registry,
		Log:           s.Log,
		Now:           time.Now,
	})
	pages := console.New(console.Config{
		Gate:           s.Gate,
		People:         s.People,
		Sessions:       s.Sessions,
		Keys:           s.Keys,
		Credentials:    s.Credentials,
		Logins:         s.Logins,
		Factors:        s.Factors,
		Providers:      s.Providers,
		SSO:            s.SSO,
		SignUps:        s.SignUps,
		Invitations:    s.Invitations,
		Setup:          s.Setup,
		Apps:           s.Apps,
		Vault:          s.Vault,
		Mail:           s.Mail,
		MainOrigin:     s.MainOrigin,
		Listens:        s.listens,
		SecureCookies:  s.secureCookies(),
		Trust:          trust,
		Now:            time.Now,
		Log:            s.Log,
		Secrets:        secret.NewRotator(s.Keyring, s.Gate),
		SecretWarnings: s.Keyring.Warnings(),
	})
	calls := api.New(api.Config{
		DB:            s.DB,
		Gate:          s.Gate,
		People:        s.People,
		Sessions:      s.Sessions,
		Keys:          s.Keys,
		Tokens:        s.Tokens,
		Credentials:   s.Credentials,
		Logins:        s.Logins,
		Factors:       s.Factors,
		Providers:     s.Providers,
		SSO:           s.SSO,
		SignUps:       s.SignUps,
		Invitations:   s.Invitations,
		Apps:          s.Apps,
		Vault:         s.Vault,
		Mail:          s.Mail,
		StepUp:        s.Values.StepUp,
		MainOrigin:    s.MainOrigin,
		SecureCookies: s.secureCookies(),
		Trust:         trust,
		Now:           time.Now,
		Log:           s.Log,
	})
	// The port is chosen before the first app is added, so that no app takes it.
	if s.port, err = s.listeners.open(mainListener, s.Values.Port,
		s.proxy.ServeHost(s.ownPages(pages, calls))); err != nil {
		return err
	}
	if s.metrics, err = listenMetrics(s.Values.MetricsAddr, registry, s.Log); err != nil {
		return err
	}
	if err := errors.Join(s.protect(ctx), s.appsOnThisMachine()); err != nil {
		return err
	}
	s.Apps.OnChange(func() { s.listeners.reconcile(s.Apps.All(), s.proxy.ServeApp) })
	jobs, stop := context.WithCancel(context.Background())
	s.stopJobs = stop
	s.runner.start(jobs, jobsOf(s))
	s.runner.done.Go(func() { s.Apps.Monitor.CheckAll(jobs, false) })
	return nil
}

// endSessions revokes the sessions of the previous run, if the configuration says so.
func (s *Server) endSessions(ctx context.Context) error {
	if !s.Values.EndAtRestart {
		return nil
	}
	s.Log.Info("all sessions and tokens from before this start are revoked (EXPIRE_AUTH_TOKENS_ON_RESTART)")
	return s.Sessions.EndEverything(ctx, authz.SystemPrincipal("serve"), "all sessions, at start")
}

// superuser creates the superuser from the configuration.
func (s *Server) superuser(ctx context.Context) error {
	made, weak, err := s.Setup.EnsureSuperuser(
		ctx,
		s.Values.Superuser.Name,
		s.Values.Superuser.Password.Reveal(),
		isLoopback(s.Values.Host),
	)
	if err != nil {
		if p := problem.Of(err); p.Kind != problem.Internal {
			return fmt.Errorf("%s %s", p.Detail, p.Next)
		}
		return err
	}
	if made {
		s.Log.Info("the superuser was created", "username", s.Values.Superuser.Name)
	}
	if made && weak {
		s.Log.Warn("LANGFLOW_SUPERUSER_PASSWORD is easy to guess or shorter than 15 characters; change it on the " +
			"account page")
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// protect connects the apps of --protect.
func (s *Server) protect(ctx context.Context) error {
	for _, target := range s.Values.Protect {
		spec := app.Spec{Kind: target.Kind, URL: target.URL, PublicURL: target.Public}
		if target.URL == "" {
			spec.URL = app.DemoURL
		}
		if _, err := s.Apps.Manager.Ensure(ctx, authz.SystemPrincipal("serve"), spec); err != nil {
			p := problem.Of(err)
			if p.Kind == problem.Internal {
				return fmt.Errorf("connecting %s: %w", target, err)
			}
			return fmt.Errorf("--protect %s: %s %s", target, p.Detail, p.Next)
		}
	}
	return nil
}

// ownPages adds the endpoints that are not pages of the console.
func (s *Server) ownPages(pages, calls http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/healthz" && r.Method == http.MethodGet:
			s.healthz(w, r)
		case path == jwksPath && r.Method == http.MethodGet:
			s.jwks(w, r)
		case strings.HasPrefix(path, api.Prefix+"/"):
			calls.ServeHTTP(w, r)
		default:
			pages.ServeHTTP(w, r)
		}
	})
}

// healthz answers 200 while the database answers, for load balancers. It reveals nothing else to
// strangers.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := s.DB.Ping(ctx); err != nil {
		s.Log.Error("the database does not answer", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("database\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// MainOrigin is the origin of Sluice's own pages for a browser that used this Host header: APP_URL,
// or the same name with the main port.
func (s *Server) MainOrigin(requestHost string) string {
	if u := s.Values.AppURL; u != nil {
		return u.Scheme + "://" + u.Host
	}
	name := requestHost
	if h, _, err := net.SplitHostPort(requestHost); err == nil {
		name = h
	}
	if name = strings.Trim(name, "[]"); name == "" {
		name = s.listenName()
	}
	return "http://" + net.JoinHostPort(name, strconv.Itoa(s.port))
}

// BaseURL is the origin of Sluice's own pages according to the configuration, for links that the
// command line prints.
func BaseURL(v config.Values) string {
	s := Server{Core: &Core{Values: v}, port: v.Port}
	return s.MainOrigin("")
}

// listens returns where programs on this machine reach the main listener.
func (s *Server) listens() string { return net.JoinHostPort(s.listenName(), strconv.Itoa(s.port)) }

// localOrigin is the origin at which programs on this machine reach Sluice by a loopback address;
// "" if they cannot.
func (s *Server) localOrigin() string {
	if !isLoopback(s.listenName()) {
		return ""
	}
	return "http://" + s.listens()
}

// listenName is a name by which this machine can reach the listener.
func (s *Server) listenName() string {
	switch s.Values.Host {
	case "0.0.0.0", "::", "":
		return "127.0.0.1"
	}
	return s.Values.Host
}

// hosts are Sluice's own names, besides addresses and localhost.
func (s *Server) hosts() []string {
	names := []string{s.Values.Host}
	if s.Values.AppURL != nil {
		names = append(names, s.Values.AppURL.Hostname())
	}
	return names
}

func (s *Server) secureCookies() *bool {
	if s.Values.SecureCookies == config.Auto && s.Values.AppURL == nil {
		return nil
	}
	secure := s.Values.CookiesSecure()
	return &secure
}

// SetupLink is the address for creating the first admin; "" once there is one.
func (s *Server) SetupLink(ctx context.Context) (link string, expires time.Time, err error) {
	if s.People.HasAdmin() {
		return "", time.Time{}, nil
	}
	token, expires, err := s.Setup.SetupLink(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	return s.MainOrigin("") + "/setup?token=" + url.QueryEscape(token), expires, nil
}

// Unreachable lists the apps whose port could not be opened.
func (s *Server) Unreachable() []*app.App {
	var out []*app.App
	for _, a := range s.Apps.All() {
		if a.PublicURL == "" && !s.listeners.listens(a.ID) {
			out = append(out, a)
		}
	}
	return out
}

// Stop lets running requests finish for a few seconds, cuts the remaining streams, gives up
// upstream sessions, and closes the database.
func (s *Server) Stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*shutdownGrace)
	defer cancel()
	s.stopJobs()
	grace, end := context.WithTimeout(ctx, shutdownGrace)
	s.listeners.close(grace)
	end()
	s.runner.done.Wait()
	if s.proxy != nil {
		s.proxy.Close()
	}
	if s.Apps != nil {
		s.Apps.Close(ctx)
	}
	s.demo.stop()
	s.metrics.stop()
	s.Core.Close(ctx)
}

// upstreamClient makes Sluice's own calls to builders: never through a proxy from the environment,
// and never to another host by redirect.
func upstreamClient() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{
		Timeout:       15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  15 * time.Second,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// jwksPath is where the public keys of identity assertions are (RFC 8615; the name follows OpenID
// Connect's convention).
const jwksPath = "/.well-known/jwks.json"

// jwks serves the public keys of identity assertions to everyone. Clients may cache them for five
// minutes: a new key is published a day before the previous one is forgotten, and a client that
// sees an unknown key id fetches them again.
func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write(s.Keyring.Signer().JWKS())
}
