package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"sluice/internal/config"
	"sluice/internal/server"
	"sluice/internal/web"
)

// serveCommand runs Sluice until it is stopped.
type serveCommand struct {
	ListenFlags
}

// Run starts the server, prints its address, and waits for SIGINT or SIGTERM.
func (c *serveCommand) Run(rt *Runtime) error {
	loaded, err := rt.Load(c.Variables())
	if err != nil {
		return err
	}
	log, lines := newLogger(loaded.Values, rt.Stderr)
	defer lines.Close()
	for _, w := range loaded.Warnings {
		log.Warn(fmt.Sprint(w))
	}
	tune()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := server.Start(ctx, loaded.Values, log)
	if err != nil {
		return err
	}
	err = announce(ctx, rt.Stdout, s)
	if err == nil {
		// Policies, templates and migrations leave garbage that an idle server would keep for
		// hours.
		debug.FreeOSMemory()
		<-ctx.Done()
		// A second signal kills the process immediately.
		stop()
		log.Info("stopping")
	}
	s.Stop(context.Background())
	return err
}

// announce prints the addresses and links that a person at the terminal needs next.
func announce(ctx context.Context, out io.Writer, s *server.Server) error {
	data := s.Values.Database.Folder + " (SQLite)"
	if s.DB.Engine() == "postgres" {
		data = fmt.Sprintf(
			"PostgreSQL %s:%d/%s",
			s.Values.Database.Host,
			s.Values.Database.Port,
			s.Values.Database.Name,
		)
	}
	fmt.Fprintf(out, "Sluice %s\n\n  %-12s %s\n  %-12s %s\n", Version(), "Address", s.MainOrigin(""), "Data", data)
	for _, a := range s.Apps.All() {
		title := a.Kind.Title
		switch {
		case a.Pending:
			title = "not responding yet"
		case a.Version != "":
			title += " " + a.Version
		}
		fmt.Fprintf(out, "  %-12s %s  ->  %s  (%s)\n", "App", a.Origin(""), a.Upstream, title)
	}
	if name := s.Logins.AutoLogin(); name != "" {
		fmt.Fprintf(
			out,
			"  %-12s sign-in is automatic: anyone who opens Sluice in a browser on this machine is the superuser %s "+
				"(LANGFLOW_AUTO_LOGIN)\n",
			"Warning",
			name,
		)
	}
	for _, a := range s.Unreachable() {
		fmt.Fprintf(
			out,
			"  %-12s %s: another program uses port %d. Stop it, or give the app a separate host name\n",
			"Warning",
			a.Name,
			a.Port,
		)
	}
	link, expires, err := s.SetupLink(ctx)
	if err != nil {
		return err
	}
	if link == "" {
		fmt.Fprintln(out)
		return nil
	}
	fmt.Fprintf(
		out,
		"  %-12s %s\n\nOpen the setup link to create the first admin. It works once, until %s. A restart prints a "+
			"new one.\n\n",
		"Setup link",
		link,
		expires.Local().Format(time.TimeOnly),
	)
	return nil
}

// newLogger writes text to a terminal and JSON to everything else, unless SLUICE_LOG_FORMAT
// decides. Lines of requests are batched: close the handler at the end.
func newLogger(v config.Values, out io.Writer) (*slog.Logger, *web.LogHandler) {
	json := v.LogFormat == "json" || v.LogFormat != "text" && !isTerminal(out)
	handler := web.NewLogHandler(out, json, v.LogLevel)
	return slog.New(handler), handler
}

// tune lets the young heap grow. That costs about 50 MB under load and saves a tenth of a request's
// time (bench).
func tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
