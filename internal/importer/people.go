package importer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sluice/internal/builder"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// peoplePlanner decides about users.
type peoplePlanner struct{ *planning }

// checkNames makes sure that all people named by options exist.
func (p *peoplePlanner) checkNames() error {
	known := map[string]bool{}
	for _, u := range p.in.Users {
		known[u.Name] = true
		p.users[u.ID] = u
	}
	for flag, names := range map[string]map[string]string{"--rename": p.options.Rename, "--match": p.options.Match} {
		for from, to := range names {
			if !known[from] {
				return problem.Newf(problem.Invalid, "This %s has no user %.80q.", p.product.Title, from).
					WithField(flag)
			}
			if _, here := p.state.whose(to); flag == "--match" && !here {
				return problem.Newf(problem.Invalid, "There is no person called %.80q here.", to).WithField(flag)
			}
		}
	}
	for from := range p.options.Match {
		if p.options.Rename[from] != "" {
			return problem.Newf(problem.Invalid, "%.80q can be renamed or matched, not both.", from).
				WithField("--match")
		}
	}
	return nil
}

// plan decides about users in the order of their creation. If two users would get the same name
// here, the older one gets it.
func (p *peoplePlanner) plan() error {
	if err := p.checkNames(); err != nil {
		return err
	}
	users := slices.Clone(p.in.Users)
	slices.SortFunc(users, func(a, b builder.InstalledUser) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	for _, u := range users {
		item := Item{Kind: KindPerson, Name: builder.ShownName(u.Name), Origin: u.ID}
		if err := p.person(u, &item); err != nil {
			return err
		}
		p.add(item)
	}
	return nil
}

func (p *peoplePlanner) person(u builder.InstalledUser, item *Item) error {
	if p.own(u.ID) {
		item.Outcome, item.Why = Stays, "Sluice has created this account itself."
		return nil
	}
	if target, brought := p.state.origin(KindPerson, u.ID); brought {
		here, ok := p.state.people[target]
		if !ok {
			item.Outcome, item.Why = Skipped, "They were brought before and have been deleted here since."
			return nil
		}
		p.hold(u, here, false)
		item.Outcome, item.Target = There, here.id
		return nil
	}
	if name := p.options.Match[u.Name]; name != "" {
		here, _ := p.state.whose(name)
		p.hold(u, here, false)
		p.remember(KindPerson, u.ID, here.id)
		item.Outcome, item.Target = Added, here.id
		item.Why = fmt.Sprintf("Is %s here and keeps that account's password, state and permissions.", here.username)
		return nil
	}
	return p.newPerson(u, item)
}

func (p *peoplePlanner) hold(u builder.InstalledUser, here person, fresh bool) {
	p.holders[u.ID] = &holder{
		id:        here.id,
		username:  here.username,
		superuser: here.superuser,
		fresh:     fresh,
		reach:     map[string]bool{},
	}
}

func (p *peoplePlanner) newPerson(u builder.InstalledUser, item *Item) error {
	n, why := p.naming(u)
	if why != "" {
		item.Outcome, item.Why = Skipped, why
		return nil
	}
	n.Superuser, n.Active, n.Waiting, n.CreatedAt = u.Superuser, u.Active, !u.SignedIn && !u.Retired, u.Created
	var remarks []string
	if n.Username != u.Name && n.Email != u.Name {
		remarks = append(remarks, "Is called "+n.Username+" here.")
	}
	if n.Email != "" {
		remarks = append(remarks, "Signs in with this address; the username is "+n.Username+".")
	}
	var err error
	if n.Hash, err = identity.ForeignHash(u.Hash); err != nil {
		remarks = append(remarks, "Has no password that can be kept: create a link with `sluice user reset-link`.")
	} else if weak, err := p.wellKnown(u, n.Hash); err != nil {
		return err
	} else if weak {
		n.Hash = ""
		remarks = append(remarks, "The password is "+p.product.Title+"'s default or the username, which anyone can "+
			"guess, so it is not imported. Create a link with `sluice user reset-link`.")
	}
	if !u.Active {
		remarks = append(remarks, "May not sign in there, and not here.")
	}
	prepared, err := p.im.cfg.People.PrepareImported(n)
	if err != nil {
		return err
	}
	here := person{prepared.ID(), n.Username, n.Superuser}
	p.take(here, n.Email)
	p.hold(u, here, true)
	p.result.people = append(p.result.people, newcomer{prepared, u.ID})
	p.remember(KindPerson, u.ID, here.id)
	item.Outcome, item.Target, item.Why = Added, here.id, strings.Join(remarks, " ")
	return nil
}

func (p *peoplePlanner) take(here person, email string) {
	p.state.people[here.id] = here
	p.state.taken[identity.NameKey(here.username)] = here.id
	if email != "" {
		p.state.taken[identity.NameKey(email)] = here.id
	}
}

// naming determines a user's name here, or why there can be no name. A username in the builder can
// be any text; a person who signs in with an address there also uses that address here.
func (p *peoplePlanner) naming(u builder.InstalledUser) (n identity.ImportedUser, why string) {
	const next = "give another name with --rename %q=NAME"
	name := cmp.Or(p.options.Rename[u.Name], u.Name)
	if p.options.Rename[u.Name] == "" && strings.Contains(name, "@") {
		if email, err := identity.CleanEmail(name); err == nil {
			if who, taken := p.state.whose(email); taken {
				return n, fmt.Sprintf("%s has this address here already. If it is the same person, say so with "+
					"--match %q=%s.", who.username, u.Name, who.username)
			}
			n.Email, n.Username = email, p.freeUsername(email)
			return n, ""
		}
	}
	name, err := identity.CleanUsername(name)
	if err != nil {
		return n, problem.Of(err).Detail + " So " + fmt.Sprintf(next, u.Name) + "."
	}
	if who, taken := p.state.whose(name); taken {
		return n, fmt.Sprintf(
			"A person called %s exists here. If it is the same person, use --match %q=%s; otherwise "+next+".",
			who.username,
			u.Name,
			who.username,
			u.Name,
		)
	}
	n.Username = name
	return n, ""
}

var notUsername = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// freeUsername derives an unused username from an address.
func (p *peoplePlanner) freeUsername(email string) string {
	base, _, _ := strings.Cut(email, "@")
	base = strings.Trim(notUsername.ReplaceAllString(base, "-"), "-._")
	if base = base[:min(len(base), 56)]; len(base) < 2 {
		base = "user-" + base
	}
	base = strings.TrimRight(base, "-")
	for n := 1; ; n++ {
		name := base
		if n > 1 {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		if _, taken := p.state.taken[identity.NameKey(name)]; !taken {
			return name
		}
	}
}

// wellKnown reports whether a superuser has an obvious password. It does not check other users,
// because each guess takes a quarter of a second.
func (p *peoplePlanner) wellKnown(u builder.InstalledUser, hash string) (bool, error) {
	if !u.Superuser {
		return false, nil
	}
	for _, guess := range append(slices.Clone(p.product.Import.Defaults), u.Name) {
		ok, _, err := p.im.cfg.Hasher.Verify(p.ctx, hash, guess)
		if err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}
