package wire

import (
	"bytes"
	"encoding/json"
)

// JSON is a value as JSON without the escapes that HTML needs: vendors would count them.
func JSON(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
