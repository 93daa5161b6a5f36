package sdk

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// object is a JSON object.
type object = map[string]any

// scenario is a file of sdk/scenarios.
type scenario struct {
	file      string
	Name      string            `json:"name"`
	About     string            `json:"about"`
	Settings  map[string]string `json:"settings"`
	Configure object            `json:"configure"`
	Only      []string          `json:"only"`
	Steps     []object          `json:"steps"`
}

// scenarios reads all of them.
func scenarios(t testing.TB) []scenario {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "sdk", "scenarios", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	var list []scenario
	names := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := scenario{file: filepath.Base(file)}
		if err := decodeStrictly(data, &s); err != nil {
			t.Fatalf("%s: %v", s.file, err)
		}
		if other := names[s.Name]; s.Name == "" || other != "" {
			t.Fatalf("%s: the name %q is empty or that of %s", s.file, s.Name, other)
		}
		names[s.Name] = s.file
		for i, step := range s.Steps {
			if err := checkStep(step); err != nil {
				t.Fatalf("%s: step %d: %v", s.file, i+1, err)
			}
		}
		list = append(list, s)
	}
	return list
}

// members a step may have besides its word.
var members = map[string][]string{
	"sdk": {
		"version", "purposes", "tags", "alias", "attributes", "timezone", "channel", "token", "environment", "from", "to", "enabled", "id",
		"mode", "failures", "random", "retry_after_ms", "returns", "failed", "async", "times",
		"payload", "text", "ids", "type", // of the browser's own commands
	},
	"expect":     {"with", "as"},
	"server":     {"body", "as", "id"},
	"network":    {"path", "status", "times", "retry_after", "code", "payload", "text", "base64", "acknowledged"},
	"eventually": {"of", "is"},
	"check":      {"of", "is"},
}

// word is what a step is about.
func word(step object) string {
	for w := range members {
		if _, ok := step[w]; ok {
			return w
		}
	}
	return ""
}

func checkStep(step object) error {
	w := word(step)
	if _, ok := step[w].(string); !ok {
		return fmt.Errorf("%v has none of the words, or not as a string", step)
	}
	for name := range step {
		if name != w && !slices.Contains(members[w], name) {
			return fmt.Errorf("%q is no member of a step with %q", name, w)
		}
	}
	return nil
}

func decodeStrictly(data []byte, into any) error {
	in := json.NewDecoder(newReader(data))
	in.DisallowUnknownFields()
	return in.Decode(into)
}

// subset says where got is not as want demands: objects in want may have fewer members, everything else is equal.
func subset(want, got any) error {
	members, ok := want.(object)
	if !ok {
		if a, b := text(want), text(got); a != b {
			return fmt.Errorf("is %s, want %s", b, a)
		}
		return nil
	}
	have, ok := got.(object)
	if !ok {
		return fmt.Errorf("is %s, want an object", text(got))
	}
	for name, v := range members {
		if err := subset(v, have[name]); err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
	}
	return nil
}

// text is v as JSON with sorted members.
func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// plain is v as encoding/json decodes what it encodes.
func plain(v any) any {
	var out any
	if err := json.Unmarshal([]byte(text(v)), &out); err != nil {
		return err.Error()
	}
	return out
}
