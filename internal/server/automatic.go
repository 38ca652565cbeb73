package server

import (
	"context"
	"fmt"
	"net"
	"time"

	"sluice/internal/config"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// automaticReminder is how often the log says that nobody is asked to sign in.
const automaticReminder = 10 * time.Minute

// autoLogin is the superuser as whom browsers are signed in without being asked; "" if everybody is asked.
func autoLogin(v config.Values) string {
	if !v.AutoLogin {
		return ""
	}
	return v.Superuser.Name
}

// automaticSignIn makes the superuser whom nobody asks for a password. The configuration has been checked already; what the database knows can be at odds with it as well.
func (s *Server) automaticSignIn(ctx context.Context) error {
	if !s.Values.AutoLogin {
		return nil
	}
	made, err := s.Setup.EnsureAutomatic(ctx, s.Values.Superuser.Password.Reveal())
	if err != nil {
		if p := problem.Of(err); p.Kind != problem.Internal {
			return fmt.Errorf("%s %s", p.Detail, p.Next)
		}
		return err
	}
	if made {
		s.Log.Info("the superuser was made", "username", s.Values.Superuser.Name)
	}
	return s.remindOfAutomatic(ctx, time.Time{})
}

// remindOfAutomatic writes into the log that nobody is asked to sign in.
func (s *Server) remindOfAutomatic(context.Context, time.Time) error {
	if s.Values.AutoLogin {
		s.Log.Warn("nobody is asked to sign in (LANGFLOW_AUTO_LOGIN is True): whoever opens Sluice in a browser on this machine works as a superuser", "username", s.Values.Superuser.Name)
	}
	return nil
}

// appsOnThisMachine refuses automatic sign-in where an app has a public address: then a reverse proxy passes on visitors from elsewhere.
func (s *Server) appsOnThisMachine() error {
	if !s.Values.AutoLogin {
		return nil
	}
	for _, a := range s.Apps.All() {
		if a.PublicURL != "" && !web.LoopbackOrigin(a.PublicURL) {
			return fmt.Errorf("LANGFLOW_AUTO_LOGIN is True, but people reach the app %s at %s, and whoever does would be a superuser; expected is LANGFLOW_AUTO_LOGIN=False, or no app with a public address", a.Name, a.PublicURL)
		}
	}
	return nil
}

// onlyLoopback refuses an address that other machines can connect to; a name in HOST is not always what it looks like.
func onlyLoopback(l net.Listener) error {
	if addr, ok := l.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		return fmt.Errorf("LANGFLOW_AUTO_LOGIN is True, but Sluice would listen on %s, where other machines can connect; expected is HOST=127.0.0.1, or LANGFLOW_AUTO_LOGIN=False", l.Addr())
	}
	return nil
}
