package console

import (
	"time"

	"github.com/a-h/templ"

	"sluice/internal/secret"
)

func sampleSecrets() secretsView {
	day := 24 * time.Hour
	view := func(s secret.Status) secretView { return secretView{Status: s, Words: wordsOf(s.Name)} }
	v := secretsView{Now: sampleNow, JWKS: "https://sluice.example.com/.well-known/jwks.json", Secrets: []secretView{
		view(secret.Status{
			Name:    secret.Root,
			Source:  "file /var/lib/sluice/secrets/sluice_secret.key",
			Since:   sampleNow.Add(-40 * day),
			KeyID:   "5f3a9c01",
			Rotates: true,
			Weak: []secret.Weak{
				{
					Name:  secret.Root,
					Where: "environment, FLOWISE_SECRETKEY_OVERWRITE",
					Why:   "is a published example",
				},
			},
		}),
		view(secret.Status{
			Name:   secret.AccessToken,
			Source: "environment",
			Since:  sampleNow.Add(-9 * day),
			KeyID:  "77aa01bc",
		}),
		view(secret.Status{
			Name:    secret.Session,
			Source:  "database",
			Since:   sampleNow.Add(-3 * time.Hour),
			KeyID:   "0ab1c2d3",
			Rotates: true,
			Previous: []secret.PreviousKey{
				{KeyID: "9", Until: sampleNow.Add(30 * day)},
				{KeyID: "8", Until: sampleNow.Add(2 * day)},
			},
		}),
		view(secret.Status{
			Name:     secret.VaultKey,
			Source:   "database",
			Since:    sampleNow.Add(-time.Minute),
			KeyID:    "1a2b3c4d",
			Rotates:  true,
			Left:     214,
			Previous: []secret.PreviousKey{{KeyID: "7"}},
		}),
	}}
	v.Assertions = view(secret.Status{
		Name:     secret.Assertions,
		Source:   "database",
		Since:    sampleNow.Add(-5 * time.Hour),
		KeyID:    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		Rotates:  true,
		Previous: []secret.PreviousKey{{KeyID: "x", Until: sampleNow.Add(19 * time.Hour)}},
	})
	return v
}

func secretSamples() map[string]templ.Component {
	frame, full, plain := sampleFrame(secretsPath), sampleSecrets(), sampleSecrets()
	full.Warnings = []string{
		"The key file /var/lib/sluice/secrets/sluice_secret.key can be read by other users of this machine: chmod " +
			"600 /var/lib/sluice/secrets/sluice_secret.key",
	}
	plain.Secrets = plain.Secrets[2:3]
	plain.Problem, plain.Next = "The key was given.", "Give another one."
	root := full.Secrets[0]
	root.Rotates, root.Source = false, "environment"
	return map[string]templ.Component{
		"secrets":             secretsPage(frame, full),
		"secrets-problem":     secretsPage(frame, plain),
		"secret-rotate":       rotateSecretPage(frame, full.Secrets[0]),
		"secret-given":        rotateSecretPage(frame, root),
		"secret-given-access": rotateSecretPage(frame, full.Secrets[1]),
	}
}
