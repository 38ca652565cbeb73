//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// installClients fetches flowise-sdk and flowise-embed from npm and returns their folder.
var installClients = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("./install-clients.sh")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
})

func clients(t testing.TB) string {
	t.Helper()
	dir, err := installClients()
	if err != nil {
		t.Fatalf("e2e/install-clients.sh: %v", err)
	}
	return dir
}

// runSDK is a program that uses flowise-sdk as its documentation says.
const runSDK = `
const { FlowiseClient } = require('flowise-sdk');
(async () => {
	const streaming = process.env.STREAMING === 'yes';
	const client = new FlowiseClient({ baseUrl: process.env.BASE, apiKey: process.env.KEY });
	const answer = await client.createPrediction({ chatflowId: process.env.FLOW, question: process.env.QUESTION, streaming });
	if (!answer[Symbol.asyncIterator]) return console.log('answer ' + JSON.stringify(answer));
	for await (const event of answer) console.log('event ' + JSON.stringify(event));
})().catch(e => console.log('error ' + e.message));
`

// SDK runs a flow with flowise-sdk and returns the lines that the program prints: "answer …",
// "event …" or "error …".
func SDK(t testing.TB, base, key, flow, question string, streaming bool) []string {
	t.Helper()
	cmd := exec.Command("node", "-e", runSDK)
	cmd.Dir = clients(t)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"BASE=" + base,
		"KEY=" + key,
		"FLOW=" + flow,
		"QUESTION=" + question,
	}
	if streaming {
		cmd.Env = append(cmd.Env, "STREAMING=yes")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("flowise-sdk: %v\n%s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// Embedding is a page of another origin with flowise-embed on it, which sends an API key as the
// widget's own documentation says (onRequest).
func Embedding(t testing.TB, base, key, flow string) string {
	t.Helper()
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	script := filepath.Join(clients(t), "node_modules", "flowise-embed", "dist", "web.js")
	mux := http.NewServeMux()
	mux.HandleFunc("/web.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, script) })
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(
			w,
			`<!doctype html><title>A shop</title><flowise-fullchatbot></flowise-fullchatbot><script type="module">
			import Chatbot from './web.js';
			Chatbot.initFull({ chatflowid: %s, apiHost: %s, onRequest: async request => { request.headers = { ...request.headers, Authorization: 'Bearer ' + %s }; } });
		</script>`,
			quoted(flow),
			quoted(base),
			quoted(key),
		)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL + "/"
}

// widgetText is the text of the embedded widget.
const widgetText = `document.querySelector('flowise-fullchatbot')?.shadowRoot?.textContent ?? ''`

// AskWidget types a question into the embedded widget and waits for the answer.
func (p *Person) AskWidget(question, answer string) {
	p.t.Helper()
	p.until("input of the widget", func() bool {
		found, err := eval[bool](
			p,
			`(() => { const e = document.querySelector('flowise-fullchatbot')?.shadowRoot?.querySelector('textarea'); if (!e || e.disabled) return false; e.focus(); return true })()`,
		)
		return err == nil && found
	})
	p.Insert(question)
	p.Press("\r")
	p.until("answer of the widget", func() bool {
		text, err := eval[string](p, widgetText)
		return err == nil && strings.Contains(text, answer)
	})
}

// runLangflow is a program that uses @datastax/langflow-client as its documentation says.
const runLangflow = `
import { LangflowClient } from '@datastax/langflow-client';
const flow = new LangflowClient({ baseUrl: process.env.BASE, apiKey: process.env.KEY }).flow(process.env.FLOW);
try {
	if (process.env.STREAMING !== 'yes') console.log('answer ' + JSON.stringify((await flow.run(process.env.QUESTION)).outputs));
	else for await (const event of await flow.stream(process.env.QUESTION)) console.log('event ' + JSON.stringify(event));
} catch (e) { console.log('error ' + e.message) }
`

// LangflowSDK runs a flow with @datastax/langflow-client and returns the lines that the program
// prints: "answer …", "event …" or "error …".
func LangflowSDK(t testing.TB, base, key, flow, question string, streaming bool) []string {
	t.Helper()
	cmd := exec.Command("node", "--no-warnings", "--input-type=module", "-e", runLangflow)
	cmd.Dir = clients(t)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"BASE=" + base,
		"KEY=" + key,
		"FLOW=" + flow,
		"QUESTION=" + question,
	}
	if streaming {
		cmd.Env = append(cmd.Env, "STREAMING=yes")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("langflow-client: %v\n%s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
