package problem

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// ContentType is the media type of a Document (RFC 9457 section 6.1).
const ContentType = "application/problem+json"

// Document is the RFC 9457 form of an Error.
type Document struct {
	// Type is a URI reference that names the kind, e.g. "/problems/denied".
	Type string `json:"type"`
	// Title is the kind's short name.
	Title string `json:"title"`
	// Status repeats the HTTP status.
	Status int `json:"status"`
	// Detail is the sentence of this occurrence.
	Detail string `json:"detail,omitempty"`
	// Instance is the request's id, which is also in the log.
	Instance string `json:"instance,omitempty"`
	// Next is the recommended next step.
	Next string `json:"next,omitempty"`
	// Field is the input that the problem concerns.
	Field string `json:"field,omitempty"`
	// Rule is the rule that decided.
	Rule string `json:"rule,omitempty"`
}

// Document renders the error for a request with the given id.
func (e *Error) Document(requestID string) Document {
	return Document{
		Type: "/problems/" + e.Kind.String(), Title: e.Kind.Title(), Status: e.Kind.Status(), Detail: e.Detail,
		Instance: requestID, Next: e.Next, Field: e.Field, Rule: e.Rule,
	}
}

// SetHeaders sets the headers that go with an error in any form: Retry-After in whole seconds (RFC
// 9110 section 10.2.3), and the challenge that requests a fresh proof of identity (RFC 9470 section
// 3).
func (e *Error) SetHeaders(h http.Header) {
	if e.Kind == StepUp {
		h.Set("WWW-Authenticate", e.challenge())
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(float64(e.RetryAfter)/float64(time.Second))), 10))
	}
	h.Set("Cache-Control", "no-store")
}

// challenge omits the detail, which may contain characters that are not allowed in a quoted string
// (RFC 6750 section 3).
func (e *Error) challenge() string {
	text := `Bearer error="insufficient_user_authentication", error_description="More recent authentication is required"`
	if e.MaxAge > 0 {
		text += fmt.Sprintf(`, max_age="%.0f"`, e.MaxAge.Seconds())
	}
	return text
}

// WriteJSON answers a request with the error's document.
func WriteJSON(w http.ResponseWriter, e *Error, requestID string) {
	body, err := json.Marshal(e.Document(requestID))
	if err != nil {
		body = []byte(`{"status":500}`)
	}
	e.SetHeaders(w.Header())
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Kind.Status())
	_, _ = w.Write(body)
}
