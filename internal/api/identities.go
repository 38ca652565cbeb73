package api

import (
	"time"

	"sluice/internal/login/sso"
)

// linkedIdentity is a person's account at an identity provider.
type linkedIdentity struct {
	Provider     string    `json:"provider" doc:"The provider's id."`
	ProviderName string    `json:"provider_name" example:"Company account"`
	Label        string    `json:"label" doc:"The person's name there. It is never used to identify anyone." example:"ann@example.com"`
	CreatedAt    time.Time `json:"created_at"`
	UsedAt       time.Time `json:"used_at"`
}

func identityOf(l sso.Link) linkedIdentity {
	return linkedIdentity{l.Provider, l.ProviderName, l.Label, l.CreatedAt.UTC(), l.UsedAt.UTC()}
}

func listMyIdentities(x *visit, in *Paging) (list[linkedIdentity], error) {
	rows, err := x.cfg.SSO.Links(x, x.who, x.who.ID)
	return pageOf(rows, *in, identityOf), err
}

func unlinkIdentity(x *visit, in *ProviderPath) error {
	return x.cfg.SSO.Unlink(x, x.who, in.Provider)
}

type identitiesInput struct {
	UserPath
	Paging
}

func listIdentities(x *visit, in *identitiesInput) (list[linkedIdentity], error) {
	rows, err := x.cfg.SSO.Links(x, x.who, in.User)
	return pageOf(rows, in.Paging, identityOf), err
}
