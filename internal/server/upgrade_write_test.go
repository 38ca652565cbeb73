package server_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"sluice/internal/dbtest"
)

// upgradeRecord holds the credentials that people had when an earlier Sluice was stopped. The data
// next to it has the same names. Everything in it is invented for this test.
type upgradeRecord struct {
	// WrittenAt is when, in unix milliseconds.
	WrittenAt int64
	// Password is the same for everyone.
	Password string
	// People, Workspaces, Roles, Apps, Flows and Credentials are ids by name.
	People, Workspaces, Roles, Apps, Flows, Credentials map[string]string
	// Cookies are what each person's browser sends to this machine.
	Cookies map[string]map[string]string
	// Keys are the texts of API keys by name.
	Keys map[string]string
	// RefreshToken is ann's program's.
	RefreshToken string
	// TOTPSecret and RecoveryCodes are ed's.
	TOTPSecret    string
	RecoveryCodes []string
	// Invitation and ResetLink are the paths, with query, of unopened links.
	Invitation, ResetLink string
	// AuditEntries is how long the audit chain was.
	AuditEntries int64
}

// upgradePassword is good under the password rules of every release.
const upgradePassword = "violet tractor 41 harbors away"

// TestWriteUpgradeFixture lets the program that SLUICEDEV_UPGRADE_FROM names write the data that
// TestUpgrade reads. tools/upgrade-fixture.sh builds that program from a commit and runs this.
func TestWriteUpgradeFixture(t *testing.T) {
	t.Parallel()
	program, target := os.Getenv("SLUICEDEV_UPGRADE_FROM"), os.Getenv("SLUICEDEV_UPGRADE_TO")
	if program == "" {
		t.Skip("it is run by tools/upgrade-fixture.sh")
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Run("sqlite", func(t *testing.T) {
		o := startOld(t, program)
		record := o.fill()
		o.stop()
		writeFixture(t, filepath.Join(target, "sqlite.tar.gz"), o.folder, record, nil)
	})
	t.Run("postgres", func(t *testing.T) {
		lines := databaseLines(t, dbtest.BarePostgres(t))
		o := startOld(t, program, lines...)
		record := o.fill()
		o.stop()
		writeFixture(t, filepath.Join(target, "postgres.tar.gz"), o.folder, record, dumpPostgres(t, lines))
	})
}

// oldSluice is a running program of another release.
type oldSluice struct {
	t      *testing.T
	folder string
	cmd    *exec.Cmd
	origin string
	setup  string
}

func startOld(t *testing.T, program string, environ ...string) *oldSluice {
	t.Helper()
	o := &oldSluice{t: t, folder: t.TempDir()}
	o.cmd = exec.Command(program, "serve", "--port", "0", "--protect", "demo")
	o.cmd.Env = append([]string{"HOME=" + t.TempDir(), "PASSWORD_SALT_HASH_ROUNDS=4",
		"DATABASE_PATH=" + o.folder, "SECRETKEY_PATH=" + filepath.Join(o.folder, "keys"),
		"SMTP_HOST=127.0.0.1", "SMTP_PORT=9",
		"SENDER_EMAIL=sluice@example.com"}, environ...)
	o.cmd.Stderr = os.Stderr
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.cmd.Process.Kill() })
	var said []byte
	link := regexp.MustCompile(`Setup link   +(http\S+)(/setup\?token=\S+)\n`)
	for buf := make([]byte, 4096); ; {
		n, err := out.Read(buf)
		said = append(said, buf[:n]...)
		if m := link.FindSubmatch(said); m != nil {
			o.origin, o.setup = string(m[1]), string(m[2])
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return o
		}
		if err != nil {
			t.Fatalf("it ended after saying %s", said)
		}
	}
}

func (o *oldSluice) stop() {
	o.t.Helper()
	if err := o.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		o.t.Fatal(err)
	}
	if err := o.cmd.Wait(); err != nil {
		o.t.Fatalf("it ended with %v", err)
	}
}

// visitor is a browser, or a program that calls the API with its cookies or a token.
type visitor struct {
	o     *oldSluice
	http  *http.Client
	token string
}

func (o *oldSluice) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return &visitor{o: o, http: &http.Client{
		Jar:           jar,
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// do sends a request and expects one of the statuses that mean success.
func (v *visitor) do(method, address, contentType, body string) []byte {
	v.o.t.Helper()
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		v.o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if v.token != "" {
		req.Header.Set("Authorization", "Bearer "+v.token)
	}
	res, err := v.http.Do(req)
	if err != nil {
		v.o.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		v.o.t.Fatal(err)
	}
	if res.StatusCode >= 400 {
		v.o.t.Fatalf("%s %s: %d %s", method, address, res.StatusCode, text)
	}
	return text
}

func (v *visitor) form(path string, fields url.Values) {
	v.o.t.Helper()
	v.do(http.MethodPost, v.o.origin+path, "application/x-www-form-urlencoded", fields.Encode())
}

// call calls the API and returns the fields of its answer.
func (v *visitor) call(method, path string, body any) map[string]any {
	v.o.t.Helper()
	return v.json(method, v.o.origin+"/api/v1"+path, body)
}

func (v *visitor) json(method, address string, body any) (out map[string]any) {
	v.o.t.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			v.o.t.Fatal(err)
		}
	}
	if answer := v.do(method, address, "application/json", string(text)); len(answer) > 0 {
		if err := json.Unmarshal(answer, &out); err != nil {
			v.o.t.Fatalf("%s %s: %v in %s", method, address, err, answer)
		}
	}
	return out
}

