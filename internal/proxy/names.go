package proxy

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"

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
	builder := x.accounts()
	if builder == nil || !x.who.SignedIn() || x.at.workspace == "" || len(name) > maxFlowName {
		return "", noSuchObject()
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), resolveTimeout)
	defer cancel()
	id, err := builder.FlowNamed(ctx, x.inWorkspace(x.at.workspace), name)
	if problem.Is(err, problem.NotFound) || err == nil && !plainUUID(id) {
		return "", noSuchObject()
	}
	return strings.ToLower(id), err
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
