package proxy

import (
	"net/url"
	"strings"

	"sluice/internal/problem"
	"sluice/internal/profile"
)

// classify finds the endpoint. What is not in the table stays without one, and authorise refuses it.
func (x *exchange) classify() {
	m, ok := x.app.Profile.Match(x.r.Method, x.path)
	if !ok {
		return
	}
	x.match = m
	x.event.Endpoint = m.Endpoint.Name
	if m.Endpoint.Blocked != "" {
		// A closed route may carry a key in its path (such as verify/apikey/…): the log gets the pattern.
		x.event.Path = m.Endpoint.Pattern
	}
}

// flowID is the id of the flow that the request is about; "" if the endpoint has none or the request does not say. All places that have
// one must agree. The body is read only if the endpoint has the id there.
func (x *exchange) flowID() (string, error) {
	if x.flow != "" {
		return x.flow, nil
	}
	for _, ref := range x.match.Endpoint.Flow {
		id, err := x.idAt(ref)
		if err == nil && id != "" {
			id, err = x.flowAt(ref, id)
		}
		if err != nil {
			return "", err
		}
		if id != "" && x.flow != "" && id != x.flow {
			return "", problem.New(problem.Invalid, "The request names two different flows.").WithRule("flow.id").WithField(ref.Name)
		}
		if id != "" {
			x.flow = id
		}
	}
	x.event.Flow = x.flow
	return x.flow, nil
}

// flowAt is the flow that a text in its place stands for.
func (x *exchange) flowAt(ref profile.IDRef, text string) (string, error) {
	switch {
	case ref.Inside():
		return x.parent(ref, text)
	case ref.Named:
		return x.flowNamed(ref, text)
	}
	return text, nil
}

func (x *exchange) idAt(ref profile.IDRef) (string, error) {
	switch ref.In {
	case profile.InPath:
		id := x.match.Param(ref.Name)
		if strings.IndexByte(id, '%') >= 0 {
			return url.PathUnescape(id)
		}
		return id, nil
	case profile.InQuery:
		return x.query.Get(ref.Name), nil
	default:
		if err := x.inspect(); err != nil {
			return "", err
		}
		return x.body.textAt(ref.Name)
	}
}
