package compat

import (
	"errors"
	"net/http"
	"strings"
)

// flatBody is the envelope of template pushes, plans and quotas. An error has exactly code and message: one public
// client cannot read more than that in an answer other than 200.
type flatBody struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// WriteFlat writes the success of an endpoint with the flat envelope; nil is no data.
func WriteFlat(w http.ResponseWriter, data any) {
	Write(w, http.StatusOK, flatBody{Message: "success", Data: data})
}

// WriteFlatError is WriteError in the flat envelope.
func WriteFlatError(w http.ResponseWriter, err error, internal *Error) {
	var e *Error
	if !errors.As(err, &e) {
		e = internal
	}
	Write(w, e.HTTP, flatBody{Code: e.Code, Message: e.Message})
}

// ErrorWriter is WriteError or WriteFlatError.
type ErrorWriter func(w http.ResponseWriter, err error, internal *Error)

// ErrorWriterFor is the one that clients of the call at a path can read. The flat envelope is that of template pushes and
// plans; quotas have it for success only.
func ErrorWriterFor(path string) ErrorWriter {
	for _, flat := range [...]string{"/v3/push/template", "/v3/push_plan"} {
		if path == flat || strings.HasPrefix(path, flat+"/") {
			return WriteFlatError
		}
	}
	return WriteError
}
