package importer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sluice/internal/identity"
	"sluice/internal/problem"
)

// checkNames makes sure that whoever is named by an option is there.
func (p *planning) checkNames() error {
	known := map[string]bool{}
	for _, u := range p.in.users {
		known[u.name] = true
		p.users[u.id] = u
	}
	for flag, names := range map[string]map[string]string{"--rename": p.options.Rename, "--match": p.options.Match} {
		for from, to := range names {
			if !known[from] {
				return problem.Newf(problem.Invalid, "This Langflow has no user %.80q.", from).WithField(flag)
			}
			if _, here := p.state.whose(to); flag == "--match" && !here {
				return problem.Newf(problem.Invalid, "There is nobody here called %.80q.", to).WithField(flag)
			}
		}
	}
	for from := range p.options.Match {
		if p.options.Rename[from] != "" {
			return problem.Newf(problem.Invalid, "%.80q can be renamed or matched, not both.", from).WithField("--match")
		}
	}
	return nil
}

// planPeople decides about users in the order in which they were made: of two whose names are one here, the elder has it.
func (p *planning) planPeople() error {
	users := slices.Clone(p.in.users)
	slices.SortFunc(users, func(a, b user) int { return cmp.Or(a.created.Compare(b.created), strings.Compare(a.id, b.id)) })
	for _, u := range users {
		item := Item{Kind: KindPerson, Name: shown(u.name), Origin: u.id}
		if err := p.planPerson(u, &item); err != nil {
			return err
		}
		p.add(item)
	}
	return nil
}

func (p *planning) planPerson(u user, item *Item) error {
	account, known := p.state.accounts[u.id]
	if known && !account.Adopted || p.in.bridged[u.id] {
		item.Outcome, item.Why = Stays, "Sluice has made this account itself."
		return nil
	}
	if target, brought := p.state.origin(KindPerson, u.id); brought {
		here, ok := p.state.people[target]
		if !ok {
			item.Outcome, item.Why = Skipped, "They were brought before and have been deleted here since."
			return nil
		}
		p.hold(u, here, false)
		item.Outcome, item.Target = There, here.id
		return nil
	}
	if name := p.options.Match[u.name]; name != "" {
		here, _ := p.state.whose(name)
		p.hold(u, here, false)
		p.remember(KindPerson, u.id, here.id)
		item.Outcome, item.Target, item.Why = Added, here.id, fmt.Sprintf("Is %s here, with the password, state and rights of here.", here.username)
		return nil
	}
	return p.planNewPerson(u, item)
}

func (p *planning) hold(u user, here person, fresh bool) {
	p.holders[u.id] = &holder{id: here.id, username: here.username, superuser: here.superuser, fresh: fresh, reach: map[string]bool{}}
}

func (p *planning) planNewPerson(u user, item *Item) error {
	n, why := p.naming(u)
	if why != "" {
		item.Outcome, item.Why = Skipped, why
		return nil
	}
	n.Superuser, n.Active, n.Waiting, n.CreatedAt = u.superuser, u.active, !u.signedIn && !u.retired, u.created
	var remarks []string
	if n.Username != u.name && n.Email != u.name {
		remarks = append(remarks, "Is called "+n.Username+" here.")
	}
	if n.Email != "" {
		remarks = append(remarks, "Signs in with this address; the username is "+n.Username+".")
	}
	var err error
	if n.Hash, err = identity.ForeignHash(u.hash); err != nil {
		remarks = append(remarks, "Has no password that can be kept: make a link with `sluice user reset-link`.")
	} else if weak, err := p.wellKnown(u, n.Hash); err != nil {
		return err
	} else if weak {
		n.Hash = ""
		remarks = append(remarks, "The password is Langflow's default or the username, which everybody can try: it is not kept. Make a link with `sluice user reset-link`.")
	}
	if !u.active {
		remarks = append(remarks, "May not sign in there, and not here.")
	}
	prepared, err := p.im.cfg.People.PrepareImported(n)
	if err != nil {
		return err
	}
	here := person{prepared.ID(), n.Username, n.Superuser}
	p.take(here, n.Email)
	p.hold(u, here, true)
	p.plan.people = append(p.plan.people, newcomer{prepared, u.id})
	p.remember(KindPerson, u.id, here.id)
	item.Outcome, item.Target, item.Why = Added, here.id, strings.Join(remarks, " ")
	return nil
}

func (p *planning) take(here person, email string) {
	p.state.people[here.id] = here
	p.state.taken[identity.NameKey(here.username)] = here.id
	if email != "" {
		p.state.taken[identity.NameKey(email)] = here.id
	}
}

// naming finds out what a user is called here, or why that cannot be. Langflow takes any text; who signs in there with an address does so here.
func (p *planning) naming(u user) (n identity.ImportedUser, why string) {
	const next = "give another name with --rename %q=NAME"
	name := cmp.Or(p.options.Rename[u.name], u.name)
	if p.options.Rename[u.name] == "" && strings.Contains(name, "@") {
		if email, err := identity.CleanEmail(name); err == nil {
			if who, taken := p.state.whose(email); taken {
				return n, fmt.Sprintf("%s has this address here already. If it is the same person, say so with --match %q=%s.", who.username, u.name, who.username)
			}
			n.Email, n.Username = email, p.freeUsername(email)
			return n, ""
		}
	}
	name, err := identity.CleanUsername(name)
	if err != nil {
		return n, problem.Of(err).Detail + " So " + fmt.Sprintf(next, u.name) + "."
	}
	if who, taken := p.state.whose(name); taken {
		return n, fmt.Sprintf("There is somebody called %s here already. If it is the same person, say so with --match %q=%s; else "+next+".", who.username, u.name, who.username, u.name)
	}
	n.Username = name
	return n, ""
}

var notUsername = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// freeUsername makes a username of an address.
func (p *planning) freeUsername(email string) string {
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

// wellKnown reports whether a superuser's password is one that anybody would try first. Others' are their own business, and trying takes a quarter of a second each.
func (p *planning) wellKnown(u user, hash string) (bool, error) {
	if !u.superuser {
		return false, nil
	}
	for _, guess := range []string{"langflow", u.name} {
		ok, _, err := p.im.cfg.Hasher.Verify(p.ctx, hash, guess)
		if err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}
