package proxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sluice/internal/objects"
	"sluice/internal/profile"
)

// takePaging takes page and limit out of the query, where the builder would count what the person may not see. The builder gives the whole list, and Sluice the page of it.
func (x *exchange) takePaging() {
	list := x.match.Endpoint.Result.List
	if list == nil || !list.Pages || !x.lend.SignedIn() || x.flow != "" {
		return // a flow that is the person's: the builder can count
	}
	var kept []string
	for pair := range strings.SplitSeq(x.rawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err != nil || !isPaging(plain) {
			kept = append(kept, pair)
		}
	}
	x.page = objects.Page{Number: positive(x.query.Get("page")), Size: positive(x.query.Get("limit"))}
	if x.page.Number == 0 || x.page.Size == 0 {
		x.page = objects.Page{}
	}
	if list.Most > 0 {
		if x.page.Size == 0 {
			x.page = objects.Page{Number: 1, Size: 12}
		}
		kept = append(kept, "limit="+strconv.Itoa(list.Most), "page=")
	}
	x.rawQuery = strings.Trim(strings.Join(kept, "&"), "&")
	if list.Most > 0 {
		x.everyPage = x.rawQuery
		x.rawQuery += "1"
	}
}

// isPaging reports whether a parameter, in any spelling that makes it one, is page or limit.
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

// filter takes what belongs to other workspaces, or to nobody, out of a list.
func (x *exchange) filter(body []byte) ([]byte, error) {
	list := x.match.Endpoint.Result.List
	if list.By == profile.ByExport {
		filtered, ok, err := x.filterOf().Export(body)
		if !ok {
			return nil, x.unreadable("something else than an export")
		}
		return filtered, err
	}
	l, ok := objects.OpenList(body, list.At)
	if !ok {
		if list.By == profile.ByOptions && l != nil && l.Bare() {
			return []byte("[]"), nil
		}
		return nil, x.unreadable("something else than a list")
	}
	account, err := x.entered(x.r.Context())
	if err != nil {
		return nil, err
	}
	kept, err := x.keepOf(l, account)
	if err != nil {
		return nil, err
	}
	own := len(kept)
	if x.everyPage != "" {
		kept, err = x.gather(kept, len(l.Elements))
	} else {
		kept, err = x.addAccounts(l, kept, account)
	}
	if err != nil {
		return nil, err
	}
	if own == len(l.Elements) && own == len(kept) && x.page.Size == 0 && !l.Bare() {
		return body, nil
	}
	return l.Cut(kept, x.page), nil
}

// maxPages is how many pages of a builder are read for one list. What is older is not shown.
const maxPages = 100

// gather adds what belongs to the workspace of all further pages, of a builder that gives no whole list. got is how many elements the first page had.
func (x *exchange) gather(kept []json.RawMessage, got int) ([]json.RawMessage, error) {
	size := 0
	for number := 2; number <= maxPages && got >= x.match.Endpoint.Result.List.Most; number++ {
		next := x.sent.Clone(x.sent.Context())
		next.URL.RawQuery = x.everyPage + strconv.Itoa(number)
		res, err := x.RoundTrip(next)
		if err != nil {
			return nil, err
		}
		if res.StatusCode != http.StatusOK {
			discard(res)
			return nil, x.unreadable("no further page of a list")
		}
		body, err := x.readAnswer(res)
		if err != nil {
			return nil, err
		}
		var page struct{ Data []json.RawMessage }
		if json.Unmarshal(body, &page) != nil {
			return nil, x.unreadable("something else than a list")
		}
		own := x.filterOf().Keep(page.Data, x.match.Endpoint.Result.List.By)
		for _, el := range own {
			size += len(el)
		}
		if size > maxRead {
			return nil, x.tooLong(maxRead)
		}
		kept, got = append(kept, own...), len(page.Data)
		last := len(x.frees) - 1
		x.frees[last]()
		x.frees = x.frees[:last]
	}
	return kept, nil
}

// filterOf says what of a list belongs to the request's workspace.
func (x *exchange) filterOf() objects.Filter {
	flows, id := x.p.cfg.Apps.Flows, x.app.ID
	learn := func(inner, parent string) { flows.Learn(id, inner, parent) }
	return objects.Filter{Owners: x.up.objects, Workspace: x.at.Workspace, Learn: learn}
}
