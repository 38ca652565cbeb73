package guard

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"strings"
	"testing"
	"time"

	"sluice/internal/problem"
)

// names reserve what Langflow keeps for itself.
var names = Names{Reserved: []string{"_mc"}}

func TestNamesOfFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		good bool
	}{
		{"a.txt", true}, {"Größe 2026 " +
			"(1).pdf", true}, {"报告.docx", true}, {"a..b.txt", true}, {"a-b_c.tar.gz", true}, {"100%.csv", true},
		{"100%", true}, {"5%4", true}, {"a%41", true},
		{"a+b=c&d.txt", true},
		{"mcp.json", true}, {"Bildschirmfoto um " +
			"10:15.png", true}, {"Cafe\u0301.png", true}, {"a;b.pdf", true}, {"x~1.txt", true},
		{"../../traversal_proof.txt", false}, {"/etc/cron.d/x", false}, {`..\x`, false}, {`a\b`, false}, {"a/b",
			false}, {"..", false}, {".", false}, {"...", false}, {".env", false},
		{" .env", false}, {"", false}, {" ", false}, {"a ", false}, {"a.", false}, {"a\x00.txt", false},
		{"a\nb", false}, {"a\x7fb", false}, {"a\u202etxt.exe", false},
		{"a\u200b.txt", false}, {"a\u2028b", false}, {"a\xffb", false}, {strings.Repeat("a", 256), false},
		{strings.Repeat("a", 255), true},
		{"%2e%2e%2fx", false}, {"..%2fx", false}, {"%252e%252e%252fx", false}, {"%25252525252f", false},
		{"%00a", false}, {"a%5cb", false}, {"%2eenv", false},
		{"．．／x", false}, {"a／b", false}, {"a⁄b", false}, {"a∕b", false}, {"․․", false}, {"＼x", false},
		{"％2e％2e％2fx", false}, {"100%.csv%2fx", false}, {"50% %41.txt", true},
		{"_mcp_servers_cccccccc-cccc-4ccc-8ccc-cccccccccccc.json", false}, {"_mcp_servers.json", false},
		{"_MCP_servers", false}, {"%5fmcp_servers.json", false}, {"＿mcp_servers", false},
		{"C:x", false}, {"a<b", false}, {"a|b", false}, {`a"b`, false},
	} {
		if why := names.Bad(c.name); (why == "") != c.good {
			t.Errorf("%q: %q", c.name, why)
		}
	}
}

// disposition is a form of one part with this header.
func disposition(header string) string {
	return "--sluicebound\r\n" + header + "\r\nContent-Type: text/plain\r\n\r\nx\r\n--sluicebound--\r\n"
}

// headOf is a form of one part whose head has so many bytes.
func headOf(n int) string {
	const start = `Content-Disposition: form-data; name="`
	return "--sluicebound\r\n" + start + strings.Repeat("a", n-len(start)-1) + "\"\r\n\r\nx\r\n--sluicebound--\r\n"
}

