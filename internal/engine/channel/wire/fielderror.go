package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// ReadCredentials reads one JSON object into a struct, whose fields are all there may be. The error is a *FieldError that
// names the field and repeats no value.
func ReadCredentials(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && !d.More() {
		return nil
	}
	if err == nil {
		return &FieldError{Field: "credentials", Reason: "must be one JSON object"}
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return &FieldError{Field: kind.Field, Reason: "must be a " + kindName(kind.Type.Kind().String())}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &FieldError{Field: strings.Trim(clip(name), `"`), Reason: "is unknown"}
	}
	return &FieldError{Field: "credentials", Reason: "must be one JSON object"}
}

func kindName(kind string) string {
	switch kind {
	case "string":
		return "text"
	case "bool":
		return "boolean"
	case "map", "struct", "ptr":
		return "JSON object"
	case "slice":
		return "JSON array"
	}
	return "number"
}
