package guard

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestNamesOfFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		good bool
	}{
		{"a.txt", true}, {"Größe 2026 (1).pdf", true}, {"报告.docx", true}, {"a..b.txt", true}, {"a-b_c.tar.gz", true}, {"100%.csv", true}, {"a+b=c&d.txt", true},
		{"mcp.json", true}, {"Bildschirmfoto um 10:15.png", true}, {"Cafe\u0301.png", true}, {"a;b.pdf", true}, {"x~1.txt", true},
		{"../../traversal_proof.txt", false}, {"/etc/cron.d/x", false}, {`..\x`, false}, {`a\b`, false}, {"a/b", false}, {"..", false}, {".", false}, {"...", false}, {".env", false},
		{" .env", false}, {"", false}, {" ", false}, {"a ", false}, {"a.", false}, {"a\x00.txt", false}, {"a\nb", false}, {"a\x7fb", false}, {"a\u202etxt.exe", false},
		{"a\u200b.txt", false}, {"a\u2028b", false}, {"a\xffb", false}, {strings.Repeat("a", 256), false}, {strings.Repeat("a", 255), true},
		{"%2e%2e%2fx", false}, {"..%2fx", false}, {"%252e%252e%252fx", false}, {"%25252525252f", false}, {"%00a", false}, {"a%5cb", false}, {"%2eenv", false},
		{"．．／x", false}, {"a／b", false}, {"a⁄b", false}, {"a∕b", false}, {"․․", false}, {"＼x", false}, {"％2e％2e％2fx", false}, {"100%.csv%2fx", false}, {"50% %41.txt", true},
		{"_mcp_servers_cccccccc-cccc-4ccc-8ccc-cccccccccccc.json", false}, {"_mcp_servers.json", false}, {"_MCP_servers", false}, {"%5fmcp_servers.json", false}, {"＿mcp_servers", false},
		{"C:x", false}, {"a<b", false}, {"a|b", false}, {`a"b`, false},
	} {
		if why := badName(c.name); (why == "") != c.good {
			t.Errorf("%q: %q", c.name, why)
		}
	}
}

// disposition is a form of one part with this header.
func disposition(header string) string {
	return "--sluicebound\r\n" + header + "\r\nContent-Type: text/plain\r\n\r\nx\r\n--sluicebound--\r\n"
}

