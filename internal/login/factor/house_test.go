package factor_test

import (
	"testing"

	"sluice/internal/db"
	"sluice/internal/login/logintest"
)

const (
	password    = logintest.Password
	newPassword = logintest.NewPassword
	origin      = logintest.Origin
	proofLife   = logintest.ProofLife
)

var cli = logintest.CLI

// house is logintest.House with helpers for these tests only.
type house struct{ *logintest.House }

func build(t testing.TB, d *db.DB, rounds int) *house {
	t.Helper()
	return &house{logintest.Build(t, d, rounds)}
}

// guarded is a house in which dangerous actions require a fresh proof of identity.
func guarded(t testing.TB, d *db.DB) *house {
	t.Helper()
	return &house{logintest.Guarded(t, d)}
}

// withMail is with plus a mail server.
func (h *house) withMail(t testing.TB, change func(*logintest.Settings)) *house {
	t.Helper()
	h.House.WithMail(t, change)
	return h
}

func nothing(*logintest.Settings) {}
