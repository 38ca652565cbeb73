package flowise

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// Flowise can bind a flow to one of its own API keys (chatflow.apikeyid); its prediction route then
// wants that key, session or not. Flows that were bound before Sluice came, or around it, must go
// on running, and so must flows that are MCP servers, for which Flowise wants a token of theirs.
// The bridge finds both with the owner's session and sends them along.

// The kinds of keys that Flowise asks for.
const (
	boundKey = "apikey"
	mcpToken = "mcp"
)

const (
	// flowKeyFresh is how long an answer counts. It is asked for again in the background; only the
	// first run of a flow waits for it.
	flowKeyFresh = time.Minute
	// flowKeyWait bounds how long a run waits, and flowKeysKept how many flows are remembered.
	flowKeyWait  = 5 * time.Second
	flowKeysKept = 10_000
)

// flowKeys remembers which flows Flowise wants keys for.
type flowKeys struct {
	mu      sync.Mutex               // also held while a question starts, so that none starts after stop
	known   map[string]*flowKeyEntry // by kind and flow
	running sync.WaitGroup
}

// stop waits for the questions that run. The bridge's life is over by then, and whoever gets the
// lock afterwards sees that.
func (k *flowKeys) stop() {
	k.mu.Lock()
	running := &k.running
	k.mu.Unlock()
	running.Wait()
}

type flowKeyEntry struct {
	ready  chan struct{} // closed when value counts for the first time
	value  string
	asked  time.Time
	asking bool
}

// flowKey is Bridge.FlowKey. When Flowise does not answer the flow is run without a key: if it
// needs one, Flowise says so.
func (b *bridge) flowKey(ctx context.Context, kind, flowID string) (string, error) {
	k, now, name := &b.keys, b.cfg.Now(), kind+" "+flowID
	k.mu.Lock()
	e := k.known[name]
	if e == nil {
		if k.known == nil || len(k.known) >= flowKeysKept {
			k.known = map[string]*flowKeyEntry{}
		}
		e = &flowKeyEntry{ready: make(chan struct{})}
		k.known[name] = e
	}
	if b.life.Err() != nil {
		k.mu.Unlock()
		return "", problem.New(problem.Unavailable, "This app is being removed or restarted.").
			WithRetryAfter(time.Second)
	}
	if !e.asking && (e.asked.IsZero() || now.Sub(e.asked) >= flowKeyFresh) {
		e.asking = true
		k.running.Go(func() { b.askFlowKey(kind, flowID, e) })
	}
	k.mu.Unlock()
	select {
	case <-e.ready:
	case <-ctx.Done():
		return "", problem.New(problem.Unavailable, "Flowise is slow to say whether the flow needs a key.").
			WithRetryAfter(time.Second).
			WithCause(ctx.Err())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return e.value, nil
}

// askFlowKey asks Flowise for a flow's key. After a failure the former answer stays.
func (b *bridge) askFlowKey(kind, flowID string, e *flowKeyEntry) {
	ctx, cancel := context.WithTimeout(b.life, flowKeyWait)
	defer cancel()
	value, err := b.lookUpFlowKey(ctx, kind, flowID)
	b.keys.mu.Lock()
	defer b.keys.mu.Unlock()
	if err == nil || problem.Is(err, problem.NotFound) {
		e.value = value
	}
	first := e.asked.IsZero()
	e.asked, e.asking = b.cfg.Now(), false
	if first {
		close(e.ready)
	}
}

func (b *bridge) lookUpFlowKey(ctx context.Context, kind, flowID string) (value string, err error) {
	if !profile.IsUUID(flowID) {
		return "", nil
	}
	if kind == mcpToken {
		var server struct {
			Enabled bool   `json:"enabled"`
			Token   string `json:"token"`
		}
		err := b.readList(
			ctx,
			"/api/v1/mcp-server/"+flowID,
			func(dec *json.Decoder) error { return dec.Decode(&server) },
		)
		if err != nil || !server.Enabled {
			return "", err
		}
		return server.Token, nil
	}
	var flow struct {
		KeyID string `json:"apikeyid"`
	}
	if err := b.readList(ctx, "/api/v1/chatflows/"+flowID, func(dec *json.Decoder) error { return dec.Decode(&flow) }); err != nil ||
		flow.KeyID == "" {
		return "", err
	}
	type key struct {
		ID     string `json:"id"`
		APIKey string `json:"apiKey"`
	}
	err = b.readList(ctx, "/api/v1/apikey", func(dec *json.Decoder) error {
		return builder.EachElement(dec, func(k key) {
			if k.ID == flow.KeyID {
				value = k.APIKey
			}
		})
	})
	return value, err
}