func TestForms(t *testing.T) {
	const good = `Content-Disposition: form-data; name="file"; filename="a.txt"`
	for _, c := range []struct{ name, kind, body, want string }{
		{"plain", formType, disposition(good), ""},
		{"quoted boundary", `multipart/form-data; boundary="sluicebound"`, disposition(good), ""},
		{"without a line at the end", formType, strings.TrimSuffix(disposition(good), "\r\n"), ""},
		{"several", formType, strings.TrimSuffix(disposition(good), "--\r\n") + "\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n\r\n--sluicebound--\r\n", ""},
		{"empty part", formType, "--sluicebound\r\n" + good + "\r\n\r\n\r\n--sluicebound--\r\n", ""},
		{"empty choice of a browser", formType, "--sluicebound\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--sluicebound--\r\n", ""},
		{"boundary inside a line", formType, strings.Replace(disposition(good), "\r\nx\r\n", "\r\nx--sluicebound\r\n", 1), ""},
		{"name in UTF-8", formType, disposition(`Content-Disposition: form-data; name="file"; filename="Größe.txt"`), ""},
		{"token", formType, disposition("Content-Disposition: form-data; name=file; filename=a.txt"), ""},
		{"only filename*", formType, disposition("Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.txt"), ""},
		{"nothing", formType, "", ""},

		{"bad filename*", formType, disposition("Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''..%2fx"), "guard.upload"},
		{"filename* in latin1", formType, disposition("Content-Disposition: form-data; name=\"file\"; filename*=iso-8859-1''a.txt"), "guard.upload"},
		{"both names", formType, disposition("Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"; filename*=UTF-8''b.txt"), "guard.upload"},
		{"name twice", formType, disposition(`Content-Disposition: form-data; name="file"; filename="a.txt"; filename="..\x"`), "guard.upload"},
		{"continued name", formType, disposition(`Content-Disposition: form-data; name="file"; filename*0="a"; filename*1=".txt"`), "guard.upload"},
		{"escape in the name", formType, disposition(`Content-Disposition: form-data; name="file"; filename="a\".txt"`), "guard.upload"},
		{"open quote", formType, disposition(`Content-Disposition: form-data; name="file"; filename="a.txt`), "guard.upload"},
		{"text after the name", formType, disposition(good + " x"), "guard.upload"},
		{"no name", formType, disposition(`Content-Disposition: form-data; filename="a.txt"`), "guard.upload"},
		{"attachment", formType, disposition(`Content-Disposition: attachment; name="file"; filename="a.txt"`), "guard.upload"},
		{"header twice", formType, disposition(good + "\r\n" + good), "guard.upload"},
		{"folded header", formType, disposition(good + "\r\n ;filename=b"), "guard.upload"},
		{"transfer encoding", formType, disposition(good + "\r\nContent-Transfer-Encoding: base64"), "guard.upload"},
		{"form within", formType, strings.Replace(disposition(good), "text/plain", "multipart/mixed; boundary=b", 1), "guard.upload"},
		{"preamble", formType, "x\r\n" + disposition(good), "guard.upload"},
		{"line before", formType, "\r\n" + disposition(good), "guard.upload"},
		{"epilogue", formType, disposition(good) + "x", "guard.upload"},
		{"boundary with a blank", formType, strings.Replace(disposition(good), "--sluicebound\r\n", "--sluicebound \r\n", 1), "guard.upload"},
		{"lines without carriage returns", formType, strings.ReplaceAll(disposition(good), "\r\n", "\n"), "guard.upload"},
		{"no end", formType, strings.TrimSuffix(disposition(good), "--sluicebound--\r\n"), "guard.upload"},
		{"no head", formType, "--sluicebound\r\nx\r\n--sluicebound--\r\n", "guard.upload"},
		{"hyphens", "multipart/form-data; boundary=----sluice", "------sluice" + strings.Repeat("-", 1<<20), "guard.upload"},
		{"hyphens before", "multipart/form-data; boundary=----sluice", strings.Repeat("-", 1<<20) + "\r\n------sluice--", "guard.upload"},
		{"long boundary", "multipart/form-data; boundary=" + strings.Repeat("a", 71), "--" + strings.Repeat("a", 71) + "--", "guard.upload"},
		{"no boundary", "multipart/form-data", disposition(good), "guard.upload"},
		{"boundary with a colon and more", `multipart/form-data; boundary="a b"`, "--a b--", "guard.upload"},
		{"many parts", formType, strings.Repeat(strings.TrimSuffix(disposition(good), "--sluicebound--\r\n"), 1001) + "--sluicebound--", "guard.upload"},
		{"JSON", "application/json", "{}", "guard.upload"},
		{"two types", "", disposition(good), "body.type"},
		{"path as a name", formType, string(formOf("../../x", []byte("x"))), "guard.upload"},
	} {
		if got := ruleOf(upload(&Request{ContentType: c.kind, Body: []byte(c.body)})); got != c.want {
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
		if _, err := archivedJSON(c.data); (err == nil) != c.flows {
			t.Errorf("%s, as flows: %v", c.name, err)
		}
	}
}

func TestFilesOfARun(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
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
		{"of another flow", "guard.files", map[string]any{"files": []any{"33333333-3333-4333-8333-33333333aaaa/cat.png"}}},
		{"encoded", "guard.files", map[string]any{"files": []any{flowID + "/..%2f..%2fx"}}},
		{"one good, one bad", "guard.files", map[string]any{"files": []any{"acc/cat.png", "x"}}},
		{"text", "guard.files", map[string]any{"files": "/etc/hostname"}},
		{"number", "guard.files", map[string]any{"files": []any{7}}},
		{"object", "guard.files", map[string]any{"files": map[string]any{"path": "/etc/hostname"}}},
		{"twice", "body.json", `{"files":[],"files":["/etc/hostname"]}`},
	} {
		if got := ruleOf(g.Check(t.Context(), b.request(c.body, "files"))); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
	}
	nobody := b.request(map[string]any{"files": []any{"/cat.png"}}, "files")
	nobody.Account, nobody.Flow = "", ""
	if got := ruleOf(g.Check(t.Context(), nobody)); got != "guard.files" {
		t.Errorf("without a flow: rule %q", got)
	}
}

func TestPlainNames(t *testing.T) {
	g := &Guard{}
	for name, want := range map[string]string{"weather": "", "My server 2": "", "../x": "guard.name", "_mcp_servers": "guard.name", "x\x00y": "guard.name", "": "guard.name"} {
		if got := ruleOf(g.Check(t.Context(), &Request{Guards: []string{"name"}, Plain: []string{"ok", name}})); got != want {
			t.Errorf("%q: rule %q, want %q", name, got, want)
		}
	}
}

func TestTweaks(t *testing.T) {
	b := newLangflow(t, "old")
	g := &Guard{}
	for _, c := range []struct {
		name, want string
		body       any
	}{
		{"none", "", map[string]any{"input_value": "code"}},
		{"model", "", map[string]any{"tweaks": map[string]any{"OpenAIModel-abc12": map[string]any{"temperature": 0.1, "system": "code"}}}},
		{"for all nodes", "", map[string]any{"tweaks": map[string]any{"temperature": 0.1}}},
		{"code", "guard.code", map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"code": "x"}}}},
		{"Python", "guard.code", map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"python_code": "x"}}}},
		{"for all nodes, Python", "guard.code", map[string]any{"tweaks": map[string]any{"tool_code": "x"}}},
		{"type of a field", "guard.code", map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"input_value": map[string]any{"type": "code", "value": "x"}}}}},
		{"MCP server", "guard.code", map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"mcp_server": map[string]any{"name": "x"}}}}},
		{"command", "guard.code", map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"x": map[string]any{"Command": "id"}}}}},
		{"a file of the host", "guard.code", map[string]any{"tweaks": map[string]any{"File-1": map[string]any{"path": []any{"/etc/passwd"}}}}},
		{"an upload", "", map[string]any{"tweaks": map[string]any{"File-1": map[string]any{"path": []any{"acc/a.txt"}}}}},
		{"a database that is a file", "guard.code", map[string]any{"inputs": map[string]any{"SQL-1.database_url": "sqlite:////x"}}},
		{"flat form", "guard.code", map[string]any{"inputs": map[string]any{"X-1.python_code": "x"}}},
		{"flat form, harmless", "", map[string]any{"inputs": map[string]any{"ChatInput-1.input_value": "x", "LLM-1.temperature": 0.7}}},
		{"twice", "body.json", `{"tweaks":{},"tweaks":{"code":"x"}}`},
	} {
		if got := ruleOf(g.Check(t.Context(), b.request(c.body, "tweaks"))); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
		if c.want == "guard.code" {
			if err := g.Check(t.Context(), b.request(c.body, "tweaks").capable()); err != nil {
				t.Errorf("%s: somebody who may bring code is refused: %v", c.name, err)
			}
		}
	}
}
