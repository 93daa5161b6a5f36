package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// MaxCredentials bounds what is read of an account, in bytes: a key file has about 3 KB, two certificates with their chains 20.
const MaxCredentials = 64 << 10

// ReadFields reads credentials, a JSON object, into a struct with a json tag for each field that the vendor has. The
// error is a *FieldError: for a field that is not known, one of another type, and for what is no object.
func ReadFields(raw []byte, into any) error {
	if len(raw) > MaxCredentials {
		return &FieldError{Field: "credentials", Reason: "must have at most 64 KB"}
	}
	if !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		return &FieldError{Field: "credentials", Reason: "must be a JSON object"}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fieldError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &FieldError{Field: "credentials", Reason: "must be one JSON object"}
	}
	return nil
}

// maxKey bounds a key of credentials, in bytes.
const maxKey = 256

// CheckKey checks an id or secret that a vendor hands out: visible ASCII without spaces, so that it can stand in a header. The error is a
// *FieldError.
func CheckKey(field, value string, needed bool) error {
	switch {
	case value == "" && needed:
		return &FieldError{Field: field, Reason: "is missing"}
	case len(value) > maxKey || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return &FieldError{Field: field, Reason: "must be visible ASCII, at most 256 bytes, without spaces"}
	}
	return nil
}

// fieldError leaves out what the text says: it may quote a secret.
func fieldError(err error) *FieldError {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return &FieldError{Field: "credentials", Reason: "must be a JSON object"}
		}
		return &FieldError{Field: wrong.Field, Reason: "must not be a JSON " + wrong.Value}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &FieldError{Field: CutRunes(strings.Trim(name, `"`), 64), Reason: "is not a field of these credentials"}
	}
	return &FieldError{Field: "credentials", Reason: "must be a JSON object"}
}
