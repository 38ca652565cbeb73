package proxy

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sluice/internal/profile"
)

// page is what a client asked of a list: the page from 1 and how many on each; zero for all.
type page struct{ number, size int }

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
	x.page = page{positive(x.query.Get("page")), positive(x.query.Get("limit"))}
	if x.page.number == 0 || x.page.size == 0 {
		x.page = page{}
	}
	if list.Most > 0 {
		if x.page.size == 0 {
			x.page = page{1, 12}
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
		return x.filterExport(body)
	}
	l, ok := openList(body, list.At)
	if !ok {
		if list.By == profile.ByOptions && l != nil && l.holder == nil {
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
		kept, err = x.gather(kept, len(l.elements))
	} else {
		kept, err = x.addAccounts(l, kept, account)
	}
	if err != nil {
		return nil, err
	}
	if own == len(l.elements) && own == len(kept) && x.page.size == 0 && l.holder != nil {
		return body, nil
	}
	return x.wrap(l, kept), nil
}

// wrap is the answer with what may be shown of its list, of which Sluice gives a page if one was asked for.
func (x *exchange) wrap(l *listed, kept []json.RawMessage) []byte {
	total := len(kept)
	if x.page.size > 0 {
		from := min((x.page.number-1)*x.page.size, total)
		kept = kept[from:min(from+x.page.size, total)]
		if l.holder == nil {
			l.holder, l.name = map[string]json.RawMessage{}, "data"
		}
	}
	if l.holder != nil && (x.page.size > 0 || l.name == "data") {
		l.set("total", total)
	}
	if size := l.number("size"); size > 0 && l.number("pages") >= 0 {
		l.set("pages", max(l.number("pages"), (l.number("total")+size-1)/size))
	}
	return l.closeWith(kept)
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
		own := x.keep(page.Data, x.match.Endpoint.Result.List.By)
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

// keep lists the elements that belong to the request's workspace.
func (x *exchange) keep(elements []json.RawMessage, by string) []json.RawMessage {
	kept := make([]json.RawMessage, 0, len(elements))
	for _, el := range elements {
		may := x.mayList
		switch by {
		case profile.ByOptions:
			may = x.mayChoose
		case profile.ByPath:
			may = x.mayRead
		}
		if may(el, by) {
			kept = append(kept, el)
		}
	}
	return kept
}

// mayList reports whether an element is an object of the workspace, or lies in one.
func (x *exchange) mayList(el json.RawMessage, by string) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(el, &members) != nil {
		return false
	}
	id := textOf(members[by])
	workspace, _, ok := x.up.objects.Owner(id)
	if !ok || workspace != x.at.workspace {
		return false
	}
	if by != "id" {
		if inner := textOf(members["id"]); inner != "" {
			x.p.cfg.Apps.Flows.Learn(x.app.ID, inner, id)
		}
	}
	return true
}

// mayChoose reports whether an element of a list for a choice may be shown: it names nothing of another workspace, and what begins with an id is the workspace's own.
// Most options are no objects at all, but models or regions.
func (x *exchange) mayChoose(el json.RawMessage, _ string) bool {
	foreign := false
	eachUUID(el, func(id [16]byte) bool {
		workspace, ok := x.up.objects.OwnerOf(id)
		foreign = ok && workspace != x.at.workspace
		return !foreign
	})
	if foreign {
		return false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(el, &members) != nil {
		return true
	}
	for _, key := range [...]string{"name", "id"} {
		if s := textOf(members[key]); len(s) >= 36 && isUUID(s[:36]) {
			if workspace, _, ok := x.up.objects.Owner(s[:36]); !ok || workspace != x.at.workspace {
				return false
			}
		}
	}
	return true
}

// mayRead reports whether a file lies in an object of the workspace.
func (x *exchange) mayRead(el json.RawMessage, by string) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(el, &members) != nil {
		return false
	}
	own, foreign := false, false
	eachUUID([]byte(textOf(members[by])), func(id [16]byte) bool {
		workspace, ok := x.up.objects.OwnerOf(id)
		own, foreign = own || ok && workspace == x.at.workspace, foreign || ok && workspace != x.at.workspace
		return true
	})
	return own && !foreign
}

func isUUID(s string) bool {
	found := false
	scanUUIDs([]byte(s), func([16]byte) bool { found = true; return false })
	return found
}

// filterExport filters every list of an export. What lies in an object names it; the rest are objects.
func (x *exchange) filterExport(body []byte) ([]byte, error) {
	var root map[string]json.RawMessage
	if json.Unmarshal(body, &root) != nil {
		return nil, x.unreadable("something else than an export")
	}
	for name, value := range root {
		var elements []map[string]json.RawMessage
		if bytes.HasPrefix(bytes.TrimSpace(value), []byte("{")) {
			delete(root, name)
			continue
		}
		if !bytes.HasPrefix(bytes.TrimSpace(value), []byte("[")) {
			continue
		}
		kept := []map[string]json.RawMessage{}
		if json.Unmarshal(value, &elements) == nil {
			for _, el := range elements {
				if x.mayExport(el) {
					kept = append(kept, el)
				}
			}
		}
		data, err := json.Marshal(kept)
		if err != nil {
			return nil, err
		}
		root[name] = data
	}
	return json.Marshal(root)
}

func (x *exchange) mayExport(el map[string]json.RawMessage) bool {
	for _, key := range [...]string{"chatflowid", "agentflowId", "storeId", "id"} {
		if id := textOf(el[key]); id != "" {
			workspace, _, ok := x.up.objects.Owner(id)
			return ok && workspace == x.at.workspace
		}
	}
	return false
}
