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

// shotsDir is where screenshots go, below this folder; it is not part of the repository.
const shotsDir = "shots"

// chromeStarted says that the browser below has been asked for.
var chromeStarted atomic.Bool

// chrome is the one Chromium of the test binary. It has no way out: no name but those of loopback resolves.
var chrome = sync.OnceValues(func() (context.Context, error) {
	chromeStarted.Store(true)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost"),
	)
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	return ctx, chromedp.Do(ctx)
})

// Person is somebody with a browser profile of their own.
type Person struct {
	Name string
	t    testing.TB
	ctx  context.Context

	mu     sync.Mutex
	byID   map[network.RequestID]*Request
	calls  []*Request
	errors []string
}

// Request is one request that a page of a person has made.
type Request struct {
	Method, URL string
	Status      int64  // 0 while there is no answer
	MIME        string // media type of the answer
	Failed      string // why there was no answer: Chromium's error text, or its reason for blocking
}

// NewPerson gives somebody a fresh browser profile. It is thrown away at the end of the test; a screenshot stays if the test fails.
func NewPerson(t testing.TB, name string) *Person {
	t.Helper()
	browser, err := chrome()
	if err != nil {
		t.Fatalf("starting Chromium (e2e/install-deps.sh installs it): %v", err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	p := &Person{Name: name, t: t, ctx: ctx, byID: map[network.RequestID]*Request{}}
	if err := errors.Join(chromedp.Listen(ctx, p.notice), chromedp.Do(ctx, chromedp.EmulateViewport(1400, 900))); err != nil {
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

// notice keeps book of the requests. It runs in the loop that reads the browser's messages.
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
		// A page that asks whether to leave it is left. This loop reads the answer, so it must not wait for it.
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

// Errors lists what the pages have thrown and what Chromium reported as an error in its console: what a policy stopped, and answers of 400 and above.
func (p *Person) Errors() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.errors)
}

// Requests lists what the pages have asked for so far, in order.
func (p *Person) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Request, len(p.calls))
	for i, r := range p.calls {
		list[i] = *r
	}
	return list
}

// Asked lists the requests whose method and URL contain what is given, as "PUT" and "/chatflows/".
func (p *Person) Asked(method, part string) []Request {
	var found []Request
	for _, r := range p.Requests() {
		if r.Method == method && strings.Contains(r.URL, part) {
			found = append(found, r)
		}
	}
	return found
}

// do runs browser actions within the time of the suite, and fails the test when they do not succeed.
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

// Insert types text where the cursor is.
func (p *Person) Insert(text string) {
	p.t.Helper()
	p.do("typing", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// Press presses keys, as kb.Enter.
func (p *Person) Press(keys string) {
	p.t.Helper()
	p.do("pressing a key", chromedp.KeyEvent(keys))
}

// eval is the value of a JavaScript expression in the page, now. A page that is just being replaced gives an error.
func eval[T any](p *Person, expression string) (T, error) {
	ctx, cancel := inTime(p.ctx, p.t)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// URL is the address that the person is at.
func (p *Person) URL() string {
	s, err := eval[string](p, "location.href")
	if err != nil {
		return fmt.Sprintf("(unknown: %v)", err)
	}
	return s
}

// Text is what the person can read on the page.
func (p *Person) Text() string {
	s, err := eval[string](p, "document.body ? document.body.innerText : ''")
	if err != nil {
		return fmt.Sprintf("(unreadable: %v)", err)
	}
	return s
}

// Cookies are the names of the cookies that the page at hand would send, those that scripts cannot read among them.
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

// Program is a client that sends the cookies of the page at hand, as another call of the same session would.
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

// Shot saves a screenshot under a name that says test, person and moment.
func (p *Person) Shot(moment string) {
	p.t.Helper()
	ctx, cancel := inTime(p.ctx, p.t)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Logf("no screenshot %q of %s: %v", moment, p.Name, err)
		return
	}
	name := strings.NewReplacer("/", "-", " ", "-", "_", "-", ",", "").Replace(p.t.Name() + "-" + p.Name + "-" + moment + ".png")
	if err := os.MkdirAll(shotsDir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shotsDir, name), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// origin is scheme and host of an address.
func origin(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}
