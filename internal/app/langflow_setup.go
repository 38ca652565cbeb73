package app

import (
	"cmp"
	"context"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
)

// LangflowConnection is how Sluice gets into a Langflow, without a secret.
type LangflowConnection struct {
	// Mode is the chosen one; "" until it is connected. PerPerson tells that each person has an account of their own.
	Mode      builder.Mode
	PerPerson bool
	// Superuser is the name of the Langflow superuser that Sluice has. HasSecretKey and HasPassword tell that it has these.
	Superuser                 string
	HasSecretKey, HasPassword bool
	// ExternalLines are the settings by which this Langflow would trust Sluice, as lines of a .env file.
	ExternalLines string
}

// Langflow tells how Sluice gets into an app's Langflow. It needs AppManage. Errors: problem.Invalid for other apps.
func (r *Registry) Langflow(ctx context.Context, actor authz.Principal, id string) (LangflowConnection, error) {
	a, err := r.findLangflow(ctx, actor, authz.AppManage, id)
	if err != nil {
		return LangflowConnection{}, err
	}
	row, err := q.New(r.DB.Read()).GetApp(ctx, a.ID)
	if err != nil {
		return LangflowConnection{}, db.Found(err, "There is no such app. It may have been removed.")
	}
	o, err := r.openOwner(row)
	if err != nil {
		return LangflowConnection{}, err
	}
	if actor.Superuser {
		o = r.orConfigured(o)
	}
	return LangflowConnection{
		Mode: a.BridgeMode, PerPerson: a.PerPerson, Superuser: o.Superuser, HasSecretKey: o.SecretKey != "", HasPassword: o.Password != "",
		ExternalLines: a.Kind.Accounts.TrustLines(r.Origin(), r.jwks(a)),
	}, nil
}

// orConfigured fills what is not stored of a Langflow with what the LANGFLOW variables say. A password goes with its name only.
func (r *Registry) orConfigured(o owner) owner {
	o.SecretKey = cmp.Or(o.SecretKey, r.LangflowSecretKey)
	if r.LangflowSuperuserPassword == "" {
		return o
	}
	if o.Superuser == "" {
		o.Superuser = r.LangflowSuperuser
	}
	if o.Password == "" && o.Superuser == r.LangflowSuperuser {
		o.Password = r.LangflowSuperuserPassword
	}
	return o
}