func (o *oldSluice) signIn(name string) *visitor {
	o.t.Helper()
	v := o.visitor()
	v.form("/login", url.Values{"identifier": {name}, "password": {upgradePassword}})
	v.call(http.MethodGet, "/me", nil)
	return v
}

// object is a JSON object.
type object = map[string]any

// fill does what people do with a Sluice in its first hour, and returns what they have in hand
// then.
func (o *oldSluice) fill() upgradeRecord {
	o.t.Helper()
	r := upgradeRecord{
		WrittenAt: time.Now().UnixMilli(), Password: upgradePassword, People: map[string]string{},
		Workspaces: map[string]string{"Default": "default"}, Roles: map[string]string{}, Apps: map[string]string{},
		Flows: map[string]string{}, Credentials: map[string]string{}, Cookies: map[string]map[string]string{},
		Keys: map[string]string{},
	}
	root := o.visitor()
	root.do(http.MethodGet, o.origin+o.setup, "", "")
	root.form("/setup", url.Values{"username": {"root"}, "email": {"root@example.com"}, "password": {upgradePassword}})
	o.addPeople(root, &r)
	ann, ed := o.signIn("ann"), o.signIn("ed")
	o.addFactor(ed, &r)
	o.addFlows(root, ann, &r)
	o.addKeys(root, ann, &r)
	o.addTokens(&r)
	o.addSettings(root, &r)
	for name, v := range map[string]*visitor{"root": root, "ann": ann, "ed": ed} {
		r.Cookies[name] = v.cookies()
	}
	verdict := root.call(http.MethodGet, "/audit/verify", nil)
	if verdict["intact"] != true {
		o.t.Fatalf("the audit chain: %v", verdict)
	}
	r.AuditEntries = int64(verdict["entries"].(float64))
	return r
}

func (v *visitor) cookies() map[string]string {
	out := map[string]string{}
	u, err := url.Parse(v.o.origin)
	if err != nil {
		v.o.t.Fatal(err)
	}
	for _, c := range v.http.Jar.Cookies(u) {
		out[c.Name] = c.Value
	}
	return out
}

func (o *oldSluice) addPeople(root *visitor, r *upgradeRecord) {
	o.t.Helper()
	r.Workspaces["Research"] = root.call(http.MethodPost, "/workspaces", object{"name": "Research"})["id"].(string)
	r.Roles["Flow author"] = root.call(http.MethodPost, "/roles", object{
		"name":        "Flow author",
		"permissions": []string{"app:open", "chatflows:view", "chatflows:create", "chatflows:run"},
	})["id"].(string)
	for name, more := range map[string]object{
		"ann": {"role": "user", "name": "Ann Example"},
		"ed":  {"role": "admin"},
		"vic": {"role": "viewer"},
		"cal": {"role": r.Roles["Flow author"], "workspace": r.Workspaces["Research"]},
		"dis": {"role": "user", "active": false},
	} {
		body := object{"username": name, "email": name + "@example.com", "password": upgradePassword}
		maps.Copy(body, more)
		r.People[name] = root.call(http.MethodPost, "/users", body)["id"].(string)
	}
	link := root.call(http.MethodPost, "/users/"+r.People["vic"]+"/reset-link", nil)["url"].(string)
	r.ResetLink = link[strings.Index(link, "/reset"):]
	invited := root.call(http.MethodPost, "/workspaces/"+r.Workspaces["Research"]+"/invitations",
		object{"email": "newcomer@example.com", "role": "user"})
	link = invited["link"].(string)
	r.Invitation = link[strings.Index(link, "/invite"):]
}

func (o *oldSluice) addFactor(ed *visitor, r *upgradeRecord) {
	o.t.Helper()
	offer := ed.call(http.MethodPost, "/me/factors/totp", nil)
	r.TOTPSecret = offer["secret"].(string)
	code, err := totp.GenerateCode(strings.ReplaceAll(r.TOTPSecret, " ", ""), time.Now())
	if err != nil {
		o.t.Fatal(err)
	}
	enrolled := ed.call(http.MethodPost, "/me/factors/totp/confirm", object{"token": offer["token"], "code": code})
	for _, code := range enrolled["recovery_codes"].([]any) {
		r.RecoveryCodes = append(r.RecoveryCodes, code.(string))
	}
}

