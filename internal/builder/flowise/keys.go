package flowise

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
)

// Flowise's page for API keys, and the list of keys in its dialogs, show and change Sluice's keys:
// each person's own keys in the workspace they work in.

// shownKey is a key as Flowise lists it.
type shownKey struct {
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

// masked replaces the part of a key that is no longer known.
const masked = "\u2022\u2022\u2022\u2022\u2022\u2022\u2022\u2022"

func keyOf(k authn.APIKey, secret string) shownKey {
	const form = "2006-01-02T15:04:05.000Z"
	return shownKey{
		ID:          k.ID,
		APIKey:      cmp.Or(secret, k.Prefix+masked),
		KeyName:     k.Name,
		Permissions: shownPermissions(k.Scope.Actions),
		UpdatedDate: k.UpdatedAt.Format(form),
		CreatedAt:   k.UpdatedAt.Format(form),
		WorkspaceID: k.Workspace,
		ChatFlows:   []struct{}{},
	}
}

// shownPermissions are the detailed permissions of a key, as Flowise's page names them. An
// unrestricted key shows all of them.
func shownPermissions(actions []authz.Action) []authz.Action {
	out := []authz.Action{}
	for _, p := range authz.Permissions() {
		if authz.Grantable(p.Name) &&
			(len(actions) == 0 || slices.Contains(actions, p.Name) || slices.Contains(actions, p.Class)) {
			out = append(out, p.Name)
		}
	}
	return out
}

// wishedActions are the actions behind the permissions that Flowise's page sends. In Flowise any
// key may run flows. In Sluice that is a separate permission, so it comes with every permission for
// flows of that type.
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

// listKeys answers with the whole list, or with one page and the total number.
func listKeys(ctx context.Context, c builder.AnswerContext) (builder.Answer, error) {
	keys, err := c.OwnKeys(ctx)
	if err != nil {
		return builder.Answer{}, err
	}
	page, errPage := strconv.Atoi(c.Query.Get("page"))
	size, errSize := strconv.Atoi(c.Query.Get("limit"))
	if errPage != nil || errSize != nil || page < 1 || size < 1 || page > 1<<20 || size > 1<<20 {
		return builder.JSON(http.StatusOK, shown(c, keys)), nil
	}
	from := min((page-1)*size, len(keys))
	return builder.JSON(
		http.StatusOK,
		map[string]any{"total": len(keys), "data": shown(c, keys[from:min(from+size, len(keys))])},
	), nil
}

// shown renders keys in Flowise's form. A key that the session has just created is shown in full,
// once.
func shown(c builder.AnswerContext, keys []authn.APIKey) []shownKey {
	out := make([]shownKey, len(keys))
	for i, k := range keys {
		out[i] = keyOf(k, c.Fresh.Take(c.Principal.SessionID, k.ID, c.Now))
	}
	return out
}

// wish is the description of a key that Flowise's page sends.
type wish struct {
	KeyName     string   `json:"keyName"`
	Permissions []string `json:"permissions"`
}

func keyWish(c builder.AnswerContext) (wish, error) {
	return builder.Decode[wish](c, "Send keyName and a list of permissions.")
}

// createKey creates a key for this app. Like Flowise's own answer, the answer is the whole list,
// with the new key in full.
func createKey(ctx context.Context, c builder.AnswerContext) (builder.Answer, error) {
	asked, err := keyWish(c)
	if err != nil {
		return builder.Answer{}, err
	}
	actions, err := wishedActions(asked.Permissions)
	if err != nil {
		return builder.Answer{}, err
	}
	made, secret, err := c.CreateKey(ctx, authn.NewAPIKey{Name: asked.KeyName, Scope: authn.KeyScope{Actions: actions}})
	if err != nil {
		return builder.Answer{}, err
	}
	keys, err := c.OwnKeys(ctx)
	if err != nil {
		return builder.Answer{}, err
	}
	out := shown(c, keys)
	for i := range out {
		if out[i].ID == made.ID {
			out[i].APIKey = secret
		}
	}
	c.Fresh.Keep(c.Principal.SessionID, made.ID, secret, c.Now)
	return builder.JSON(http.StatusOK, out), nil
}

// changeKey changes a key's name and permissions.
func changeKey(ctx context.Context, c builder.AnswerContext) (builder.Answer, error) {
	asked, err := keyWish(c)
	if err != nil {
		return builder.Answer{}, err
	}
	key, err := c.OwnKey(ctx)
	if err != nil {
		return builder.Answer{}, err
	}
	change := authn.APIKeyChange{Name: &asked.KeyName}
	if !samePermissions(shownPermissions(key.Scope.Actions), asked.Permissions) {
		scope := key.Scope
		if scope.Actions, err = wishedActions(asked.Permissions); err != nil {
			return builder.Answer{}, err
		}
		change.Scope = &scope
	}
	if _, err := c.Keys.Update(ctx, c.Principal, key.ID, change); err != nil {
		return builder.Answer{}, err
	}
	keys, err := c.OwnKeys(ctx)
	if err != nil {
		return builder.Answer{}, err
	}
	return builder.JSON(http.StatusOK, shown(c, keys)), nil
}

// samePermissions reports whether the page sent back the permissions it was shown. It ignores those
// that only Sluice has, because the page does not know them.
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

// ownPermission reports whether a permission is missing from Flowise's keys page.
func ownPermission(a authz.Action) bool {
	group, verb, _ := strings.Cut(string(a), ":")
	switch group {
	case "app", "code", "mcp-servers", "members", "keys":
		return true
	}
	return verb == "run" || verb == "use"
}

// revokeKey revokes a key; the answer has the form of Flowise's database result.
func revokeKey(ctx context.Context, c builder.AnswerContext) (builder.Answer, error) {
	key, err := c.OwnKey(ctx)
	if err != nil {
		return builder.Answer{}, err
	}
	if err := c.Keys.Revoke(ctx, c.Principal, key.ID); err != nil {
		return builder.Answer{}, err
	}
	return builder.JSON(http.StatusOK, map[string]any{"raw": []string{}, "affected": 1}), nil
}

// verifyKey reports whether the key in the header is valid. Flowise takes the key from the address,
// where Sluice never reads keys.
func verifyKey(_ context.Context, c builder.AnswerContext) (builder.Answer, error) {
	if c.Principal.KeyID == "" {
		return builder.Answer{}, problem.New(problem.Unauthenticated, "Send the API key as a Bearer token in "+
			"the Authorization header.").
			WithRule("no key")
	}
	return builder.JSON(http.StatusOK, "OK"), nil
}

// streaming answers strangers whether a flow streams: always yes, whether or not the flow exists.
// flowise-sdk asks without the key that it uses to run the flow, and streams only after a yes.
func streaming(context.Context, builder.AnswerContext) (builder.Answer, error) {
	return builder.JSON(http.StatusOK, map[string]bool{"isStreaming": true}), nil
}
