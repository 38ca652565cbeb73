package proxy

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/google/uuid"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// maxFlowName is the longest endpoint name of a flow that is looked for, in bytes.
const maxFlowName = 255

// flowNamed is the id that a text in a flow's place stands for: an id in any spelling that the builder understands, or the endpoint name of a flow in the accounts of the person's workspace.
// What is judged is put in the text's place.
func (x *exchange) flowNamed(ref profile.IDRef, text string) (string, error) {
	id, ok := pythonUUID(text)
	if !ok {
		var err error
		if id, err = x.lookUpName(text); err != nil {
			return "", err
		}
	}
	if id != text {
		x.match.SetParam(ref.Name, id)
	}
	return id, nil
}

func (x *exchange) lookUpName(name string) (string, error) {
	accounts := x.accounts()
	if accounts == nil || !x.who.SignedIn() || x.at.workspace == "" || len(name) > maxFlowName {
		return "", noSuchObject()
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), resolveTimeout)
	defer cancel()
	for _, home := range x.homes(accounts) {
		id, err := accounts.FlowNamed(ctx, x.inWorkspace(home), name)
		if err == nil && plainUUID(id) {
			return strings.ToLower(id), nil
		}
		if err != nil && !problem.Is(err, problem.NotFound) {
			return "", err
		}
	}
	return "", noSuchObject()
}

// maxHomes is in how many other workspaces' accounts an endpoint name is looked for.
const maxHomes = 10

// homes are the workspace that the request is about, and those whose accounts hold something of it. Whose the flow is that is found there the map says afterwards.
func (x *exchange) homes(accounts *builder.Accounts) []string {
	list := []string{x.at.workspace}
	for _, account := range x.up.objects.AccountsIn(x.at.workspace) {
		if home := accounts.HomeOf(account); home != "" && !slices.Contains(list, home) && len(list) <= maxHomes {
			list = append(list, home)
		}
	}
	return list
}

// pythonUUID reads what Python's UUID class takes for one: 32 hexadecimal digits after "urn:" and "uuid:" are removed, with hyphens anywhere and braces around.
func pythonUUID(text string) (id string, ok bool) {
	digits := strings.NewReplacer("urn:", "", "uuid:", "").Replace(text)
	digits = strings.ReplaceAll(strings.Trim(digits, "{}"), "-", "")
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 16 {
		return "", false
	}
	return uuid.UUID(raw).String(), true
}
