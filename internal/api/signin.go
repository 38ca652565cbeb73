package api

// signInRules are the rules of everyone's sign-in.
type signInRules struct {
	Password string `json:"password" enum:"everyone,superusers" doc:"Who may sign in with a password. Superusers always may, so that somebody can come in when an identity provider does not answer." example:"everyone"`
}

func getSignIn(x *visit, _ *struct{}) (signInRules, error) {
	return signInRules{Password: x.cfg.Logins.PasswordPolicy()}, nil
}

type signInInput struct{ Body signInRules }

func setSignIn(x *visit, in *signInInput) error {
	return x.cfg.Logins.SetPasswordPolicy(x, x.who, in.Body.Password)
}
