//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// shotsDir is the folder for screenshots, below this one; it is not part of the repository.
const shotsDir = "shots"

// chromeStarted reports whether a test needed the browser below.
var chromeStarted atomic.Bool

// chrome is the one Chromium of the test binary. It cannot reach the outside: only loopback names
// resolve.
var chrome = sync.OnceValues(func() (context.Context, error) {
	chromeStarted.Store(true)
	options := append(
		chromedp.DefaultExecAllocatorOptions[:],
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag(
			"host-resolver-rules",
			"MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost",
		),
	)
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	return ctx, chromedp.Do(ctx)
})

// Person is a person with their own browser profile.
type Person struct {
	Name string
	t    testing.TB
	ctx  context.Context

	mu     sync.Mutex
	byID   map[network.RequestID]*Request
	calls  []*Request
	errors []string
}

// Request is one request by a page of a person.
type Request struct {
	Method, URL string
	Status      int64  // 0 before the answer
	MIME        string // media type of the answer
	Failed      string // why it failed: Chromium's error text, or its reason for blocking
}

// NewPerson gives a person a fresh browser profile. It is discarded at the end of the test; a
// screenshot remains if the test fails.
func NewPerson(t testing.TB, name string) *Person {
	t.Helper()
	browser, err := chrome()
	if err != nil {
		t.Fatalf("starting Chromium (e2e/install-deps.sh installs it): %v", err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	p := &Person{Name: name, t: t, ctx: ctx, byID: map[network.RequestID]*Request{}}
	if err := errors.Join(chromedp.Listen(ctx, p.notice),
		chromedp.Do(ctx, chromedp.EmulateViewport(1400, 900))); err != nil {
		t.Fatalf("opening a window for %s: %v", name, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			p.Shot("failed")
			t.Logf("%s was at %s and saw: %.1500s", name, p.URL(), p.Text())
		}
		cancel()
	})
	return p
}

// notice records the requests. It runs in the loop that reads the browser's messages.
func (p *Person) notice(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if before := p.byID[e.RequestID]; before != nil && e.RedirectResponse != nil {
			before.Status, before.MIME = e.RedirectResponse.Status, e.RedirectResponse.MimeType
		}
		r := &Request{Method: e.Request.Method, URL: e.Request.URL}
		p.byID[e.RequestID] = r
		p.calls = append(p.calls, r)
	case *network.EventResponseReceived:
		if r := p.byID[e.RequestID]; r != nil {
			r.Status, r.MIME = e.Response.Status, e.Response.MimeType
		}
	case *network.EventLoadingFailed:
		if r := p.byID[e.RequestID]; r != nil {
			r.Failed = e.ErrorText
			if e.BlockedReason != "" {
				r.Failed = string(e.BlockedReason)
			}
		}
	case *page.EventJavascriptDialogOpening:
		// If a page asks whether to leave it, the answer is yes. This loop reads the browser's
		// reply, so it must not wait for it.
		go chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.errors = append(p.errors, text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			p.errors = append(p.errors, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// Errors lists the exceptions of the pages and the errors in Chromium's console: requests blocked
// by a policy, and answers of 400 and above.
func (p *Person) Errors() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.errors)
}

// Requests lists the requests of the pages so far, in order.
func (p *Person) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Request, len(p.calls))
	for i, r := range p.calls {
		list[i] = *r
	}
	return list
}

// Asked lists the requests whose method and URL contain the given texts, such as "PUT" and
// "/chatflows/".
func (p *Person) Asked(method, part string) []Request {
	var found []Request
	for _, r := range p.Requests() {
		if r.Method == method && strings.Contains(r.URL, part) {
			found = append(found, r)
		}
	}
	return found
}

// do runs browser actions within the suite's time limit, and fails the test if they do not succeed.
func (p *Person) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := inTime(p.ctx, p.t)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %s: %v", p.Name, what, err)
	}
}

// Open goes to an address and waits until it has loaded.
func (p *Person) Open(url string) {
	p.t.Helper()
	p.do("opening "+url, chromedp.Navigate(url))
}

// Insert types text at the cursor.
func (p *Person) Insert(text string) {
	p.t.Helper()
	p.do("typing", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// Press presses keys, such as kb.Enter.
func (p *Person) Press(keys string) {
	p.t.Helper()
	p.do("pressing a key", chromedp.KeyEvent(keys))
}

// eval returns the current value of a JavaScript expression in the page. It fails while a page is
// being replaced.
func eval[T any](p *Person, expression string) (T, error) {
	ctx, cancel := inTime(p.ctx, p.t)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// URL returns the address of the person's page.
func (p *Person) URL() string {
	s, err := eval[string](p, "location.href")
	if err != nil {
		return fmt.Sprintf("(unknown: %v)", err)
	}
	return s
}

// Text returns the visible text of the page.
func (p *Person) Text() string {
	s, err := eval[string](p, "document.body ? document.body.innerText : ''")
	if err != nil {
		return fmt.Sprintf("(unreadable: %v)", err)
	}
	return s
}

// Cookies returns the names of the cookies that the current page would send, including those that
// scripts cannot read.
func (p *Person) Cookies() []string {
	p.t.Helper()
	var names []string
	for _, c := range p.cookies() {
		names = append(names, c.Name)
	}
	return names
}

func (p *Person) cookies() []*network.Cookie {
	p.t.Helper()
	ctx, cancel := inTime(p.ctx, p.t)
	defer cancel()
	res, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil {
		p.t.Fatalf("reading the cookies of %s: %v", p.Name, err)
	}
	return res.Cookies
}

// Program returns a client that sends the cookies of the current page, as another call of the same
// session would.
func (p *Person) Program() *Client {
	p.t.Helper()
	c := NewClient(p.t, origin(p.URL()))
	var pairs []string
	for _, cookie := range p.cookies() {
		pairs = append(pairs, cookie.Name+"="+cookie.Value)
	}
	c.Header.Set("Cookie", strings.Join(pairs, "; "))
	return c
}

// Shot saves a screenshot, named after the test, the person and the moment.
func (p *Person) Shot(moment string) {
	p.t.Helper()
	ctx, cancel := inTime(p.ctx, p.t)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Logf("no screenshot %q of %s: %v", moment, p.Name, err)
		return
	}
	name := strings.NewReplacer("/", "-", " ", "-", "_", "-", ",", "").
		Replace(p.t.Name() + "-" + p.Name + "-" + moment + ".png")
	if err := os.MkdirAll(shotsDir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shotsDir, name), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// origin returns the scheme and host of an address.
func origin(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}
