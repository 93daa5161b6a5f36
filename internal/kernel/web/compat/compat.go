// Package compat writes answers in the shapes of Jiguang's REST APIs, with what real clients of it depend on: always a
// JSON body with Content-Type and Content-Length, in one piece; `{}` instead of an empty success; error codes as
// numbers; never a redirect.
package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Error is an answer other than success. It is an error value, so domain code returns it as is.
type Error struct {
	// HTTP status, e.g. 400.
	HTTP int
	// Code of the vendor's tables, e.g. 1011.
	Code int
	// Message for people. It must not contain the words "msg_id" or "schedule_id": two public clients take an answer
	// with these words for a success.
	Message string
	// IllegalRIDs are the registration ids that were refused, where the endpoint names them.
	IllegalRIDs []string
}

// Error makes *Error an error.
func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// Errorf builds an Error. The words that a message must not contain are rewritten, wherever the arguments have them from.
func Errorf(httpStatus, code int, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	for _, word := range [...]string{"msg_id", "schedule_id"} {
		message = strings.ReplaceAll(message, word, strings.ReplaceAll(word, "_", " "))
	}
	return &Error{HTTP: httpStatus, Code: code, Message: message}
}

type envelope struct {
	Error *ErrorBody `json:"error"`
}

// ErrorBody is an error as answers carry it.
type ErrorBody struct {
	Code        int      `json:"code"`
	Message     string   `json:"message"`
	IllegalRIDs []string `json:"illegal_rids,omitempty"`
}

// BodyOf is an error for answers that carry one for each item. An err that is not an *Error becomes internal (its text
// is not shown).
func BodyOf(err error, internal *Error) *ErrorBody {
	var e *Error
	if !errors.As(err, &e) {
		e = internal
	}
	return &ErrorBody{Code: e.Code, Message: e.Message, IllegalRIDs: e.IllegalRIDs}
}

// ErrorEnvelope is the standard error envelope as a value, for answers that hold several.
func ErrorEnvelope(err error, internal *Error) any { return envelope{Error: BodyOf(err, internal)} }

// WriteError writes the standard error envelope. An err that is not an *Error becomes internal (its text is not shown).
func WriteError(w http.ResponseWriter, err error, internal *Error) {
	status := internal
	if e, known := errors.AsType[*Error](err); known {
		status = e
	}
	Write(w, status.HTTP, envelope{Error: BodyOf(err, internal)})
}

// WriteEmpty writes the success of an endpoint that has nothing to say.
func WriteEmpty(w http.ResponseWriter) { Write(w, http.StatusOK, struct{}{}) }

// Write writes v as the whole JSON answer.
func Write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":{"code":1000,"message":"internal error"}}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
