package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// maxGraph bounds a stored flow that is put into a request, in bytes.
const maxGraph = 8 << 20

// restoreGraph puts the flow as it is stored into a request for a public run that has none, where the builder runs only what the request brings. What the client sent
// in its place was taken out, because it could be any code. It is read as strangers read it.
func (x *exchange) restoreGraph() error {
	e := x.match.Endpoint
	if e == nil || x.instead != "" || x.body == nil || !x.needsStored(e) || !bytes.HasPrefix(bytes.TrimSpace(x.body.data), []byte("{")) {
		return nil
	}
	switch value := x.body.valueAt(e.Adds.Flow); {
	case string(value) == "null":
		x.body.drop([]string{e.Adds.Flow})
	case value != nil:
		return nil
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), objects.ResolveTimeout)
	defer cancel()
	status, body, err := x.askBuilder(ctx, x.app.Kind.Stored.Path(x.flow), maxGraph)
	var stored struct{ Data json.RawMessage }
	if err != nil || status != http.StatusOK || json.Unmarshal(body, &stored) != nil || len(stored.Data) == 0 {
		return problem.Newf(problem.Unavailable, "%s did not give the flow as it is stored, without which this version cannot run it for others.", x.app.Name).
			WithRule("flow unreadable").WithCause(err)
	}
	free, err := x.reserve(int64(len(stored.Data)))
	if err != nil {
		return err
	}
	x.frees = append(x.frees, free)
	x.body.put(e.Adds.Flow, stored.Data)
	return nil
}

// needsStored reports whether this version of the builder needs the flow in a request to the endpoint.
func (x *exchange) needsStored(e *profile.Endpoint) bool {
	return e.Adds.Flow != "" && x.app.Kind.Stored.Needed(x.app.Version)
}

// put adds a member to an inspected body that does not have it. The other members can still be read, and nothing can be dropped any more.
func (b *heldBody) put(key string, value []byte) {
	start := bytes.IndexByte(b.data, '{') + 1
	member := append(append(strconv.AppendQuote(nil, key), ':'), value...)
	if len(b.fields) > 0 {
		member = append(member, ',')
	}
	b.data = slices.Concat(b.data[:start], member, b.data[start:])
}
