package importer

import (
	"strings"

	"sluice/internal/problem"
)

// sealedMark begins what Langflow has encrypted (Fernet, version 0x80).
const sealedMark = "gAAAAA"

// checkSecretKey tries the key on what is encrypted. One that opens nothing is the wrong one, and stops the import before anything is decided; single values that do not open are left out later.
func (p *planning) checkSecretKey() error {
	opened, closed := 0, 0
	try := func(value string) {
		if !strings.HasPrefix(value, sealedMark) {
			return
		}
		if p.options.Keys != nil {
			if _, err := p.options.Keys.Open(value); err == nil {
				opened++
				return
			}
		}
		closed++
	}
	for _, v := range p.in.variables {
		if v.credential {
			try(v.value)
		}
	}
	for _, k := range p.in.keys {
		if !k.hashed || p.options.Keys != nil {
			try(k.stored)
		}
	}
	switch {
	case closed == 0, opened > 0:
		return nil
	case p.options.Keys == nil:
		return problem.Newf(problem.Invalid, "%d values of this Langflow are encrypted, and no secret key is given.", closed).WithField("--secret-key-file").
			WithNext("Give the file secret_key of its LANGFLOW_CONFIG_DIR, or its LANGFLOW_SECRET_KEY.")
	}
	return problem.Newf(problem.Invalid, "The secret key opens none of the %d encrypted values of this Langflow: it is another one's.", closed).WithField("--secret-key").
		WithNext("Langflow's own is in the file secret_key of its LANGFLOW_CONFIG_DIR, or in its LANGFLOW_SECRET_KEY. Nothing was imported.")
}
