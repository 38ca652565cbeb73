package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/profile"
)

// paging describes how a list is assembled from the builder's pages.
type paging struct {
	page  objects.Page // of the list, as the client requested it; zero: all
	every string       // query for a builder's page, without the number; "" if it gives whole lists
}

// takePaging removes page and limit from the query if the builder would count objects that the
// person may not see. The builder then gives the whole list, and Sluice cuts the page out of it.
func takePaging(j *judge) {
	list := j.match.Endpoint.Result.List
	if list == nil || !list.Pages || !j.delegated || j.flow != "" {
		return // the flow is the person's, so the builder can count
	}
	var kept []string
	for pair := range strings.SplitSeq(j.req.rawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err != nil || !isPaging(plain) {
			kept = append(kept, pair)
		}
	}
	page := objects.Page{Number: positive(j.req.query.Get("page")), Size: positive(j.req.query.Get("limit"))}
	if page.Number == 0 || page.Size == 0 {
		page = objects.Page{}
	}
	if list.Most > 0 {
		if page.Size == 0 {
			page = objects.Page{Number: 1, Size: 12}
		}
		kept = append(kept, "limit="+strconv.Itoa(list.Most), "page=")
	}
	j.paging.page = page
	j.rawQuery = strings.Trim(strings.Join(kept, "&"), "&")
	if list.Most > 0 {
		j.paging.every = j.rawQuery
		j.rawQuery += "1"
	}
}

// isPaging reports whether a parameter is page or limit, in any spelling that builders accept.
func isPaging(name string) bool {
	if i := strings.IndexAny(name, "[."); i >= 0 {
		name = name[:i]
	}
	return name == "page" || name == "limit"
}

func positive(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<20 {
		return 0
	}
	return n
}

// filter removes objects of other workspaces, and unassigned ones, from a list.
func (s *results) filter(ctx context.Context, body []byte) ([]byte, error) {
	list := s.v.endpoint().Result.List
	if list.By == profile.ByExport {
		filtered, ok, err := s.filterOf().Export(body)
		if !ok {
			return nil, unreadable(s.v.Request, "something other than an export")
		}
		return filtered, err
	}
	l, ok := objects.OpenList(body, list.At)
	if !ok {
		if list.By == profile.ByOptions && l != nil && l.Bare() {
			return []byte("[]"), nil
		}
		return nil, unreadable(s.v.Request, "something other than a list")
	}
	account, err := s.entered(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := s.keepOf(ctx, l, account)
	if err != nil {
		return nil, err
	}
	own := len(kept)
	if s.v.paging.every != "" {
		kept, err = s.gather(kept, len(l.Elements))
	} else {
		kept, err = s.addAccounts(ctx, l, kept, account)
	}
	if err != nil {
		return nil, err
	}
	if own == len(l.Elements) && own == len(kept) && s.v.paging.page.Size == 0 && !l.Bare() {
		return body, nil
	}
	return l.Cut(kept, s.v.paging.page), nil
}

// filterOf returns the filter that keeps the objects of the request's workspace.
func (s *results) filterOf() objects.Filter {
	flows, id := s.flows(), s.v.Request.app.ID
	return objects.Filter{
		Owners:    s.v.Request.up.objects,
		Workspace: s.v.place.Workspace,
		Learn:     func(inner, parent string) { flows.Learn(id, inner, parent) },
	}
}

// keepOf returns the elements of an account's list that may be shown, and adjusts the length beside
// it.
func (s *results) keepOf(ctx context.Context, l *objects.List, account string) ([]json.RawMessage, error) {
	if err := s.adoptListed(ctx, l.Elements, account); err != nil {
		return nil, err
	}
	kept := s.filterOf().Keep(l.Elements, s.v.endpoint().Result.List.By)
	if total := l.Number("total"); total >= 0 {
		l.Set("total", max(total-len(l.Elements)+len(kept), 0))
	}
	return kept, nil
}

// maxPages is how many pages of a builder are read for one list. Older objects are not shown.
const maxPages = 100

// gather adds the workspace's elements of all further pages, for a builder that does not give whole
// lists. got is how many elements the first page had. The memory of a page is released before the
// next page is read.
func (s *results) gather(kept []json.RawMessage, got int) ([]json.RawMessage, error) {
	list, held, size := s.v.endpoint().Result.List, s.v.Request.memory.held, 0
	for number := 2; number <= maxPages && got >= list.Most; number++ {
		next := s.sent.Clone(s.sent.Context())
		next.URL.RawQuery = s.v.paging.every + strconv.Itoa(number)
		res, err := s.trip.RoundTrip(next)
		if err != nil {
			return nil, err
		}
		if res.StatusCode != http.StatusOK {
			discard(res)
			return nil, unreadable(s.v.Request, "no further page of a list")
		}
		body, err := readAnswer(s.v.Request, res)
		if err != nil {
			return nil, err
		}
		var page struct{ Data []json.RawMessage }
		if json.Unmarshal(body, &page) != nil {
			return nil, unreadable(s.v.Request, "something other than a list")
		}
		own := s.filterOf().Keep(page.Data, list.By)
		for _, el := range own {
			size += len(el)
		}
		if size > maxRead {
			return nil, tooLong(s.v.Request, maxRead)
		}
		kept, got = append(kept, own...), len(page.Data)
		s.v.Request.memory.keep(held)
	}
	return kept, nil
}

// A builder with accounts gives each account a separate list. A requester who asks for a list
// without naming an object gets the lists of all accounts of their workspace, starting with the
// account for new objects. Objects in them that are not yet known belong to the workspace, because
// the account does.

// adoptListed records the objects in an account's list that the map does not have, or has without
// their account.
func (s *results) adoptListed(ctx context.Context, elements []json.RawMessage, account string) error {
	list, accounts := s.v.endpoint().Result.List, s.v.Request.accounts()
	workspace := s.v.place.Workspace
	if accounts == nil || list.By != "id" || account == "" || accounts.HomeOf(account) != workspace {
		return nil
	}
	kind := list.Kind
	if kind == "" {
		kind = flow.Chatflow
	}
	owners := s.v.Request.up.objects
	var fresh []flow.Object
	for _, el := range elements {
		var m struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		}
		if json.Unmarshal(el, &m) != nil || !objects.PlainUUID(m.ID) {
			continue
		}
		if of, _, ok := owners.Owner(m.ID); !ok || of == workspace && owners.Account(m.ID) == "" {
			fresh = append(fresh, flow.Object{
				App:       s.v.Request.app.ID,
				ID:        m.ID,
				Name:      m.Name,
				Kind:      kind,
				Workspace: workspace,
				Account:   account,
			})
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), objects.RecordTimeout)
	defer cancel()
	return s.flows().Found(ctx, s.v.Request.app.ID, fresh...)
}

