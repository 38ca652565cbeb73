// Package demo is Sluice's own small builder, for trying everything without another product. It
// holds both the kind and the server. The demo has no sign-in or permissions of its own and trusts
// the identity headers of builder.Passthrough, so it must listen where only Sluice reaches it.
package demo

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// demoName is the demo builder's name at /api/health, and demoVersion its version there.
const (
	demoName    = "sluice-demo"
	demoVersion = "1"
)

// demoCSP fits the demo's own pages, which contain nothing inline.
const demoCSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'"

//go:embed demo.yaml
var table []byte

// Kind is the built-in builder.
func Kind() *builder.Kind {
	return &builder.Kind{
		Name:    "demo",
		Title:   "Demo builder",
		BuiltIn: true,
		Profile: func(o builder.Options) (*profile.Profile, error) {
			style := profile.Style{
				Sealed:  true,
				Headers: []string{"authorization"},
				CSP:     demoCSP,
				Query:   profile.QueryRules{PlainKeys: true},
			}
			return profile.New(profile.Source{Table: table, Style: style})
		},
		Probe: probe,
		Bridge: func(c builder.BridgeConfig) *builder.Bridge {
			list := func(ctx context.Context) ([]builder.FoundObject, error) { return inventory(ctx, c.Client, c.Base) }
			return &builder.Bridge{Session: builder.Passthrough{}, Inventory: list}
		},
		FlowPage: func(_ flow.Kind, id string) string { return "/flows/" + url.PathEscape(id) },
	}
}

// probe recognizes the demo builder by its name.
func probe(ctx context.Context, v *builder.Visit) (builder.Found, bool, error) {
	r, err := v.Get(ctx, "/api/health")
	if err != nil || r.Status != http.StatusOK || r.Text("builder") != demoName {
		return builder.Found{}, false, nil // the probe of the front page reports what is wrong with the address
	}
	return builder.Found{
		Version:    r.Text("version"),
		OwnerState: builder.OwnerNotApplicable,
		Evidence:   "/api/health names Sluice's demo builder.",
	}, true, nil
}

// inventory lists the flows.
func inventory(ctx context.Context, c *http.Client, base *url.URL) ([]builder.FoundObject, error) {
	res, err := builder.NewClient(base, c).Open(ctx, "/api/flows", nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var all []builder.FoundObject
	read := json.NewDecoder(io.LimitReader(res.Body, builder.MaxList))
	err = builder.EachElement(read, func(f demoFlow) {
		all = append(all, builder.FoundObject{ID: f.ID, Name: f.Name, Kind: flow.Chatflow})
	})
	if err != nil {
		return nil, problem.New(problem.Upstream, "The demo builder sent a list that Sluice cannot read.").
			WithCause(err)
	}
	return all, nil
}

//go:embed pages
var demoFiles embed.FS

// Config is what the demo builder needs.
type Config struct {
	// File stores the flows; if empty, they are kept in memory only.
	File string
	// Now is the clock.
	Now func() time.Time
	// TokenPause is the pause between the words of a streamed answer; it may be 0.
	TokenPause time.Duration
}

// demo is the server.
type demo struct {
	cfg   Config
	store *demoStore
	pages *template.Template
}

// NewServer opens the flows and returns the demo builder's handler. A missing file is created with
// an example flow.
func NewServer(cfg Config) (http.Handler, error) {
	store, err := openDemoStore(cfg.File, cfg.Now())
	if err != nil {
		return nil, err
	}
	pages, err := template.ParseFS(demoFiles, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("reading the demo builder's pages: %w", err)
	}
	d := &demo{cfg: cfg, store: store, pages: pages}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.listPage)
	mux.HandleFunc("GET /new", d.newPage)
	mux.HandleFunc("POST /new", d.saveForm)
	mux.HandleFunc("GET /flows/{id}", d.flowPage)
	mux.HandleFunc("POST /flows/{id}", d.saveForm)
	mux.HandleFunc("POST /flows/{id}/delete", d.deleteForm)
	mux.HandleFunc("GET /chat/{id}", d.chatPage)
	mux.HandleFunc("GET /assets/{file}", d.asset)
	mux.HandleFunc("GET /api/health", d.health)
	mux.HandleFunc("GET /api/flows", d.apiList)
	mux.HandleFunc("POST /api/flows", d.apiSave)
	mux.HandleFunc("GET /api/flows/{id}", d.apiGet)
	mux.HandleFunc("PUT /api/flows/{id}", d.apiSave)
	mux.HandleFunc("DELETE /api/flows/{id}", d.apiDelete)
	mux.HandleFunc("POST /api/flows/{id}/run", d.run)
	return mux, nil
}

