package langflow

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// message is a chat message as Langflow describes it.
type message struct {
	ID      string `json:"id"`
	Flow    string `json:"flow_id"`
	Session string `json:"session_id"`
}

// maxMessages bounds how many messages of an account are searched for one id: Langflow has no
// request for a single message.
const maxMessages = 10_000

// flowsOf is Bridge.FlowsOf. Langflow up to 1.6 shows every account the messages of all accounts,
// so the result may include flows of others.
func (cs *contents) flowsOf(ctx context.Context, o builder.OnBehalf, kind flow.Kind, id string) ([]string, error) {
	query := url.Values{"order": {"DESC"}}
	matches := func(m message) bool { return strings.EqualFold(m.ID, id) }
	switch kind {
	case profile.Message:
		query.Set("limit", "1000")
	case profile.ChatSession:
		query.Set("session_id", id)
		matches = func(m message) bool { return m.Session == id }
	default:
		return nil, problem.New(problem.NotFound, "There is no such object in Langflow.")
	}
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	var flows []string
	dir := cs.accounts.dir.Load()
	for _, account := range cs.accounts.ids(dir, o) {
		err := cs.messages(ctx, dir.byID[account], query.Encode(), func(m message) {
			if matches(m) && m.Flow != "" && !slices.Contains(flows, m.Flow) {
				flows = append(flows, m.Flow)
			}
		})
		if err != nil {
			return nil, unavailable(err)
		}
	}
	return flows, nil
}

// messages reads the messages of an account.
func (cs *contents) messages(ctx context.Context, e *entry, query string, visit func(message)) error {
	s, err := cs.sessions.of(ctx, e)
	if err != nil {
		return err
	}
	res, err := cs.wire.open(ctx, call{
		method: http.MethodGet,
		path:   "/api/v1/monitor/messages",
		query:  query,
		header: s.header(),
	})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK || !builder.IsJSON(res.Header) {
		r := reply{Reply: builder.Reply{Status: res.StatusCode, Header: res.Header, JSON: builder.IsJSON(res.Header)}}
		return r.trouble("reading messages")
	}
	n := 0
	err = builder.EachElement(json.NewDecoder(io.LimitReader(res.Body, builder.MaxList)), func(m message) {
		if n++; n <= maxMessages {
			visit(m)
		}
	})
	if err != nil {
		return problem.New(problem.Upstream, "Langflow sent messages that Sluice cannot read.").WithCause(err)
	}
	return nil
}
