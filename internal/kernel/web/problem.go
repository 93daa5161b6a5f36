package web

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// FieldError is one field of a request that is wrong.
type FieldError struct {
	// Location is where it is, e.g. "body.name" or "query.limit".
	Location string `json:"location,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
}

// Problem is an error answer in the form of RFC 9457.
type Problem struct {
	// Type is a URI that identifies the kind of problem; empty means about:blank, where Title is the status text.
	Type   string       `json:"type,omitempty"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Errors []FieldError `json:"errors,omitempty"`
	// Instance identifies this occurrence: WriteProblem fills in the request id as urn:request:<id>.
	Instance string `json:"instance,omitempty"`
}

// WriteProblem writes p as the whole answer. Status 0 becomes 500, an empty Title the status text.
func WriteProblem(w http.ResponseWriter, r *http.Request, p Problem) {
	if p.Status == 0 {
		p.Status = http.StatusInternalServerError
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	if id := RequestID(r.Context()); p.Instance == "" && id != "" {
		p.Instance = "urn:request:" + id
	} else if id := w.Header().Get(HeaderRequestID); p.Instance == "" && id != "" {
		p.Instance = "urn:request:" + id // outside of the identifying middleware, i.e. while recovering
	}
	body, err := json.Marshal(p)
	if err != nil { // not with these types
		body = []byte(`{"title":"Internal Server Error","status":500}`)
		p.Status = http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}
