package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/profile"
)

// A builder with accounts gives each of them a list of its own. Somebody who asks for a list without naming an object gets those of all accounts of their workspace, the one for new things
// first. What stands in them and is not known yet belongs to the workspace: the account is its.

// claimListed records what the list of an account holds and the map does not, or does not know the account of.
func (x *exchange) claimListed(elements []json.RawMessage, account string) error {
	list, accounts := x.match.Endpoint.Result.List, x.accounts()
	if accounts == nil || list.By != "id" || account == "" || accounts.HomeOf(account) != x.at.Workspace {
		return nil
	}
	kind := list.Kind
	if kind == "" {
		kind = flow.Chatflow
	}
	var fresh []flow.Object
	for _, el := range elements {
		var m struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		}
		if json.Unmarshal(el, &m) != nil || !objects.PlainUUID(m.ID) {
			continue
		}
		if workspace, _, ok := x.up.objects.Owner(m.ID); !ok || workspace == x.at.Workspace && x.up.objects.Account(m.ID) == "" {
			fresh = append(fresh, flow.Object{App: x.app.ID, ID: m.ID, Name: m.Name, Kind: kind, Workspace: x.at.Workspace, Account: account})
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), objects.ClaimTimeout)
	defer cancel()
	return x.p.cfg.Apps.Flows.Found(ctx, x.app.ID, fresh...)
}

// addAccounts adds the lists of the workspace's other accounts to the one that came from first, and their counts to its counts.
func (x *exchange) addAccounts(into *objects.List, kept []json.RawMessage, first string) ([]json.RawMessage, error) {
	accounts, sent := x.accounts(), x.sent
	if accounts == nil || sent == nil || x.at.Named || !x.match.Endpoint.Result.List.Accounts {
		return kept, nil
	}
	size := 0
	defer func() { x.at.Account = "" }()
	for _, account := range x.lookup().Reached(accounts, x.at.Workspace, x.lent()) {
		if account == first {
			continue
		}
		x.at.Account = account
		l, err := x.listOf(sent.Clone(sent.Context()))
		if err != nil {
			// The rest of the list is of use without it.
			x.p.cfg.Log.Warn("the list of an account of the builder could not be had", "app", x.app.Slug, "account", account, "error", err)
			continue
		}
		more, err := x.keepOf(l, account)
		if err != nil {
			return nil, err
		}
		for _, el := range more {
			size += len(el)
		}
		if size > maxRead {
			return nil, x.tooLong(maxRead)
		}
		kept = append(kept, more...)
		if into.Number("total") >= 0 && l.Number("total") >= 0 {
			into.Set("total", into.Number("total")+l.Number("total"))
			into.Set("pages", max(into.Number("pages"), l.Number("pages")))
		}
	}
	return kept, nil
}

// listOf asks for a list once more, in the account of x.at.
func (x *exchange) listOf(next *http.Request) (*objects.List, error) {
	x.rewriteHeader(next.Header)
	askPlain(next.Header)
	res, err := x.RoundTrip(next)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		discard(res)
		x.up.distrust(res.StatusCode)
		return nil, x.unreadable("no list")
	}
	body, err := x.readAnswer(res)
	if err != nil {
		return nil, err
	}
	l, ok := objects.OpenList(body, x.match.Endpoint.Result.List.At)
	if !ok {
		return nil, x.unreadable("something else than a list")
	}
	return l, nil
}

// keepOf is what may be shown of the list of an account. Its length beside it goes along.
func (x *exchange) keepOf(l *objects.List, account string) ([]json.RawMessage, error) {
	if err := x.claimListed(l.Elements, account); err != nil {
		return nil, err
	}
	kept := x.filterOf().Keep(l.Elements, x.match.Endpoint.Result.List.By)
	if total := l.Number("total"); total >= 0 {
		l.Set("total", max(total-len(l.Elements)+len(kept), 0))
	}
	return kept, nil
}

// findDoomed finds out which flows go with the project that is about to be deleted.
func (x *exchange) findDoomed() {
	e := x.match.Endpoint
	project := slices.ContainsFunc(e.Objects, func(ref profile.IDRef) bool { return ref.In == profile.InPath && ref.Kind == flow.Project })
	if !e.Result.Deletes || !project || x.accounts() == nil || !x.lend.SignedIn() {
		return
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), objects.ResolveTimeout)
	defer cancel()
	status, body, err := x.askBuilder(ctx, x.match.Path, maxRead)
	l, ok := objects.OpenList(body, "flows")
	if err != nil || status != http.StatusOK || !ok {
		return // they stay in the map, where they do no harm
	}
	for _, el := range l.Elements {
		var m objects.Created
		if json.Unmarshal(el, &m) == nil && m.ID != "" {
			x.doomed = append(x.doomed, m.ID)
		}
	}
}
