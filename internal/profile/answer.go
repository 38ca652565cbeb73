package profile

import (
	"encoding/json"
	"net/http"

	"sluice/internal/problem"
)

// JSON is an answer with a value that Sluice itself built; marshaling such values cannot fail.
func JSON(status int, body any) Answer {
	data, err := json.Marshal(body)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"message":"Sluice could not write this answer."}`)
	}
	return Answer{
		Status: status,
		Header: http.Header{
			"Content-Type":           {"application/json; charset=utf-8"},
			"Cache-Control":          {"no-store"},
			"X-Content-Type-Options": {"nosniff"},
		},
		Body: data,
	}
}

// rfc9457 is the error shape for builders that have none of their own.
func rfc9457(e *problem.Error, requestID string) (string, any) {
	return problem.ContentType, e.Document(requestID)
}