func TestForms(t *testing.T) {
	leadingOut := zipOf(t, map[string][]byte{"../a.json": []byte("{}")})
	const good = `Content-Disposition: form-data; name="file"; filename="a.txt"`
	for _, c := range []struct{ name, kind, body, want string }{
		{"plain", formType, disposition(good), ""},
		{"quoted boundary", `multipart/form-data; boundary="sluicebound"`, disposition(good), ""},
		{"without a line at the end", formType, strings.TrimSuffix(disposition(good), "\r\n"), ""},
		{"several", formType, strings.TrimSuffix(disposition(good), "--\r\n") + "\r\nContent-Disposition: form-data; " +
			"name=\"note\"\r\n\r\n\r\n--sluicebound--\r\n", ""},
		{"empty part", formType, "--sluicebound\r\n" + good + "\r\n\r\n\r\n--sluicebound--\r\n", ""},
		{"empty choice of a " +
			"browser", formType, "--sluicebound\r\nContent-Disposition: form-data; name=\"file\"; " +
			"filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--sluicebound--\r\n", ""},
		{"boundary inside " +
			"a line", formType, strings.Replace(disposition(good), "\r\nx\r\n", "\r\nx--sluicebound\r\n", 1), ""},
		{"name in UTF-8", formType, disposition(`Content-Disposition: form-data; name="file"; filename="Größe.txt"`),
			""},
		{"token", formType, disposition("Content-Disposition: form-data; name=file; filename=a.txt"), ""},
		{"only filename*", formType, disposition("Content-Disposition: form-data; name=\"file\"; " +
			"filename*=UTF-8''Gr%C3%B6%C3%9Fe.txt"), ""},
		{"token of all letters", formType, disposition("Content-Disposition: form-data; name=azAZ09; filename=z.txt"),
			""},
		{"blank in the head", formType, disposition(good + "\r\nContent-Length:\t1"), ""},
		{"boundary of all letters", "multipart/form-data; boundary=azAZ09",
			strings.ReplaceAll(disposition(good), "sluicebound", "azAZ09"), ""},
		{"boundary of seventy", "multipart/form-data; boundary=" + strings.Repeat("a", 70),
			strings.ReplaceAll(disposition(good), "sluicebound", strings.Repeat("a", 70)), ""},
		{"head of eight KiB", formType, headOf(maxPartHead), ""},
		{"head of more", formType, headOf(maxPartHead + 1), "guard.upload"},
		{"nothing", formType, "", ""},

		{"control character in the head", formType, disposition(good + "\r\nContent-Length: 1\x01"), "guard.upload"},
		{"DEL in the head", formType, disposition(good + "\r\nContent-Length: 1\x7f"), "guard.upload"},
		{"name that is left out", formType, disposition(`Content-Disposition: form-data; name=; filename="../x"`),
			"guard.upload"},
		{"archive that leads out", formType, string(formOf("a.zip", leadingOut)), "guard.upload"},
		{"bad filename*", formType, disposition("Content-Disposition: form-data; name=\"file\"; " +
			"filename*=UTF-8''..%2fx"), "guard.upload"},
		{"filename* in " +
			"latin1", formType, disposition("Content-Disposition: form-data; name=\"file\"; " +
			"filename*=iso-8859-1''a.txt"), "guard.upload"},
		{"both names", formType, disposition("Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"; " +
			"filename*=UTF-8''b.txt"), "guard.upload"},
		{"name twice", formType,
			disposition(`Content-Disposition: form-data; name="file"; filename="a.txt"; filename="..\x"`),
			"guard.upload"},
		{"continued name", formType,
			disposition(`Content-Disposition: form-data; name="file"; filename*0="a"; filename*1=".txt"`),
			"guard.upload"},
		{"escape in the name", formType, disposition(`Content-Disposition: form-data; name="file"; filename="a\".txt"`),
			"guard.upload"},
		{"open quote", formType, disposition(`Content-Disposition: form-data; name="file"; filename="a.txt`),
			"guard.upload"},
		{"text after the name", formType, disposition(good + " x"), "guard.upload"},
		{"no name", formType, disposition(`Content-Disposition: form-data; filename="a.txt"`), "guard.upload"},
		{"attachment", formType, disposition(`Content-Disposition: attachment; name="file"; filename="a.txt"`),
			"guard.upload"},
		{"header twice", formType, disposition(good + "\r\n" + good), "guard.upload"},
		{"folded header", formType, disposition(good + "\r\n ;filename=b"), "guard.upload"},
		{"transfer encoding", formType, disposition(good + "\r\nContent-Transfer-Encoding: base64"), "guard.upload"},
		{"form within", formType, strings.Replace(disposition(good), "text/plain", "multipart/mixed; "+
			"boundary=b", 1), "guard.upload"},
		{"preamble", formType, "x\r\n" + disposition(good), "guard.upload"},
		{"line before", formType, "\r\n" + disposition(good), "guard.upload"},
		{"epilogue", formType, disposition(good) + "x", "guard.upload"},
		{"boundary with a " +
			"blank", formType, strings.Replace(disposition(good), "--sluicebound\r\n", "--sluicebound \r\n", 1),
			"guard.upload"},
		{"lines without carriage " +
			"returns", formType, strings.ReplaceAll(disposition(good), "\r\n", "\n"), "guard.upload"},
		{"no end", formType, strings.TrimSuffix(disposition(good), "--sluicebound--\r\n"), "guard.upload"},
		{"no head", formType, "--sluicebound\r\nx\r\n--sluicebound--\r\n", "guard.upload"},
		{"hyphens", "multipart/form-data; " +
			"boundary=----sluice", "------sluice" + strings.Repeat("-", 1<<20), "guard.upload"},
		{"hyphens before", "multipart/form-data; " +
			"boundary=----sluice", strings.Repeat("-", 1<<20) + "\r\n------sluice--", "guard.upload"},
		{"long boundary", "multipart/form-data; " +
			"boundary=" + strings.Repeat("a", 71), "--" + strings.Repeat("a", 71) + "--", "guard.upload"},
		{"no boundary", "multipart/form-data", disposition(good), "guard.upload"},
		{"boundary with a colon and more", `multipart/form-data; boundary="a b"`, "--a b--", "guard.upload"},
		{"many parts", formType,
			strings.Repeat(strings.TrimSuffix(disposition(good), "--sluicebound--\r\n"), 1001) + "--sluicebound--",
			"guard.upload"},
		{"JSON", "application/json", "{}", "guard.upload"},
		{"two types", "", disposition(good), "body.type"},
		{"path as a name", formType, string(formOf("../../x", []byte("x"))), "guard.upload"},
	} {
		if got := ruleOf(names.Upload(t.Context(), &Request{
			ContentType: c.kind,
			Body:        []byte(c.body),
		})); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
	}
}

