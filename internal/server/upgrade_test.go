package server_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp/totp"

	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/sluicetest"
)

// upgradeChecks has a row for every migration that is newer than the oldest data in
// testdata/upgrade: what must hold for a row that was there before the migration. The test fails
// while a migration has none.
var upgradeChecks = map[string]func(t *testing.T, u *upgraded){
	"0008_flow_audit.sql": func(t *testing.T, u *upgraded) {
		if n := u.text(t, "SELECT COUNT(*) FROM object WHERE marked_public"); n != "0" {
			t.Errorf("%s flows from before count as marked public in the builder", n)
		}
		body := strings.NewReader(`{"name":"Invoices","reply":"No."}`)
		client := u.as("ann").With("Sec-Fetch-Mode", "cors").At(u.demo())
		a := client.Do(http.MethodPut, "/api/flows/"+u.Flows["Invoices"], "application/json", body)
		says(t, "a flow from before is saved", a, http.StatusOK)
	},
}

// oldestMigration is the newest migration that the oldest data in testdata/upgrade has.
const oldestMigration = "0007_accounts.sql"

func TestUpgrade_EveryMigrationHasACheck(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../db/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations found: %v", err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		if _, checked := upgradeChecks[name]; name > oldestMigration && !checked {
			t.Errorf("%s: add a row to upgradeChecks that shows what it does to data from before it", name)
		}
	}
}

// TestUpgrade starts the current code on data of released code, and expects that no one notices.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/upgrade/*/*.tar.gz")
	if err != nil || len(archives) < 2 {
		t.Fatalf("data of both engines is expected: %v, %v", archives, err)
	}
	for _, archive := range archives {
		release := filepath.Base(filepath.Dir(archive))
		t.Run(release+"/"+strings.TrimSuffix(filepath.Base(archive), ".tar.gz"), func(t *testing.T) {
			u := upgrade(t, archive)
			t.Run("people stay signed in", u.checkSessions)
			t.Run("passwords and factors work", u.checkSignIn)
			t.Run("programs stay signed in", u.checkTokens)
			t.Run("keys work", u.checkKeys)
			t.Run("flows keep their owners", u.checkFlows)
			t.Run("roles and settings are there", u.checkSettings)
			t.Run("links and mail wait", u.checkLinks)
			t.Run("the audit chain is whole", u.checkAudit)
			for name, check := range upgradeChecks {
				t.Run(name, func(t *testing.T) { check(t, u) })
			}
		})
	}
}

// upgraded is a Sluice of today on data of before.
type upgraded struct {
	*sluicetest.Sluice
	upgradeRecord
	// Data is a connection to the database beside Sluice's own.
	Data *sql.DB
	// Folder holds the SQLite file.
	Folder string
}

func upgrade(t *testing.T, archive string) *upgraded {
	t.Helper()
	u := &upgraded{Folder: t.TempDir()}
	dump := u.unpack(t, archive)
	lines := []string{
		"DATABASE_PATH=" + u.Folder, "SECRETKEY_PATH=" + filepath.Join(u.Folder, "keys"), "SMTP_HOST=127.0.0.1",
		"SMTP_PORT=9", "SENDER_EMAIL=sluice@example.com",
	}
	var err error
	if dump == "" {
		u.Data, err = sql.Open("sqlite", "file:"+filepath.Join(u.Folder, db.FileName)+"?_pragma=busy_timeout(5000)")
	} else {
		more := databaseLines(t, dbtest.BarePostgres(t))
		lines = append(lines, more...)
		u.Data, err = sql.Open("pgx", loadPostgres(t, more, dump))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Data.Close(); err != nil {
			t.Error(err)
		}
	})
	age(t, u.Data, dump != "", time.Since(time.UnixMilli(u.WrittenAt)))
	u.exec(t, "UPDATE app SET port = $1", freePort(t))
	u.Sluice = sluicetest.Start(t, lines...)
	return u
}

// unpack fills the folder and the record, and returns the text of the PostgreSQL database, or "".
func (u *upgraded) unpack(t *testing.T, archive string) (dump string) {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dump
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		switch name, inside := strings.CutPrefix(header.Name, "data/"); {
		case inside:
			path := filepath.Join(u.Folder, filepath.FromSlash(name))
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600))
		case header.Name == "dump.sql":
			dump = string(text)
		case header.Name == "record.json":
			err = json.Unmarshal(text, &u.upgradeRecord)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// loadPostgres fills an empty database and returns its connection URL.
