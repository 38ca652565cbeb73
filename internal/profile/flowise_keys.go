package profile

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/problem"
)

// Flowise's page for API keys, and the list of keys in its dialogs, show and change Sluice's keys: each person's own in the workspace that they work in.

// FreshKeys holds keys that were made a moment ago, each for one look by the session that made it: Flowise's page does not read the answer to "create", but shows and
// copies what the next list says. It is bounded, forgets within a minute, and is never written anywhere.
type FreshKeys struct {
	mu   sync.Mutex
	keys map[string]freshKey // by id
}

type freshKey struct {
	session, secret string
	until           time.Time
}

const (
	freshLife = time.Minute
	freshMost = 1000
)

// keep remembers a key for the session that made it.
func (f *FreshKeys) keep(session, id, secret string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys == nil {
		f.keys = map[string]freshKey{}
	}
	for old, k := range f.keys {
		if !now.Before(k.until) {
			delete(f.keys, old)
		}
	}
	if session != "" && len(f.keys) < freshMost {
		f.keys[id] = freshKey{session, secret, now.Add(freshLife)}
	}
}

// take gives a key to the session that made it, once; "" if there is none.
func (f *FreshKeys) take(session, id string, now time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.keys[id]
	if !ok || k.session != session {
		return ""
	}
	delete(f.keys, id)
	if !now.Before(k.until) {
		return ""
	}
	return k.secret
}

// flowiseKey is a key as Flowise lists it.
type flowiseKey struct {
	ID          string         `json:"id"`
	APIKey      string         `json:"apiKey"`
	APISecret   string         `json:"apiSecret"`
	KeyName     string         `json:"keyName"`
	Permissions []authz.Action `json:"permissions"`
	UpdatedDate string         `json:"updatedDate"`
	CreatedAt   string         `json:"createdAt"`
	WorkspaceID string         `json:"workspaceId"`
	ChatFlows   []struct{}     `json:"chatFlows"`
}

// masked stands for the part of a key that nobody knows any more.
const masked = "\u2022\u2022\u2022\u2022\u2022\u2022\u2022\u2022"

func flowiseKeyOf(k authn.APIKey, secret string) flowiseKey {
	const form = "2006-01-02T15:04:05.000Z"
	return flowiseKey{
		ID: k.ID, APIKey: cmp.Or(secret, k.Prefix+masked), KeyName: k.Name, Permissions: shownPermissions(k.Scope.Actions), UpdatedDate: k.UpdatedAt.Format(form),
		CreatedAt: k.UpdatedAt.Format(form), WorkspaceID: k.Workspace, ChatFlows: []struct{}{},
	}
}

// shownPermissions are the finer names of what a key may do, as Flowise's page knows them. A key without bounds shows all.
func shownPermissions(actions []authz.Action) []authz.Action {
	out := []authz.Action{}
	for _, p := range authz.Permissions() {
		if authz.Grantable(p.Name) && (len(actions) == 0 || slices.Contains(actions, p.Name) || slices.Contains(actions, p.Class)) {
			out = append(out, p.Name)
		}
	}
	return out
}

