package compat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"unicode/utf8"
)

// Body reads the whole body of a call, whatever media type it claims. Longer than limit bytes is 1005.
func Body(r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, unreadable(err, limit)
	}
	if int64(len(body)) > limit {
		return nil, tooLarge(limit)
	}
	return body, nil
}

func tooLarge(limit int64) *Error {
	return Errorf(http.StatusBadRequest, 1005, "body must not be larger than %d bytes", limit)
}

// unreadable is the answer to a body whose reader failed; limit is the one to name.
func unreadable(err error, limit int64) *Error {
	if _, beyond := errors.AsType[*http.MaxBytesError](err); beyond {
		return tooLarge(limit)
	}
	return Errorf(http.StatusBadRequest, 1003, "body could not be read: %s", err)
}

// Decode unmarshals a JSON body as clients send it: empty and null are no body, an empty array is an empty object.
// The error is for people and carries no code.
func Decode(body []byte, into any) error {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0, string(body) == "null", string(body) == "[]":
		return nil
	case !utf8.Valid(body):
		return errors.New("body is not valid UTF-8")
	}
	if err := json.Unmarshal(body, into); err != nil {
		if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%s: a JSON %s is not accepted here", kind.Field, kind.Value)
		}
		return errors.New("body is not valid JSON")
	}
	return nil
}