// demoPage is the data for every page of the demo.
type demoPage struct {
	Title   string
	Person  string // "" = a stranger
	Edit    bool   // the person may change flows
	Flow    demoFlow
	Problem string
	Answer  string
}

// page starts a page for the person who sent the request. Without identity headers the demo runs
// unprotected, and everyone may edit.
func (d *demo) page(r *http.Request, title string) demoPage {
	role := r.Header.Get(builder.HeaderRole)
	return demoPage{
		Title:  title,
		Person: demoPerson(r),
		Edit:   role != authz.RoleViewer && (role != "" || r.Header.Get(builder.HeaderUser) == ""),
	}
}

func demoPerson(r *http.Request) string {
	name, err := url.PathUnescape(r.Header.Get(builder.HeaderName))
	if err != nil {
		return r.Header.Get(builder.HeaderName)
	}
	return name
}

func (d *demo) show(w http.ResponseWriter, status int, name string, p demoPage) {
	var out strings.Builder
	if err := d.pages.ExecuteTemplate(&out, name, p); err != nil {
		http.Error(w, "The demo builder could not show this page.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", demoCSP)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, out.String())
}

func (d *demo) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := problem.Of(err)
	p := d.page(r, e.Kind.Title())
	p.Problem = e.Detail
	d.show(w, e.Kind.Status(), "problem.html", p)
}

func (d *demo) listPage(w http.ResponseWriter, r *http.Request) {
	d.show(w, http.StatusOK, "list.html", d.page(r, "Flows"))
}

func (d *demo) newPage(w http.ResponseWriter, r *http.Request) {
	d.show(w, http.StatusOK, "flow.html", d.page(r, "New flow"))
}

func (d *demo) flowPage(w http.ResponseWriter, r *http.Request) { d.showFlow(w, r, "flow.html") }

func (d *demo) chatPage(w http.ResponseWriter, r *http.Request) { d.showFlow(w, r, "chat.html") }

func (d *demo) showFlow(w http.ResponseWriter, r *http.Request, name string) {
	f, err := d.store.get(r.PathValue("id"))
	if err != nil {
		d.fail(w, r, err)
		return
	}
	p := d.page(r, f.Name)
	p.Flow = f
	d.show(w, http.StatusOK, name, p)
}

func (d *demo) saveForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, builder.MaxReply)
	f := demoFlow{
		ID:      r.PathValue("id"),
		Name:    r.PostFormValue("name"),
		Reply:   r.PostFormValue("reply"),
		Updated: d.cfg.Now().UTC(),
		By:      demoPerson(r),
	}
	saved, err := d.store.put(f)
	if problem.Is(err, problem.Invalid) {
		p := d.page(r, "Check the form")
		p.Flow, p.Problem = f, problem.Of(err).Detail
		d.show(w, http.StatusBadRequest, "flow.html", p)
		return
	}
	if err != nil {
		d.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/flows/"+saved.ID, http.StatusSeeOther)
}

