package compat

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBodyIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body io.Reader
		code int
	}{
		{strings.NewReader(""), 0},
		{strings.NewReader("1234567890"), 0},
		{strings.NewReader("12345678901"), 1005},
		{http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader("12345678")), 5), 1005},
		{io.MultiReader(strings.NewReader("1"), broken{}), 1003},
	} {
		got, err := Body(httptest.NewRequest(http.MethodPost, "/", c.body), 10)
		e, _ := errors.AsType[*Error](err)
		if (c.code == 0) != (err == nil) || c.code != 0 && (e == nil || e.Code != c.code) {
			t.Errorf("code %d: %q, %v", c.code, got, err)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestDecodeAsClientsWrite(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"": "", " \r\n": "", "null": "", " [] ": "", "{}": "", `{"a":"x"}`: "x", `{"a":"x","b":1}`: "x",
		`{"a":1}`: "error: a: a JSON number is not accepted here", `{`: "error: body is not valid JSON", `{"a":"x"}{}`: "error: body is not valid JSON",
		"{\"a\":\"\xff\"}": "error: body is not valid UTF-8",
	} {
		var into struct {
			A string `json:"a"`
		}
		err := Decode([]byte(body), &into)
		got := into.A
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}
