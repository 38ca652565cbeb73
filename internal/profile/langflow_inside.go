package profile

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sluice/internal/flow"
	"sluice/internal/problem"
)

// langflowMessage is what Langflow says of a chat message.
type langflowMessage struct {
	ID      string `json:"id"`
	Flow    string `json:"flow_id"`
	Session string `json:"session_id"`
}

// langflowMessagesRead bounds how many messages of an account are looked at for one that is named by its id: Langflow has no question for a single one.
const langflowMessagesRead = 10_000

// FlowsOf implements Insides. Langflow up to 1.6 shows the messages of all its accounts to everybody, so that flows of others may be among them.
func (b *LangflowBridge) FlowsOf(ctx context.Context, l Lent, kind flow.Kind, id string) ([]string, error) {
	query := url.Values{"order": {"DESC"}}
	matches := func(m langflowMessage) bool { return strings.EqualFold(m.ID, id) }
	switch kind {
	case Message:
		query.Set("limit", "1000")
	case ChatSession:
		query.Set("session_id", id)
		matches = func(m langflowMessage) bool { return m.Session == id }
	default:
		return nil, problem.New(problem.NotFound, "There is no such object in Langflow.")
	}
	ctx, cancel := context.WithTimeout(ctx, langflowFindTime)
	defer cancel()
	var flows []string
	dir := b.dir.Load()
	for _, account := range dir.accounts(b, l) {
		err := b.messages(ctx, dir.byID[account], query.Encode(), func(m langflowMessage) {
			if matches(m) && m.Flow != "" && !slices.Contains(flows, m.Flow) {
				flows = append(flows, m.Flow)
			}
		})
		if err != nil {
			return nil, unavailableLangflow(err)
		}
	}
	return flows, nil
}

// messages reads the messages of an account.
func (b *LangflowBridge) messages(ctx context.Context, e *langflowEntry, query string, visit func(langflowMessage)) error {
	s, err := b.sessionOf(ctx, e)
	if err != nil {
		return err
	}
	res, err := langflowCall{method: http.MethodGet, path: "/api/v1/monitor/messages", query: query, header: s.header()}.open(ctx, b.client)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK || !isJSON(res.Header) {
		r := langflowReply{reply: reply{status: res.StatusCode, header: res.Header, json: isJSON(res.Header)}}
		return r.trouble("reading messages")
	}
	n := 0
	err = eachElement(json.NewDecoder(io.LimitReader(res.Body, maxInventory)), func(m langflowMessage) {
		if n++; n <= langflowMessagesRead {
			visit(m)
		}
	})
	if err != nil {
		return problem.New(problem.Upstream, "Langflow gave messages that Sluice cannot read.").WithCause(err)
	}
	return nil
}

var _ Insides = (*LangflowBridge)(nil)
