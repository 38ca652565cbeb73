package sso

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
)

// reports show an admin the assertion of a provider, and what a sign-in would do.
type reports struct {
	db       *db.DB
	gate     *authz.Gate
	people   *identity.People
	logins   *login.Logins
	accounts *accounts
	now      func() time.Time
}

const (
	purposeReport = "sso report"
	reportLife    = 15 * time.Minute
	maxClaimText  = 4000
)

// Claim is one claim as received. Value is JSON.
type Claim struct{ Name, Value string }

// ClaimReport is a provider's assertion about an admin who tested it, and what a sign-in would do.
type ClaimReport struct {
	At              time.Time
	Issuer, Subject string
	// Claims are the claims of the id token (for GitHub: of its user), UserInfo those requested
	// besides. Neither contains the tokens themselves.
	Claims, UserInfo []Claim
	// Groups are the groups found.
	Groups []string
	// Factors describes how many factors the sign-in would count as.
	Factors string
	// Username, Email, EmailVerified and Name belong to the account: the linked one, or the one
	// that would be created.
	Username, Email, Name string
	EmailVerified         bool
	// Exists means that the identity is linked to an account. Outcome is a sentence about what a
	// sign-in would do. Refused means that it would be refused, and Next suggests what to do.
	Exists, Refused bool
	Outcome, Next   string
	// Roles are the memberships that groups decide about.
	Roles []RoleChange
	// Superuser means that the person is in the superuser group.
	Superuser bool
	// Notes are hints for the admin.
	Notes []string
}

// RoleChange is one membership in a report.
type RoleChange struct {
	// Workspace and Role are names; Role is "" if a membership would be taken back. Group is the
	// one that decides.
	Workspace, Role, Group string
	// From is the current role, "" for none. Stays means that the current role was given by hand
	// and does not change.
	From  string
	Stays bool
}

// create reports what a sign-in would do, and stores the report for the admin's session. It changes
// nothing else.
func (rs *reports) create(ctx context.Context, p *provider, who authz.Principal, a assertion) (*ClaimReport, error) {
	v, err := rs.accounts.judge(ctx, p, a)
	if err != nil {
		return nil, err
	}
	out := &ClaimReport{
		At: rs.now().
			UTC(),
		Issuer:        a.Issuer,
		Subject:       a.Subject,
		Claims:        claimList(a.Claims),
		UserInfo:      claimList(a.UserInfo),
		Groups:        a.Groups,
		Superuser:     v.super,
		Exists:        v.account.UserID != "",
		Username:      v.newcomer.Username,
		Email:         v.newcomer.Email,
		EmailVerified: v.newcomer.EmailVerified,
		Name:          v.newcomer.Name,
		Factors:       "one factor",
	}
	if p.TrustFactor && strongly(a) {
		out.Factors = "two factors"
	}
	switch {
	case v.refusal != nil:
		out.Refused, out.Outcome, out.Next = true, v.refusal.Detail, v.refusal.Next
	case out.Exists:
		if err := rs.known(ctx, out, v); err != nil {
			return nil, err
		}
	default:
		out.Outcome = "A new account " + v.newcomer.Username + " would be created and signed in."
	}
	if out.Roles, err = rs.roles(ctx, p, v); err != nil {
		return nil, err
	}
	out.Notes = rs.notes(p, a, v)
	return out, rs.keep(ctx, p, who, out)
}

func (rs *reports) known(ctx context.Context, out *ClaimReport, v verdict) error {
	u, err := rs.people.Get(ctx, authz.SystemPrincipal("sso report"), v.account.UserID)
	if err != nil {
		return err
	}
	out.Username, out.Email, out.EmailVerified, out.Name = u.Username, u.Email, u.EmailVerified, u.Name
	out.Outcome = u.Username + " would be signed in."
	if !u.Active {
		out.Refused, out.Outcome, out.Next = true, u.Username+" would be refused: the account is not "+
			"active.", "Activate it on the People page."
	}
	return nil
}

