package api

// signInRules are the rules of everyone's sign-in.
type signInRules struct {
	Password string `json:"password" enum:"everyone,superusers" doc:"The people who can sign in with a password. Superusers always can, in case an identity provider is down." example:"everyone"`
}

func getSignIn(x *visit, _ *struct{}) (signInRules, error) {
	return signInRules{Password: x.cfg.Logins.PasswordPolicy()}, nil
}

type signInInput struct{ Body signInRules }

func setSignIn(x *visit, in *signInInput) error {
	return x.cfg.Logins.SetPasswordPolicy(x, x.who, in.Body.Password)
}