// addAccounts adds the lists of the workspace's other accounts to into, the list of first, and
// their counts to its counts.
func (s *results) addAccounts(
	ctx context.Context,
	into *objects.List,
	kept []json.RawMessage,
	first string,
) ([]json.RawMessage, error) {
	accounts := s.v.Request.accounts()
	if accounts == nil || s.sent == nil || s.v.place.Named || !s.v.endpoint().Result.List.Accounts {
		return kept, nil
	}
	size := 0
	lookup := s.v.Request.lookup(s.v.requester.who())
	for _, account := range lookup.Reached(accounts, s.v.place.Workspace, s.v.behalf()) {
		if account == first {
			continue
		}
		l, err := s.listOf(account)
		if err != nil {
			// The rest of the list is useful without it.
			s.warn("the list of a builder's account could not be read", "account", account, "error", err)
			continue
		}
		more, err := s.keepOf(ctx, l, account)
		if err != nil {
			return nil, err
		}
		for _, el := range more {
			size += len(el)
		}
		if size > maxRead {
			return nil, tooLong(s.v.Request, maxRead)
		}
		kept = append(kept, more...)
		if into.Number("total") >= 0 && l.Number("total") >= 0 {
			into.Set("total", into.Number("total")+l.Number("total"))
			into.Set("pages", max(into.Number("pages"), l.Number("pages")))
		}
	}
	return kept, nil
}

// listOf requests the list again, in another account.
func (s *results) listOf(account string) (*objects.List, error) {
	there, req := s.trip.in(account), s.v.Request
	next := s.sent.Clone(s.sent.Context())
	there.rewriteHeader(next.Header)
	askPlain(next.Header)
	res, err := there.RoundTrip(next)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		discard(res)
		req.up.distrust(res.StatusCode)
		return nil, unreadable(req, "no list")
	}
	body, err := readAnswer(req, res)
	if err != nil {
		return nil, err
	}
	l, ok := objects.OpenList(body, s.v.endpoint().Result.List.At)
	if !ok {
		return nil, unreadable(req, "something other than a list")
	}
	return l, nil
}
