package sso_test

import (
	"testing"
	"time"

	"sluice/internal/db"
	"sluice/internal/login/logintest"
)

const (
	password  = logintest.Password
	origin    = logintest.Origin
	proofLife = logintest.ProofLife
)

var cli = logintest.CLI

// house is logintest.House with helpers for these tests only.
type house struct{ *logintest.House }

func build(t testing.TB, d *db.DB, rounds int) *house {
	t.Helper()
	return &house{logintest.Build(t, d, rounds)}
}

func buildIn(t testing.TB, d *db.DB, rounds int, folder string, stepUp time.Duration) *house {
	t.Helper()
	return &house{logintest.BuildIn(t, d, rounds, folder, stepUp)}
}

// guarded is a house in which dangerous actions require a fresh proof of identity.
func guarded(t testing.TB, d *db.DB) *house {
	t.Helper()
	return &house{logintest.Guarded(t, d)}
}

// with creates Logins and its parts again with other settings.
func (h *house) with(t testing.TB, change func(*logintest.Settings)) *house {
	t.Helper()
	h.House.With(t, change)
	return h
}