func (d *demo) deleteForm(w http.ResponseWriter, r *http.Request) {
	if err := d.store.remove(r.PathValue("id")); err != nil {
		d.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (d *demo) asset(w http.ResponseWriter, r *http.Request) {
	types := map[string]string{"demo.css": "text/css; charset=utf-8", "demo.js": "text/javascript; charset=utf-8"}
	name := r.PathValue("file")
	if types[name] == "" {
		http.NotFound(w, r)
		return
	}
	data, err := demoFiles.ReadFile("pages/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", types[name])
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(data)
}

func (d *demo) health(w http.ResponseWriter, _ *http.Request) {
	demoJSON(w, http.StatusOK, map[string]string{"builder": demoName, "version": demoVersion})
}

func demoJSON(w http.ResponseWriter, status int, v any) {
	a := profile.JSON(status, v)
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

func (d *demo) apiList(w http.ResponseWriter, _ *http.Request) {
	demoJSON(w, http.StatusOK, d.store.list())
}

func (d *demo) apiGet(w http.ResponseWriter, r *http.Request) {
	f, err := d.store.get(r.PathValue("id"))
	d.apiAnswer(w, http.StatusOK, f, err)
}

func (d *demo) apiAnswer(w http.ResponseWriter, status int, v any, err error) {
	if err != nil {
		problem.WriteJSON(w, problem.Of(err), "")
		return
	}
	demoJSON(w, status, v)
}

func (d *demo) apiSave(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name, Reply string }
	if err := demoBody(w, r, &in); err != nil {
		problem.WriteJSON(w, problem.Of(err), "")
		return
	}
	id := r.PathValue("id")
	f, err := d.store.put(
		demoFlow{ID: id, Name: in.Name, Reply: in.Reply, Updated: d.cfg.Now().UTC(), By: demoPerson(r)},
	)
	status := http.StatusOK
	if id == "" {
		status = http.StatusCreated
	}
	d.apiAnswer(w, status, f, err)
}

func (d *demo) apiDelete(w http.ResponseWriter, r *http.Request) {
	if err := d.store.remove(r.PathValue("id")); err != nil {
		problem.WriteJSON(w, problem.Of(err), "")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// demoBody reads a bounded JSON object.
func demoBody(w http.ResponseWriter, r *http.Request, v any) error {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, builder.MaxReply)).Decode(v)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return problem.New(problem.TooLarge, "The body is larger than 64 KiB.")
	case err != nil:
		return problem.New(problem.Invalid, "The body must be a JSON object.").WithCause(err)
	}
	return nil
}

// run answers a question: as a stream of words for scripts, as a page for a plain form.
func (d *demo) run(w http.ResponseWriter, r *http.Request) {
	f, err := d.store.get(r.PathValue("id"))
	if err != nil {
		problem.WriteJSON(w, problem.Of(err), "")
		return
	}
	var in struct{ Question string }
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // an unreadable type is not a form
	isForm := media == "application/x-www-form-urlencoded"
	if isForm {
		r.Body = http.MaxBytesReader(w, r.Body, builder.MaxReply)
		in.Question = r.PostFormValue("question")
	} else if err := demoBody(w, r, &in); err != nil {
		problem.WriteJSON(w, problem.Of(err), "")
		return
	}
	reply := f.answer(in.Question, demoPerson(r), d.cfg.Now())
	if isForm {
		p := d.page(r, f.Name)
		p.Flow, p.Answer = f, reply
		d.show(w, http.StatusOK, "chat.html", p)
		return
	}
	d.stream(r.Context(), w, reply)
}

// answer fills in the placeholders of the reply.
func (f *demoFlow) answer(question, person string, now time.Time) string {
	if runes := []rune(question); len(runes) > maxDemoText {
		question = string(runes[:maxDemoText])
	}
	if person == "" {
		person = "stranger"
	}
	return strings.NewReplacer(
		"{question}",
		question,
		"{person}",
		person,
		"{words}",
		strconv.Itoa(len(strings.Fields(question))),
		"{time}",
		now.UTC().Format("15:04:05 UTC"),
	).Replace(f.Reply)
}

// stream sends the reply word by word as server-sent events (WHATWG HTML section 9.2): "token"
// events, then one "end".
func (d *demo) stream(ctx context.Context, w http.ResponseWriter, reply string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	send := func(event string, v any) bool {
		data, err := json.Marshal(v)
		if err == nil {
			_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data)
		}
		return err == nil && out.Flush() == nil
	}
	for _, word := range strings.SplitAfter(reply, " ") {
		if !send("token", word) {
			return
		}
		select {
		case <-time.After(d.cfg.TokenPause):
		case <-ctx.Done():
			return
		}
	}
	send("end", "")
}