// wishedActions are the actions that permissions of Flowise's page stand for. There any key may run flows; here that is a permission of its own, and comes with every key that
// may do something with flows of that type.
func wishedActions(permissions []string) ([]authz.Action, error) {
	var out []authz.Action
	for _, name := range permissions {
		if authz.Grantable(authz.Action(name)) && authz.IsPermission(name) {
			out = append(out, authz.Action(name))
		}
		if group, _, _ := strings.Cut(name, ":"); group == "chatflows" || group == "agentflows" {
			out = append(out, authz.Action(group+":run"))
		}
	}
	if len(out) == 0 {
		return nil, problem.New(problem.Invalid, "A key needs at least one permission.").WithField("permissions")
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// ownKeys lists the person's keys that are good for the app and the workspace that they work in.
func ownKeys(ctx context.Context, c AnswerContext) ([]authn.APIKey, error) {
	if c.Keys == nil {
		return nil, problem.New(problem.NotFound, "There are no API keys here.")
	}
	all, err := c.Keys.List(ctx, c.Principal, authn.KeyFilter{Owner: c.Principal.ID, Workspace: c.Principal.Workspace})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(k authn.APIKey) bool {
		return !k.RevokedAt.IsZero() || len(k.Scope.Apps) > 0 && !slices.Contains(k.Scope.Apps, c.App)
	}), nil
}

// flowiseKeys answers the list: all, or a page with the number of all.
func flowiseKeys(ctx context.Context, c AnswerContext) (Answer, error) {
	keys, err := ownKeys(ctx, c)
	if err != nil {
		return Answer{}, err
	}
	page, errPage := strconv.Atoi(c.Query.Get("page"))
	size, errSize := strconv.Atoi(c.Query.Get("limit"))
	if errPage != nil || errSize != nil || page < 1 || size < 1 || page > 1<<20 || size > 1<<20 {
		return jsonAnswer(http.StatusOK, c.shown(keys)), nil
	}
	from := min((page-1)*size, len(keys))
	return jsonAnswer(http.StatusOK, map[string]any{"total": len(keys), "data": c.shown(keys[from:min(from+size, len(keys))])}), nil
}

// shown are keys in Flowise's form; one that the session has just made is whole, once.
func (c AnswerContext) shown(keys []authn.APIKey) []flowiseKey {
	out := make([]flowiseKey, len(keys))
	for i, k := range keys {
		out[i] = flowiseKeyOf(k, c.Fresh.take(c.Principal.SessionID, k.ID, c.Now))
	}
	return out
}

// flowiseWish is what Flowise's page sends for a key.
type flowiseWish struct {
	KeyName     string   `json:"keyName"`
	Permissions []string `json:"permissions"`
}

func (c AnswerContext) keyWish() (w flowiseWish, err error) {
	body, err := c.Body()
	if err != nil {
		return w, err
	}
	if err := json.Unmarshal(body, &w); err != nil {
		return w, problem.New(problem.Invalid, "A key is described by keyName and a list of permissions.").WithRule("body.json").WithCause(err)
	}
	return w, nil
}

// flowiseMakeKey makes a key for this app. The answer is the whole list, as Flowise's is, with the new key in full.
func flowiseMakeKey(ctx context.Context, c AnswerContext) (Answer, error) {
	wish, err := c.keyWish()
	if err != nil {
		return Answer{}, err
	}
	actions, err := wishedActions(wish.Permissions)
	if err != nil {
		return Answer{}, err
	}
	if c.Keys == nil {
		return Answer{}, problem.New(problem.NotFound, "There are no API keys here.")
	}
	made, secret, err := c.Keys.Create(ctx, c.Principal, authn.NewAPIKey{
		Workspace: c.Principal.Workspace, Name: wish.KeyName, Scope: authn.KeyScope{Actions: actions, Apps: []string{c.App}},
	})
	if err != nil {
		return Answer{}, c.onKeysPage(err)
	}
	keys, err := ownKeys(ctx, c)
	if err != nil {
		return Answer{}, err
	}
	out := c.shown(keys)
	for i := range out {
		if out[i].ID == made.ID {
			out[i].APIKey = secret
		}
	}
	c.Fresh.keep(c.Principal.SessionID, made.ID, secret, c.Now)
	return jsonAnswer(http.StatusOK, out), nil
}

// onKeysPage says where to go with what Flowise's page cannot ask for.
func (c AnswerContext) onKeysPage(err error) error {
	if !problem.Is(err, problem.StepUp) {
		return err
	}
	return problem.New(problem.Denied, "Making an API key asks for a fresh proof that it is you. Make it at "+c.KeysURL+", or sign out and in again.").WithRule("step-up")
}

// flowiseChangeKey changes a key's name and permissions.
func flowiseChangeKey(ctx context.Context, c AnswerContext) (Answer, error) {
	wish, err := c.keyWish()
	if err != nil {
		return Answer{}, err
	}
	key, err := c.ownKey(ctx)
	if err != nil {
		return Answer{}, err
	}
	change := authn.APIKeyChange{Name: &wish.KeyName}
	if !samePermissions(shownPermissions(key.Scope.Actions), wish.Permissions) {
		scope := key.Scope
		if scope.Actions, err = wishedActions(wish.Permissions); err != nil {
			return Answer{}, err
		}
		change.Scope = &scope
	}
	if _, err := c.Keys.Update(ctx, c.Principal, key.ID, change); err != nil {
		return Answer{}, err
	}
	keys, err := ownKeys(ctx, c)
	if err != nil {
		return Answer{}, err
	}
	return jsonAnswer(http.StatusOK, c.shown(keys)), nil
}

// samePermissions reports whether the page sent back what it was shown; it does not know the permissions that are only Sluice's.
func samePermissions(shown []authz.Action, sent []string) bool {
	for _, name := range sent {
		if !slices.Contains(shown, authz.Action(name)) {
			return false
		}
	}
	for _, a := range shown {
		if !slices.Contains(sent, string(a)) && !ownPermission(a) {
			return false
		}
	}
	return true
}

// ownPermission reports whether a permission is not one of Flowise's keys page.
func ownPermission(a authz.Action) bool {
	group, verb, _ := strings.Cut(string(a), ":")
	switch group {
	case "app", "code", "mcp-servers", "members", "keys":
		return true
	}
	return verb == "run" || verb == "use"
}

// ownKey is the key that the path names, if it is one of the list.
func (c AnswerContext) ownKey(ctx context.Context) (authn.APIKey, error) {
	keys, err := ownKeys(ctx, c)
	if err != nil {
		return authn.APIKey{}, err
	}
	i := slices.IndexFunc(keys, func(k authn.APIKey) bool { return k.ID == c.Param("key") })
	if i < 0 {
		return authn.APIKey{}, problem.New(problem.NotFound, "There is no such API key.")
	}
	return keys[i], nil
}

// flowiseRevokeKey revokes a key; the answer is that of Flowise's database.
func flowiseRevokeKey(ctx context.Context, c AnswerContext) (Answer, error) {
	key, err := c.ownKey(ctx)
	if err != nil {
		return Answer{}, err
	}
	if err := c.Keys.Revoke(ctx, c.Principal, key.ID); err != nil {
		return Answer{}, err
	}
	return jsonAnswer(http.StatusOK, map[string]any{"raw": []string{}, "affected": 1}), nil
}

// flowiseVerifyKey tells whether the key in the header is good. Flowise has it in the address, where Sluice reads no key.
func flowiseVerifyKey(_ context.Context, c AnswerContext) (Answer, error) {
	if c.Principal.KeyID == "" {
		return Answer{}, problem.New(problem.Unauthenticated, "Send the API key in the Authorization header, as Bearer.").WithRule("no key")
	}
	return jsonAnswer(http.StatusOK, "OK"), nil
}

// flowiseStreaming answers strangers whether a flow streams: yes, whether there is such a flow or not. flowise-sdk asks without the key that it runs the flow with, and streams
// only after a yes.
func flowiseStreaming(context.Context, AnswerContext) (Answer, error) {
	return jsonAnswer(http.StatusOK, map[string]bool{"isStreaming": true}), nil
}