func loadPostgres(t *testing.T, lines []string, dump string) string {
	t.Helper()
	env := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	dsn := fmt.Sprintf("postgres://%s@%s:%s/%s?sslmode=disable",
		env["DATABASE_USER"], env["DATABASE_HOST"], env["DATABASE_PORT"], env["DATABASE_NAME"])
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, dump).ReadAll(); err != nil {
		t.Fatal(err)
	}
	return dsn + "&search_path=" + db.Schema
}

// age moves every moment in the database forward, as if it had been written a moment ago: sessions
// and links expire, and this data stays in the repository for years. The audit chain is left alone,
// because its hashes cover its times; so are the counters of guesses, which expire as they would.
func age(t *testing.T, d *sql.DB, postgres bool, by time.Duration) {
	t.Helper()
	list := "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c " +
		"WHERE m.type = 'table' AND c.type = 'BIGINT' AND m.name NOT IN ('audit', 'guess')"
	if postgres {
		list = "SELECT table_name, column_name FROM information_schema.columns " +
			"WHERE table_schema = 'sluice' AND data_type = 'bigint' AND table_name NOT IN ('audit', 'guess')"
	}
	rows, err := d.Query(list)
	if err != nil {
		t.Fatal(err)
	}
	var columns [][2]string
	for rows.Next() {
		var c [2]string
		if err := rows.Scan(&c[0], &c[1]); err != nil {
			t.Fatal(err)
		}
		columns = append(columns, c)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if len(columns) < 20 {
		t.Fatalf("only %d columns with times", len(columns))
	}
	for _, c := range columns {
		// Smaller numbers are no moments of this century in milliseconds.
		query := fmt.Sprintf("UPDATE %[1]s SET %[2]s = %[2]s + $1 WHERE %[2]s > 1000000000000", c[0], c[1])
		if _, err := d.Exec(query, by.Milliseconds()); err != nil {
			t.Fatal(err)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (u *upgraded) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := u.Data.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

// text returns the single text that a query finds.
func (u *upgraded) text(t *testing.T, query string, args ...any) (out string) {
	t.Helper()
	if err := u.Data.QueryRow(query, args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

// as is a browser that was open all the time.
func (u *upgraded) as(name string) *sluicetest.Client {
	var pairs []string
	for cookie, value := range u.Cookies[name] {
		pairs = append(pairs, cookie+"="+value)
	}
	return u.Browser().With("Cookie", strings.Join(pairs, "; ")).With("Accept", "application/json")
}

// by is a program with an API key.
func (u *upgraded) by(key string) *sluicetest.Client {
	return u.Browser().With("Authorization", "Bearer "+u.Keys[key]).With("Accept", "application/json").
		With("Sec-Fetch-Mode", "cors")
}

// demo is the origin of the demo builder.
func (u *upgraded) demo() string { return u.Server.Apps.All()[0].Origin("") }

func (u *upgraded) checkSessions(t *testing.T) {
	for _, name := range []string{"root", "ann", "ed"} {
		says(t, name+"'s page", u.as(name).Get("/api/v1/me"), http.StatusOK, `"username":"`+name+`"`)
		says(t, name+" at the builder", u.as(name).At(u.demo()).Get("/api/flows"), http.StatusOK, "Invoices")
	}
	says(t, "ed's sessions", u.as("ed").Get("/api/v1/me/sessions"), http.StatusOK, `"strong":true`)
}

// grant signs a program in.
func (u *upgraded) grant(fields map[string]string) sluicetest.Answer {
	text, _ := json.Marshal(fields)
	return u.Browser().Do(http.MethodPost, "/api/v1/auth/token", "application/json", strings.NewReader(string(text)))
}

func (u *upgraded) checkSignIn(t *testing.T) {
	for name, want := range map[string]int{
		"root": http.StatusOK, "ann": http.StatusOK, "vic": http.StatusOK, "cal": http.StatusOK,
		"ed": http.StatusUnauthorized, "dis": http.StatusForbidden,
	} {
		a := u.grant(map[string]string{"username": name, "password": u.Password})
		if a.Status != want {
			t.Errorf("%s signs in: %d %s, want %d", name, a.Status, a.Body, want)
		}
	}
	code, err := totp.GenerateCode(strings.ReplaceAll(u.TOTPSecret, " ", ""), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{code, u.RecoveryCodes[0]} {
		a := u.grant(map[string]string{"username": "ed", "password": u.Password, "code": code})
		says(t, "ed with a code", a, http.StatusOK)
	}
	form := url.Values{"identifier": {"ann@example.com"}, "password": {u.Password}}
	says(t, "ann's sign-in page", u.Browser().Post("/login", form), http.StatusSeeOther)
}

func (u *upgraded) checkTokens(t *testing.T) {
	body := strings.NewReader(`{"refresh_token":"` + u.RefreshToken + `"}`)
	a := u.Browser().Do(http.MethodPost, "/api/v1/auth/refresh", "application/json", body)
	says(t, "the refresh token", a, http.StatusOK, "access_token")
}

func (u *upgraded) checkKeys(t *testing.T) {
	for name, want := range map[string]int{
		"everything": http.StatusOK, "before rotation": http.StatusOK, "after rotation": http.StatusOK,
		"limited": http.StatusOK, "revoked": http.StatusUnauthorized, "one flow": http.StatusForbidden,
	} {
		says(t, "the key "+name, u.by(name).At(u.demo()).Get("/api/flows"), want)
	}
	run := func(flow string) sluicetest.Answer {
		body := strings.NewReader(`{"question":"Is it there?"}`)
		return u.by("one flow").
			At(u.demo()).
			Do(http.MethodPost, "/api/flows/"+u.Flows[flow]+"/run", "application/json", body)
	}
	says(t, "the key's one flow", run("Invoices"), http.StatusOK)
	if a := run("Support"); a.Status < 400 {
		t.Errorf("the key of one flow runs another: %d", a.Status)
	}
	// The limit is one in a minute; the minute may have changed since the request above, but not
	// twice.
	again := []int{
		u.by("limited").At(u.demo()).Get("/api/flows").Status,
		u.by("limited").At(u.demo()).Get("/api/flows").Status,
	}
	if !slices.Contains(again, http.StatusTooManyRequests) {
		t.Errorf("a key for one request in a minute: %v", again)
	}
}

func (u *upgraded) checkFlows(t *testing.T) {
	for flow, want := range map[string]struct{ owner, workspace string }{
		"Invoices":    {"ann", "default"},
		"Support":     {"root", "default"},
		"Experiments": {"root", u.Workspaces["Research"]},
	} {
		owner := u.text(
			t,
			"SELECT a.username FROM object o JOIN account a ON a.id = o.owner_id WHERE o.object_id = $1",
			u.Flows[flow],
		)
		workspace := u.text(t, "SELECT workspace_id FROM object WHERE object_id = $1", u.Flows[flow])
		if owner != want.owner || workspace != want.workspace {
			t.Errorf("%s is %s's in %s, want %s's in %s", flow, owner, workspace, want.owner, want.workspace)
		}
	}
	list := u.as("ann").At(u.demo()).Get("/api/flows")
	says(t, "ann's list", list, http.StatusOK, "Invoices", "Support")
	if strings.Contains(list.Body, "Experiments") {
		t.Error("ann sees a flow of a workspace that she does not belong to")
	}
	stranger := u.Browser().At(u.demo())
	says(t, "the published flow", stranger.Get("/chat/"+u.Flows["Support"]), http.StatusOK)
	if a := stranger.Get("/chat/" + u.Flows["Invoices"]); a.Status == http.StatusOK {
		t.Error("a flow that is not published is open to strangers")
	}
}

func (u *upgraded) checkSettings(t *testing.T) {
	root := u.as("root")
	says(t, "the roles", root.Get("/api/v1/roles"), http.StatusOK, "Flow author", "chatflows:create")
	says(
		t,
		"the vault",
		root.Get("/api/v1/workspaces/default/credentials"),
		http.StatusOK,
		"Model account",
		"openAIApiKey",
	)
	says(t, "the providers", root.Get("/api/v1/providers"), http.StatusOK, "Company account")
	says(t, "the workspaces", root.Get("/api/v1/workspaces"), http.StatusOK, "Research")
	says(
		t,
		"cal",
		root.Get("/api/v1/workspaces/"+u.Workspaces["Research"]+"/members"),
		http.StatusOK,
		`"cal"`,
		u.Roles["Flow author"],
	)
}

func (u *upgraded) checkLinks(t *testing.T) {
	says(t, "the outbox", u.as("root").Get("/api/v1/mail/outbox"), http.StatusOK, "newcomer@example.com", "waiting")
	for name, link := range map[string]string{"reset": u.ResetLink, "invitation": u.Invitation} {
		b := u.Browser()
		a := b.Get(link)
		if a.Status == http.StatusSeeOther {
			a = b.Get(a.Location())
		}
		says(t, "the "+name+" link", a, http.StatusOK, `name="password"`)
	}
}

func (u *upgraded) checkAudit(t *testing.T) {
	var verdict struct {
		Intact  bool
		Entries int64
		Detail  string
	}
	a := u.as("root").Get("/api/v1/audit/verify")
	if err := json.Unmarshal([]byte(a.Body), &verdict); err != nil {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if !verdict.Intact || verdict.Entries < u.AuditEntries {
		t.Errorf("%+v, want at least %s entries", verdict, strconv.FormatInt(u.AuditEntries, 10))
	}
}
