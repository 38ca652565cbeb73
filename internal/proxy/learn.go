package proxy

import (
	"context"
	"encoding/json"

	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// learn remembers what an answer tells of what lies in the object that the request names. It returns the answer that goes on: sessions of other workspaces are taken out of it.
func (x *exchange) learn(body []byte) ([]byte, error) {
	lesson := x.match.Endpoint.Result.Learn
	parent := x.lessonParent(lesson)
	ids := objects.LessonIDs(body, lesson)
	switch lesson.Kind {
	case profile.Job:
		for _, id := range ids {
			if err := x.startJob(id, parent); err != nil {
				return nil, err
			}
		}
	case profile.ChatSession:
		return x.learnChats(ids, parent, body)
	default:
		for _, id := range ids {
			x.p.cfg.Apps.Flows.Learn(x.app.ID, id, parent)
		}
	}
	return body, nil
}

// lessonParent is the object that a lesson names by its place in the request.
func (x *exchange) lessonParent(lesson *profile.Lesson) string {
	if lesson.Kind != "" && x.flow != "" {
		return x.flow
	}
	if id := x.match.Param(lesson.Parent); id != "" {
		return id
	}
	if id := x.query.Get(lesson.Parent); id != "" {
		return id
	}
	if x.body == nil {
		return ""
	}
	id, err := x.body.textAt(lesson.Parent)
	if err != nil {
		return ""
	}
	return id
}

// startJob records a run that goes on, before anybody knows its id.
func (x *exchange) startJob(id, flowID string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), objects.ClaimTimeout)
	defer cancel()
	if err := x.p.cfg.Apps.Flows.StartJob(ctx, x.app.ID, id, flow.Job{Flow: flowID, Person: x.who.ID}); err != nil {
		return problem.New(problem.Unavailable, "The run was started, but Sluice could not record whose it is.").WithRule("job not recorded").WithNext("Run the flow again.").WithCause(err)
	}
	return nil
}

// learnChats remembers the sessions of a flow. Where the request names no flow, only those remain that are known as the workspace's.
func (x *exchange) learnChats(ids []string, flowID string, body []byte) ([]byte, error) {
	library := x.p.cfg.Apps.Flows
	kept := make([]string, 0, len(ids))
	for _, id := range ids {
		if flowID != "" && len(id) <= objects.MaxChat {
			library.LearnChat(x.app.ID, id, flow.Chat{Workspace: x.at.Workspace, Flow: flowID})
		}
		if c, ok := library.ChatOf(x.app.ID, id); ok && c.Workspace == x.at.Workspace {
			kept = append(kept, id)
		}
	}
	if len(kept) == len(ids) {
		return body, nil
	}
	return json.Marshal(kept)
}
