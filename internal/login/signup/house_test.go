package signup_test

import (
	"testing"

	"sluice/internal/db"
	"sluice/internal/login"
	"sluice/internal/login/logintest"
)

const (
	password    = logintest.Password
	newPassword = logintest.NewPassword
)

var cli = logintest.CLI

// house is logintest.House with helpers for these tests only.
type house struct{ *logintest.House }

func build(t testing.TB, d *db.DB, rounds int) *house {
	t.Helper()
	return &house{logintest.Build(t, d, rounds)}
}

// with creates Logins and its parts again with other settings.
func (h *house) with(t testing.TB, change func(*logintest.Settings)) *house {
	t.Helper()
	h.House.With(t, change)
	return h
}

// withMail is with plus a mail server.
func (h *house) withMail(t testing.TB, change func(*logintest.Settings)) *house {
	t.Helper()
	h.House.WithMail(t, change)
	return h
}

func session(p login.Progress, err error) (login.Result, error) { return logintest.Session(p, err) }

func nothing(*logintest.Settings) {}
