package profile

import "fmt"

// newDemo is the profile of the builder inside Sluice (package-level NewDemo).
func newDemo() (*Profile, error) {
	t, err := loadTable(demoTable, true, nil)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return &Profile{Kind: KindDemo, Title: "Demo builder", table: t, style: style{
		sealed:    true,
		headers:   map[string]bool{"authorization": true},
		csp:       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'",
		query:     queryRules{plainKeys: true},
		errorBody: rfc9457,
		entry:     func(returnPath string) string { return returnPath },
	}}, nil
}

// demoName is how the demo builder names itself at /api/health.
const demoName = "sluice-demo"