func (rs *reports) roles(ctx context.Context, p *provider, v verdict) ([]RoleChange, error) {
	if len(p.Mappings) == 0 {
		return nil, nil
	}
	held, given := map[string]string{}, map[string]string{}
	if v.account.UserID != "" {
		var err error
		if held, given, err = memberships(ctx, q.New(rs.db.Read()), p.ID, v.account.UserID); err != nil {
			return nil, err
		}
	}
	var out []RoleChange
	for _, c := range plan(v.grants, held, given) {
		name, _ := rs.people.WorkspaceName(c.workspace)
		change := RoleChange{Workspace: name, Group: c.group, Stays: c.kind == changeStays || c.kind == changeForget}
		if c.role != "" {
			change.Role = rs.people.RoleName(c.role)
		}
		if c.from != "" {
			change.From = rs.people.RoleName(c.from)
		}
		out = append(out, change)
	}
	return out, nil
}

// notes compares the claims with the settings and returns hints.
func (rs *reports) notes(p *provider, a assertion, v verdict) []string {
	var out []string
	note := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	email, verified, disowned := p.email(a)
	switch {
	case email == "":
		note("No email address was received: a new account has none.")
	case disowned:
		note("The provider says that it has not verified the address: a new account gets no address.")
	case !verified:
		note("The provider does not say whether it has verified the address: Sluice treats it as unconfirmed.")
	}
	sources, _ := a.Claims["_claim_names"].(map[string]any)
	_, elsewhere := sources[p.GroupClaim]
	switch {
	case p.Kind == KindOIDC && p.GroupClaim != "" && elsewhere:
		note(
			"The person has so many groups that the token only points to them. Let the provider send only those " +
				"that are assigned to the application.",
		)
	case p.Kind == KindOIDC && p.GroupClaim != "" && a.value(p.GroupClaim) == nil:
		note("There is no claim %q: the person has no groups.", p.GroupClaim)
	case p.needsGroups() && len(a.Groups) == 0:
		note("No group was found.")
	case len(p.Mappings) > 0 && len(v.grants) == 0:
		note("None of the groups has a mapping: the person gets no role from the provider.")
	}
	for _, m := range p.Mappings {
		if _, ok := rs.people.WorkspaceName(m.Workspace); !ok {
			note("The mapping of the group %q names a deleted workspace; it gives no role.", m.Group)
		}
	}
	if p.TrustFactor && !strongly(a) {
		note("The provider says that the sign-in used a password alone (amr): it counts as one factor.")
	}
	return out
}

func claimList(claims map[string]any) []Claim {
	var out []Claim
	for name, value := range claims {
		text, err := json.Marshal(value)
		if err != nil {
			continue
		}
		out = append(out, Claim{login.Clip(name, maxClaimName), login.Clip(string(text), maxClaimText)})
	}
	slices.SortFunc(out, func(a, b Claim) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// token identifies the report of one session and provider, so that no address has to carry it.
func (rs *reports) token(sessionID, providerID string) string {
	return rs.logins.Hash("sso report", sessionID+"\x00"+providerID)
}

func (rs *reports) keep(ctx context.Context, p *provider, who authz.Principal, report *ClaimReport) error {
	token := rs.token(who.SessionID, p.ID)
	return rs.gate.DoDetail(ctx, who, authz.SignInManage, p.resource(), "provider "+p.Slug+" tried",
		func(tx *db.Tx) error {
			if err := rs.logins.Pending.Drop(ctx, tx, purposeReport, token); err != nil {
				return err
			}
			return rs.logins.Pending.HoldAs(ctx, tx, purposeReport, token, p.ID, report, reportLife)
		})
}

// take returns a report, once.
func (rs *reports) take(ctx context.Context, actor authz.Principal, providerID string) (ClaimReport, error) {
	if err := rs.gate.Check(ctx, actor, authz.SignInManage,
		authz.Resource{Type: "SignIn", ID: providerID}); err != nil {
		return ClaimReport{}, err
	}
	var out ClaimReport
	token := rs.token(actor.SessionID, providerID)
	if _, err := rs.logins.Pending.Held(ctx, purposeReport, token, &out); err != nil {
		return ClaimReport{}, err
	}
	err := rs.logins.Pending.Spend(ctx, purposeReport, token)
	if problem.Is(err, problem.Gone) {
		err = login.NothingHeld()
	}
	return out, err
}
