package app

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"borealis/internal/engine/device"
	"borealis/internal/engine/gate"
	"borealis/internal/platform/account"
	"borealis/internal/service/push"
	"borealis/internal/service/stat"
)

// The table of docs/compatibility.md has exactly the routes that are served.
func TestCompatibilityTable(t *testing.T) {
	t.Parallel()
	var served []string
	note := func(pattern string, _ gate.Handler) { served = append(served, pattern) }
	(&push.Service{}).CompatRoutes(note)
	(&push.Service{}).CompatReportRoutes(note)
	noteGroup := func(pattern string, _ gate.GroupHandler) { served = append(served, pattern) }
	(&push.Service{}).CompatGroupRoutes(noteGroup)
	(&push.Service{}).CompatGroupReportRoutes(noteGroup)
	(&device.Registry{}).CompatRoutes(note)
	(&push.Service{}).CompatDeviceRoutes(note)
	(&push.Service{}).CompatScheduleRoutes(note)
	(&stat.Users{}).CompatRoutes(note)
	(&stat.Users{}).GroupCompatRoutes(noteGroup)
	(&push.Service{}).CompatFileRoutes(func(pattern string, _ gate.Handler, _ gate.DeveloperHandler) { served = append(served, pattern) })
	(&account.Service{}).CompatRoutes(func(pattern string, _ gate.DeveloperHandler) { served = append(served, pattern) })
	doc, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /[^`]+)` \\| [0-9.]+ \\|").FindAllSubmatch(doc, -1) {
		documented = append(documented, string(m[1]))
	}
	slices.Sort(served)
	slices.Sort(documented)
	if !slices.Equal(served, documented) {
		t.Errorf("served:\n%q\ndocumented:\n%q", served, documented)
	}
}

// The committed OpenAPI document is the one the routes make.
func TestOpenAPIDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	doc, err := OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(doc) != string(committed) {
		t.Error("api/openapi.yaml is not what the routes make; run `make gen` and review the difference")
	}
}
