package flowise

import (
	"context"
	"net/http"
	"strings"

	"sluice/internal/problem"
	"sluice/internal/profile"
)

// setPublic sets a flow's own isPublic mark. A stranger's request goes to Flowise without any
// session, and Flowise then shows its chat page only for flows with that mark. Errors:
// problem.NotFound if there is no such flow, problem.Upstream or Unavailable if Flowise gives no
// usable answer.
func (b *bridge) setPublic(ctx context.Context, _, flowID string, public bool) error {
	if flowID == "" || !profile.PlainID(flowID) {
		return problem.New(problem.Invalid, "This is not a flow's id.").WithField("flow_id")
	}
	s, err := b.current(ctx)
	if err != nil {
		return err
	}
	r, err := b.client.Send(
		ctx,
		http.MethodPut,
		"/api/v1/chatflows/"+flowID,
		s.header,
		map[string]bool{"isPublic": public},
	)
	if err != nil {
		return err
	}
	id, _ := r.Object()["id"].(string)
	switch {
	case r.Status == http.StatusOK && id == flowID:
		return nil
	case r.Status == http.StatusNotFound, strings.Contains(r.Text("message"), "not found"):
		return problem.New(problem.NotFound, "There is no flow with this id in Flowise.").WithField("flow_id").
			WithNext("Copy the id from the end of the flow's address in the builder.")
	}
	return problem.Newf(problem.Upstream, "Flowise did not take the change (status %d).", r.Status).
		WithNext("See Flowise's own log.")
}
