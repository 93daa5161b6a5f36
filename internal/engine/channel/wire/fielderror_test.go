package wire_test

import (
	"errors"
	"strings"
	"testing"

	"borealis/internal/engine/channel/wire"
)

func TestAFieldErrorNamesTheFieldAndNoValue(t *testing.T) {
	t.Parallel()
	var into struct {
		Key  string            `json:"key"`
		N    int               `json:"n"`
		Maps map[string]string `json:"maps"`
	}
	for body, want := range map[string]string{
		`{"key":"x"}`: "", `{"key":"x"}{}`: "credentials: must be one JSON object", `{"key":7}`: "key: must be a text", `{"n":"secret"}`: "n: must be a number", `{"maps":[1]}`: "maps: must be a JSON object",
		`{"kez":"secret"}`: "kez: is unknown", `[]`: "credentials: must be one JSON object", `{"key":`: "credentials: must be one JSON object", ``: "credentials: must be one JSON object",
	} {
		err := wire.ReadCredentials([]byte(body), &into)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", body, err)
			}
			continue
		}
		var field *wire.FieldError
		if !errors.As(err, &field) || err.Error() != want || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}
