package wiretest

import (
	"io"
	"net/http"
	"strings"
)

// Answers is a transport without a network, for fuzz tests: each call is answered with a status and a body.
type Answers func(*http.Request) (status int, body string)

// RoundTrip answers one call.
func (a Answers) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := a(r)
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}
