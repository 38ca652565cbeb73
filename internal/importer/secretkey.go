package importer

import "sluice/internal/problem"

// checkSecretKey tries the key on the encrypted values. A key that decrypts none of them is the
// wrong one, and stops the import before anything is decided. Single values that cannot be
// decrypted are left out later.
func (p *planning) checkSecretKey() error {
	opened, closed := 0, 0
	try := func(value string, sealed bool) {
		if !sealed {
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
	for _, v := range p.in.Variables {
		if v.Secret {
			try(v.Value, v.Sealed)
		}
	}
	for _, k := range p.in.Keys {
		if !k.Hashed || p.options.Keys != nil {
			try(k.Stored, k.Sealed)
		}
	}
	title, places := p.product.Title, p.product.Import.KeyPlaces
	switch {
	case closed == 0, opened > 0:
		return nil
	case p.options.Keys == nil:
		return problem.Newf(problem.Invalid, "%d values of this %s are encrypted, and no secret key is given.",
			closed, title).WithField("--secret-key-file").WithNext("Give its secret key, which is " + places + ".")
	}
	return problem.Newf(problem.Invalid, "The secret key opens none of the %d encrypted values of this %s: it is "+
		"not this installation's key.", closed, title).
		WithField("--secret-key").
		WithNext(title + "'s own is " + places + ". Nothing was imported.")
}
