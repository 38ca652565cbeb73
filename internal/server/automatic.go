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

// automaticReminder is how often the log warns that sign-in is automatic.
const automaticReminder = 10 * time.Minute

// autoLogin is the superuser as whom browsers are signed in automatically; "" if people have to
// sign in.
func autoLogin(v config.Values) string {
	if !v.AutoLogin {
		return ""
	}
	return v.Superuser.Name
}

// automaticSignIn creates the superuser for automatic sign-in. The configuration has already been
// checked, but the database can also contradict automatic sign-in.
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
		s.Log.Info("the superuser was created", "username", s.Values.Superuser.Name)
	}
	return s.remindOfAutomatic(ctx, time.Time{})
}

// remindOfAutomatic warns in the log that sign-in is automatic.
func (s *Server) remindOfAutomatic(context.Context, time.Time) error {
	if s.Values.AutoLogin {
		s.Log.Warn(
			"sign-in is automatic (LANGFLOW_AUTO_LOGIN is True): anyone who opens Sluice in a browser on this "+
				"machine works as a superuser",
			"username",
			s.Values.Superuser.Name,
		)
	}
	return nil
}

// appsOnThisMachine refuses automatic sign-in if an app has a public address, because a reverse
// proxy then forwards visitors from elsewhere.
func (s *Server) appsOnThisMachine() error {
	if !s.Values.AutoLogin {
		return nil
	}
	for _, a := range s.Apps.All() {
		if a.PublicURL != "" && !web.LoopbackOrigin(a.PublicURL) {
			return fmt.Errorf(
				"LANGFLOW_AUTO_LOGIN is True, but people reach the app %s at %s, and everyone who does would be a "+
					"superuser; set LANGFLOW_AUTO_LOGIN=False, or remove the app's public address",
				a.Name,
				a.PublicURL,
			)
		}
	}
	return nil
}

// onlyLoopback refuses an address that other machines can connect to. It checks the listener,
// because a name in HOST can be misleading.
func onlyLoopback(l net.Listener) error {
	if addr, ok := l.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		return fmt.Errorf(
			"LANGFLOW_AUTO_LOGIN is True, but Sluice would listen on %s, where other machines can connect; expected "+
				"is HOST=127.0.0.1, or LANGFLOW_AUTO_LOGIN=False",
			l.Addr(),
		)
	}
	return nil
}