func TestArchives(t *testing.T) {
	raw := func(header zip.FileHeader) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, err := z.CreateHeader(&header)
		if err == nil {
			_, err = w.Write([]byte("/etc/passwd"))
		}
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	link := zip.FileHeader{Name: "a.json"}
	link.SetMode(0o777 | 1<<27) // fs.ModeSymlink
	many := map[string][]byte{}
	for i := range maxEntries + 1 {
		many[fmt.Sprintf("%d.json", i)] = []byte("{}")
	}
	most := map[string][]byte{}
	for i := range maxEntries {
		most[fmt.Sprintf("%d.json", i)] = []byte("{}")
	}
	plain := zipOf(t, map[string][]byte{"a.json": []byte("{}")})
	comment := func() []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		_ = z.SetComment("PK\x05\x06")
		_ = z.Close()
		return b.Bytes()
	}()
	for _, c := range []struct {
		name          string
		data          []byte
		upload, flows bool
	}{
		{"plain", plain, true, true},
		{"folder", raw(zip.FileHeader{Name: "a/b.json"}), true, true},
		{"office document", zipOf(t, map[string][]byte{"[Content_Types].xml": nil, "_rels/.rels": nil}), true, false},
		{"link", raw(link), false, false},
		{"name that leads out", raw(zip.FileHeader{Name: "../a.json"}), false, false},
		{"absolute name", raw(zip.FileHeader{Name: "/a.json"}), false, false},
		{"backslash", raw(zip.FileHeader{Name: `a\b.json`}), false, false},
		{"as many as there may be", zipOf(t, most), true, true},
		{"too many", zipOf(t, many), true, false},
		{"bomb", zipOf(t, map[string][]byte{"a.json": make([]byte, maxExpanded+1)}), true, false},
		{"text after it", append(bytes.Clone(plain), '\n'), true, false},
		{"text before it", append([]byte("{}\n"), plain...), true, false},
		{"another in its comment", append(bytes.Clone(plain), comment...), true, false},
		{"cut off", plain[:len(plain)-4], false, false},
		{"no archive", []byte("PK"), true, false},
	} {
		if err := checkArchive(c.data); (err == nil) != c.upload {
			t.Errorf("%s, uploaded: %v", c.name, err)
		}
		if _, err := names.archivedJSON(c.data); (err == nil) != c.flows {
			t.Errorf("%s, as flows: %v", c.name, err)
		}
	}
}

