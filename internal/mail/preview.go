package mail

import (
	"time"
)

// samples returns every email with made-up content. The links lead nowhere.
func samples() []Message {
	const base = "https://sluice.example.com"
	at := time.Date(2025, 11, 21, 19, 30, 0, 0, time.UTC)
	return []Message{
		PasswordReset{Name: "Ann Example", Link: base + "/reset?token=sample", Expires: at.Add(15 * time.Minute)},
		VerifyEmail{
			Name:    "Ann Example",
			Email:   "ann@example.com",
			Link:    base + "/verify?token=sample",
			Expires: at.Add(24 * time.Hour),
		},
		EmailChangeConfirm{
			Name:     "Ann Example",
			OldEmail: "ann@example.com",
			NewEmail: "ann@example.org",
			ToOld:    true,
			Link:     base + "/confirm-email-change?token=sample",
			Expires:  at.Add(24 * time.Hour),
		},
		EmailChangeConfirm{
			Name:     "Ann Example",
			OldEmail: "ann@example.com",
			NewEmail: "ann@example.org",
			Link:     base + "/confirm-email-change?token=sample",
			Expires:  at.Add(24 * time.Hour),
		},
		WorkspaceInvite{
			WorkspaceName: "Research",
			InvitedBy:     "Bob Example",
			RegisterLink:  base + "/register?token=sample",
			Expires:       at.Add(24 * time.Hour),
		},
		AddedToWorkspace{
			Name:          "Ann Example",
			WorkspaceName: "Research",
			AddedBy:       "Bob Example",
			DashboardLink: base + "/flows",
		},
		AccountCreated{
			Name:     "Ann Example",
			Username: "ann",
			Link:     base + "/reset?token=sample",
			Expires:  at.Add(24 * time.Hour),
		},
		PasswordChanged{Name: "Ann Example", At: at, IP: "192.0.2.7", ResetPage: base + "/forgot"},
		FactorAdded{
			Name:        "Ann Example",
			Factor:      "An authenticator app",
			At:          at,
			IP:          "192.0.2.7",
			AccountPage: base + "/account",
		},
		FactorRemoved{
			Name:        "Ann Example",
			Factor:      "An authenticator app",
			At:          at,
			IP:          "192.0.2.7",
			AccountPage: base + "/account",
		},
		RecoveryUsed{Name: "Ann Example", Left: 2, At: at, IP: "192.0.2.7", AccountPage: base + "/account"},
		CodesGuessed{Name: "Ann Example", Guesses: 5, At: at, IP: "192.0.2.7", AccountPage: base + "/account"},
		TokenReplayed{
			Name:        "Ann Example",
			At:          at,
			IP:          "192.0.2.7",
			Program:     "nightly-report/2.1",
			AccountPage: base + "/account",
		},
		Test{At: at},
	}
}

// Previews are the names that Preview accepts, in a sensible order: the kinds of all messages.
func Previews() []string {
	var names []string
	for _, m := range samples() {
		names = append(names, m.Kind())
	}
	return names
}
