package profile

import (
	"context"
	"net/http"
	"strings"

	"sluice/internal/problem"
)

// SetPublic sets a flow's own isPublic mark. A stranger's request goes to Flowise without any session, and Flowise then shows its chat page only for flows with that
// mark. Errors: problem.NotFound if there is no such flow, problem.Upstream or Unavailable if Flowise gives no usable answer.
func (b *FlowiseBridge) SetPublic(ctx context.Context, flowID string, public bool) error {
	if flowID == "" || !PlainID(flowID) {
		return problem.New(problem.Invalid, "This is not a flow's id.").WithField("flow_id")
	}
	s, err := b.current(ctx)
	if err != nil {
		return err
	}
	r, err := b.client.send(ctx, http.MethodPut, "/api/v1/chatflows/"+flowID, s.cookie[0], map[string]bool{"isPublic": public})
	if err != nil {
		return err
	}
	id, _ := r.object()["id"].(string)
	switch {
	case r.status == http.StatusOK && id == flowID:
		return nil
	case r.status == http.StatusNotFound, strings.Contains(r.text("message"), "not found"):
		return problem.New(problem.NotFound, "There is no flow with this id in Flowise.").WithField("flow_id").
			WithNext("Copy the id from the end of the flow's address in the builder.")
	}
	return problem.Newf(problem.Upstream, "Flowise did not take the change (status %d).", r.status).WithNext("See Flowise's own log.")
}