func TestUpload_FilesOfRun(t *testing.T) {
	ask := func(body any) *Request {
		return &Request{Flow: flowID, Account: "acc", ContentType: "application/json", Body: marshal(t, body)}
	}
	for _, c := range []struct {
		name, want string
		body       any
	}{
		{"none", "", map[string]any{"inputs": map[string]any{}}},
		{"null", "", map[string]any{"files": nil}},
		{"of the flow", "", map[string]any{"files": []any{flowID + "/2026-01-01_10-00-00_cat.png"}}},
		{"of the account", "", map[string]any{"files": []any{"acc/cat.png"}}},
		{"path", "guard.files", map[string]any{"files": []any{"../../../../etc/hostname"}}},
		{"absolute", "guard.files", map[string]any{"files": []any{"/etc/hostname"}}},
		{"address", "guard.files", map[string]any{"files": []any{"s3://bucket/key"}}},
		{"path behind the flow", "guard.files", map[string]any{"files": []any{flowID + "/../x"}}},
		{"folder in the flow", "guard.files", map[string]any{"files": []any{flowID + "/a/b"}}},
		{"of another flow", "guard.files",
			map[string]any{"files": []any{"33333333-3333-4333-8333-33333333aaaa/cat.png"}}},
		{"encoded", "guard.files", map[string]any{"files": []any{flowID + "/..%2f..%2fx"}}},
		{"one good, one bad", "guard.files", map[string]any{"files": []any{"acc/cat.png", "x"}}},
		{"text", "guard.files", map[string]any{"files": "/etc/hostname"}},
		{"number", "guard.files", map[string]any{"files": []any{7}}},
		{"object", "guard.files", map[string]any{"files": map[string]any{"path": "/etc/hostname"}}},
		{"twice", "body.json", `{"files":[],"files":["/etc/hostname"]}`},
	} {
		if got := ruleOf(names.Files(t.Context(), ask(c.body))); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
	}
	nobody := ask(map[string]any{"files": []any{"/cat.png"}})
	nobody.Account, nobody.Flow = "", ""
	if got := ruleOf(names.Files(t.Context(), nobody)); got != "guard.files" {
		t.Errorf("without a flow: rule %q", got)
	}
}

// TestDocuments: a body is one text, or a form of texts and of archives of them.
func TestDocuments(t *testing.T) {
	archive := zipOf(t, map[string][]byte{"a.json": []byte(`{"in":"zip"}`)})
	note := "--sluicebound\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nno JSON\r\n--sluicebound--\r\n"
	for name, c := range map[string]struct {
		kind, body string
		want       []string
		rule       string
	}{
		"nothing":                {"", "", nil, ""},
		"JSON":                   {"application/json", `{"a":1}`, []string{`{"a":1}`}, ""},
		"a file":                 {formType, string(formOf("a.json", []byte(`[2]`))), []string{`[2]`}, ""},
		"an archive":             {formType, string(formOf("a.zip", archive)), []string{`{"in":"zip"}`}, ""},
		"a field is no file":     {formType, note, []string{}, ""},
		"no JSON":                {"application/json", `{`, nil, "body.json"},
		"a file that is no":      {formType, string(formOf("a.json", []byte("x"))), nil, "body.json"},
		"a broken archive":       {formType, string(formOf("a.zip", archive[:len(archive)-4])), nil, "guard.upload"},
		"a form that is none":    {formType, "x", nil, "guard.upload"},
		"another type":           {"text/plain", `{}`, nil, "body.type"},
		"JSON in another set":    {"application/json; charset=utf-16", `{}`, nil, "body.type"},
		"JSON in UTF-8, by name": {"application/json; charset=UTF-8", `{}`, []string{`{}`}, ""},
	} {
		list, err := names.Documents(&Request{ContentType: c.kind, Body: []byte(c.body)})
		if got := ruleOf(err); got != c.rule {
			t.Errorf("%s: rule %q (%v), want %q", name, got, err, c.rule)
			continue
		}
		if len(list) != len(c.want) {
			t.Errorf("%s: %d documents, want %d", name, len(list), len(c.want))
			continue
		}
		for i := range list {
			want, err := Parse([]byte(c.want[i]))
			if err != nil || Digest(&list[i]) != Digest(&want) {
				t.Errorf("%s: document %d is %+v, want %s (%v)", name, i, list[i], c.want[i], err)
			}
		}
	}
}

