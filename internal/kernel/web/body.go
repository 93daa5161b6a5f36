package web

import (
	"errors"
	"io"
	"net/http"
)

// limitedBody is a request body that ends with *http.MaxBytesError when it is longer than its limit.
type limitedBody struct {
	body   io.ReadCloser
	header http.Header // of the answer
	limit  int64
	// declared is the Content-Length, -1 if there is none.
	declared int64
	read     int64
	err      error // sticky
}

// Read is part of io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.declared > b.limit {
		return 0, b.refuse()
	}
	// One byte more than allowed is asked for, to tell "exactly the limit" from "more".
	if room := b.limit - b.read + 1; int64(len(p)) > room {
		p = p[:room]
	}
	n, err := b.body.Read(p)
	b.read += int64(n)
	if over := b.read - b.limit; over > 0 {
		return n - int(over), b.refuse()
	}
	b.err = err
	return n, err
}

// refuse makes the limit final and keeps the server from reading the rest of the body before it answers.
func (b *limitedBody) refuse() error {
	b.err = &http.MaxBytesError{Limit: b.limit}
	b.header.Set("Connection", "close")
	return b.err
}

// Close is part of io.Closer.
func (b *limitedBody) Close() error { return b.body.Close() }

// AllowBody sets another limit for the body of r, in bytes, e.g. for an upload. Call it before reading.
func AllowBody(r *http.Request, limit int64) {
	if b, ok := r.Body.(*limitedBody); ok {
		b.limit = limit
	}
}

// IsTooLarge reports whether err comes from a body beyond its limit.
func IsTooLarge(err error) bool {
	var tooLarge *http.MaxBytesError
	return errors.As(err, &tooLarge)
}