// addFlows creates a flow of ann in the default workspace, a published one of root, and one in
// Research.
func (o *oldSluice) addFlows(root, ann *visitor, r *upgradeRecord) {
	o.t.Helper()
	app := root.call(http.MethodGet, "/apps", nil)["items"].([]any)[0].(object)
	r.Apps["demo"] = app["id"].(string)
	research := r.Workspaces["Research"]
	root.call(http.MethodPut, "/apps/"+r.Apps["demo"]+"/workspaces/"+research, nil)
	create := func(v *visitor, name string) {
		made := v.json(http.MethodPost, app["origin"].(string)+"/api/flows", object{"name": name, "reply": "Yes."})
		r.Flows[name] = made["id"].(string)
	}
	create(ann, "Invoices")
	create(root, "Support")
	root.call(http.MethodPut, "/apps/"+r.Apps["demo"]+"/flows/"+r.Flows["Support"], nil)
	root.call(http.MethodPut, "/me/workspace", object{"workspace": research})
	create(root, "Experiments")
	root.call(http.MethodPut, "/me/workspace", object{"workspace": "default"})
}

func (o *oldSluice) addKeys(root, ann *visitor, r *upgradeRecord) {
	o.t.Helper()
	create := func(v *visitor, name string, more object) string {
		body := object{"name": name}
		maps.Copy(body, more)
		made := v.call(http.MethodPost, "/keys", body)
		r.Keys[name] = made["secret"].(string)
		return made["id"].(string)
	}
	create(ann, "everything", nil)
	create(
		ann,
		"one flow",
		object{"scope": object{"actions": []string{"flow:run"}, "flows": []string{r.Flows["Invoices"]}}},
	)
	create(root, "limited", object{"per_minute": 1, "networks": []string{"127.0.0.0/8"}})
	revoked := create(ann, "revoked", nil)
	ann.call(http.MethodDelete, "/keys/"+revoked, nil)
	rotated := create(ann, "before rotation", nil)
	r.Keys["after rotation"] = ann.call(http.MethodPost, "/keys/"+rotated+"/rotate",
		object{"overlap_hours": 24})["secret"].(string)
}

func (o *oldSluice) addTokens(r *upgradeRecord) {
	o.t.Helper()
	pair := o.visitor().call(http.MethodPost, "/auth/token", object{"username": "ann", "password": upgradePassword})
	next := o.visitor().call(http.MethodPost, "/auth/refresh", object{"refresh_token": pair["refresh_token"]})
	r.RefreshToken = next["refresh_token"].(string)
}

func (o *oldSluice) addSettings(root *visitor, r *upgradeRecord) {
	o.t.Helper()
	made := root.call(http.MethodPost, "/workspaces/default/credentials", object{
		"name":   "Model account",
		"kind":   "openAIApi",
		"values": object{"openAIApiKey": "sk-made-up"},
		"roles":  []string{"user"},
	})
	r.Credentials["Model account"] = made["id"].(string)
	root.call(http.MethodPost, "/providers", object{
		"slug":          "company",
		"kind":          "github",
		"name":          "Company account",
		"client_id":     "sluice",
		"client_secret": "made up",
	})
}

// dumpPostgres returns the SQL text that recreates the database.
func dumpPostgres(t *testing.T, lines []string) []byte {
	t.Helper()
	env := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	if err != nil || len(found) == 0 {
		t.Fatal("pg_dump is not there", err)
	}
	dump := exec.Command(slices.Max(found), "--no-owner", "--no-privileges", "--inserts", "--schema=sluice",
		"-h", env["DATABASE_HOST"], "-p", env["DATABASE_PORT"], "-U", env["DATABASE_USER"], env["DATABASE_NAME"])
	out, err := dump.Output()
	if err != nil {
		t.Fatal(err)
	}
	// Lines with a backslash are for psql. Comments name versions that do not matter.
	var kept [][]byte
	for _, line := range bytes.Split(out, []byte("\n")) {
		if len(line) > 0 && line[0] != '\\' && !bytes.HasPrefix(line, []byte("--")) {
			kept = append(kept, line)
		}
	}
	return append(bytes.Join(kept, []byte("\n")), '\n')
}

// writeFixture packs a data folder with what the people have in hand.
func writeFixture(t *testing.T, path, folder string, record upgradeRecord, dump []byte) {
	t.Helper()
	text, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	add := func(name string, text []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	add("record.json", text)
	if dump != nil {
		add("dump.sql", dump)
	}
	err = fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(folder, name))
		add("data/"+filepath.ToSlash(name), text)
		return err
	})
	for _, close := range []func() error{w.Close, z.Close} {
		if err == nil {
			err = close()
		}
	}
	if err == nil {
		err = os.WriteFile(path, packed.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes", path, packed.Len())
}