func TestTime_IsThatOfTheRequest(t *testing.T) {
	fixed := time.Unix(1_700_000_000, 0)
	if got := (&Request{Now: func() time.Time { return fixed }}).Time(); !got.Equal(fixed) {
		t.Errorf("with a clock: %s", got)
	}
	if got := (&Request{}).Time(); time.Since(got) < 0 || time.Since(got) > time.Minute {
		t.Errorf("without one: %s", got)
	}
}

func TestPlainNames(t *testing.T) {
	for name, want := range map[string]string{
		"weather":      "",
		"My server 2":  "",
		"../x":         "guard.name",
		"_mcp_servers": "guard.name",
		"x\x00y":       "guard.name",
		"":             "guard.name",
	} {
		if got := ruleOf(names.Plain(t.Context(), &Request{Plain: []string{"ok", name}})); got != want {
			t.Errorf("%q: rule %q, want %q", name, got, want)
		}
	}
}

// FuzzForm: what parts takes, mime/multipart reads as the same parts.
func FuzzForm(f *testing.F) {
	f.Add(formOf("a.txt", []byte("x")))
	f.Add([]byte(disposition(`Content-Disposition: form-data; name="file"; filename="a.txt"; filename*=UTF-8''b`)))
	f.Add([]byte("--sluicebound\r\nContent-Disposition: form-data; " +
		"name=a\r\n\r\n\r\n--sluicebound\r\ncontent-disposition: form-data; name=\"b\"; " +
		"filename*=utf-8''x%20y\r\n\r\n\r\n--sluicebound\r\n\r\n--sluicebound--"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parts(data, "sluicebound")
		if err != nil {
			return
		}
		r := multipart.NewReader(bytes.NewReader(data), "sluicebound")
		for i, p := range list {
			got, err := r.NextRawPart()
			if err != nil {
				t.Fatalf("part %d of %q: %v", i, data, err)
			}
			content, err := io.ReadAll(got)
			if err != nil || !bytes.Equal(content, p.data) || got.FormName() != p.name {
				t.Fatalf("part %d of %q: %q %q (%v), want %q %q", i, data, got.FormName(), content, err, p.name, p.data)
			}
		}
		if _, err := r.NextRawPart(); err != io.EOF {
			t.Fatalf("%q has more parts than %d: %v", data, len(list), err)
		}
	})
}

// FuzzName: a name that is taken stays one segment below a folder, however often it is decoded.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a.txt", "..%2f", "%252e", "．", "_mcp", "a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if names.Bad(name) != "" {
			return
		}
		for range 3 {
			if bytes.ContainsAny([]byte(name), "/\\\x00\r\n") || name == "." || name == ".." || name == "" ||
				name[0] == '.' {
				t.Fatalf("%q is taken", name)
			}
			name = unescapePercent(name)
		}
	})
}

// form is a multipart body with one file.
func formOf(name string, data []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "--sluicebound\r\nContent-Disposition: form-data; name=\"file\"; filename=%q\r\nContent-Type: "+
		"application/octet-stream\r\n\r\n%s\r\n--sluicebound--\r\n", name, data)
	return b.Bytes()
}

const formType = "multipart/form-data; boundary=sluicebound"

const flowID = "22222222-2222-4222-8222-22222222aaaa"

// ruleOf is the rule that refused, or "" for none.
func ruleOf(err error) string {
	if err == nil {
		return ""
	}
	p := problem.Of(err)
	if p.Next == "" && p.Kind == problem.Denied {
		return "a denial without a next step"
	}
	return p.Rule
}

func marshal(t *testing.T, v any) []byte {
	if s, ok := v.(string); ok {
		return []byte(s)
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func zipOf(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
