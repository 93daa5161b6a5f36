package compat

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	internal := Errorf(500, 1000, "Internal error.")
	cases := map[string]struct {
		write  func(w *httptest.ResponseRecorder)
		status int
		body   string
	}{
		"empty": {func(w *httptest.ResponseRecorder) { WriteEmpty(w) }, 200, `{}`},
		"error": {func(w *httptest.ResponseRecorder) { WriteError(w, Errorf(400, 1011, "no %s", "target"), internal) }, 400, `{"error":{"code":1011,"message":"no target"}}`},
		"wrapped": {func(w *httptest.ResponseRecorder) {
			WriteError(w, fmt.Errorf("x: %w", Errorf(401, 1004, "no")), internal)
		}, 401, `{"error":{"code":1004,"message":"no"}}`},
		"illegal": {func(w *httptest.ResponseRecorder) {
			WriteError(w, &Error{HTTP: 400, Code: 7003, Message: "m", IllegalRIDs: []string{"r"}}, internal)
		}, 400, `{"error":{"code":7003,"message":"m","illegal_rids":["r"]}}`},
		"unknown":       {func(w *httptest.ResponseRecorder) { WriteError(w, errors.New("secret detail"), internal) }, 500, `{"error":{"code":1000,"message":"Internal error."}}`},
		"flat":          {func(w *httptest.ResponseRecorder) { WriteFlat(w, map[string]int{"n": 1}) }, 200, `{"code":0,"message":"success","data":{"n":1}}`},
		"flat, no data": {func(w *httptest.ResponseRecorder) { WriteFlat(w, nil) }, 200, `{"code":0,"message":"success"}`},
		"flat error": {func(w *httptest.ResponseRecorder) {
			WriteFlatError(w, &Error{HTTP: 400, Code: 1003, Message: "m", IllegalRIDs: []string{"r"}}, internal)
		}, 400, `{"code":1003,"message":"m"}`},
		"flat, unknown": {func(w *httptest.ResponseRecorder) { WriteFlatError(w, errors.New("secret detail"), internal) }, 500, `{"code":1000,"message":"Internal error."}`},
		"unusable":      {func(w *httptest.ResponseRecorder) { Write(w, 200, func() {}) }, 500, `{"error":{"code":1000,"message":"internal error"}}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			c.write(w)
			if w.Code != c.status || w.Body.String() != c.body {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			h := w.Header()
			if h.Get("Content-Type") != "application/json; charset=utf-8" || h.Get("Content-Length") != fmt.Sprint(len(c.body)) {
				t.Errorf("headers %v", h)
			}
		})
	}
}

// Two public clients take an answer with these words for a success.
func TestErrorsNeverLookLikeSuccess(t *testing.T) {
	t.Parallel()
	if e := Errorf(400, 1003, "%s, %s", "override_msg_id", "schedule_ids"); e.Message != "override_msg id, schedule ids" {
		t.Errorf("message %q", e.Message)
	}
}
