package langflow

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"sluice/internal/builder"
	"sluice/internal/problem"
)

// Langflow's pages from 1.10 on ask what a person may do with the objects they show, and hide the
// rest. Older pages know nothing about permissions. The requests that they send automatically on a
// viewer's screen get answers that let the page continue.

// rightsQuestion asks what a person may do with some objects of one type.
type rightsQuestion struct {
	Type    string   `json:"resource_type"`
	IDs     []string `json:"resource_ids"`
	Actions []string `json:"actions"`
}

// rights is the answer: Langflow's words for actions, by object.
type rights struct {
	Type        string              `json:"resource_type"`
	Permissions map[string][]string `json:"permissions"`
}

// pageActions are Langflow's words for actions, in its own order.
var pageActions = []string{"read", "write", "execute", "delete", "create"}

// actionRows are the rows of the table behind these actions. An action that is missing here is
// always denied.
var actionRows = map[string]map[string]string{
	"flow": {
		"read":    "flows.get",
		"write":   "flows.update",
		"execute": "build",
		"delete":  "flows.delete",
		"create":  "flows.create",
	},
	"project": {
		"read":    "projects.get",
		"write":   "projects.update",
		"execute": "build",
		"delete":  "projects.delete",
		"create":  "projects.create",
	},
	"variable": {
		"read":   "variables.list",
		"write":  "variables.update",
		"delete": "variables.delete",
		"create": "variables.create",
	},
	"file": {"read": "store.files.get", "write": "store.files.rename", "delete": "store.files.delete"},
}

// mostAsked is the largest number of objects that Langflow's page asks about at once.
const mostAsked = 500

func answerPermissions(_ context.Context, c asked) (builder.Answer, error) {
	asked, err := decode[rightsQuestion](c)
	if err != nil {
		return builder.Answer{}, err
	}
	if len(asked.IDs) > mostAsked {
		return builder.Answer{}, problem.Newf(problem.Invalid, "Ask about at most %d objects at a time.", mostAsked).
			WithField("resource_ids")
	}
	actions := asked.Actions
	if len(actions) == 0 {
		actions = pageActions
	}
	out := rights{Type: asked.Type, Permissions: make(map[string][]string, len(asked.IDs))}
	for _, id := range asked.IDs {
		out.Permissions[id] = []string{}
		for _, action := range pageActions {
			row := actionRows[asked.Type][action]
			if row != "" && slices.Contains(actions, action) && c.May(row, id) {
				out.Permissions[id] = append(out.Permissions[id], action)
			}
		}
	}
	return builder.JSON(http.StatusOK, out), nil
}

// deniedSave answers a page that automatically saves the flow a viewer has open. A page that knows
// the flow as locked gets the stored flow. On any other page the viewer must learn that their
// changes are not saved.
func deniedSave(_ context.Context, c asked) (builder.Answer, error) {
	sent, err := decode[struct {
		Locked bool `json:"locked"`
	}](c)
	if err != nil || sent.Locked {
		return builder.Answer{Read: true}, err
	}
	return builder.Answer{}, problem.New(problem.Denied, "You can view this flow but not change it. Nothing was "+
		"saved.").
		WithRule("view only")
}

// deniedComponent answers with the component as sent: nothing about it changes unless its code
// runs. The page adopts the outputs of the answer, which it does not send. It keeps its own if
// outputs is false or, when it refreshes the choice of models, if outputs is missing.
func deniedComponent(_ context.Context, c asked) (builder.Answer, error) {
	sent, err := decode[struct {
		Template map[string]json.RawMessage `json:"template"`
	}](c)
	if err != nil {
		return builder.Answer{}, err
	}
	out := map[string]any{"template": sent.Template}
	if string(sent.Template["is_refresh"]) != "true" {
		out["outputs"] = false
	}
	for _, added := range [...]string{"is_refresh", "_frontend_node_flow_id", "_frontend_node_folder_id"} {
		delete(sent.Template, added)
	}
	return builder.JSON(http.StatusOK, out), nil
}

// deniedQuiet answers with an empty object.
func deniedQuiet(context.Context, asked) (builder.Answer, error) {
	return builder.JSON(http.StatusOK, struct{}{}), nil
}

// deniedList answers with an empty list.
func deniedList(context.Context, asked) (builder.Answer, error) {
	return builder.JSON(http.StatusOK, []struct{}{}), nil
}
