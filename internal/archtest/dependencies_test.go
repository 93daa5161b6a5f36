package archtest

import (
	"regexp"
	"strings"
	"testing"
)

// requirements are the modules in go.mod, true for those marked as indirect.
func requirements(t *testing.T) map[string]bool {
	t.Helper()
	list := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*(\S+) v\S+( // indirect)?$`).FindAllStringSubmatch(read(t, "go.mod"), -1) {
		list[m[1]] = m[2] != ""
	}
	if len(list) == 0 {
		t.Fatal("go.mod requires nothing: it is not read rightly")
	}
	return list
}

// reasons are the lines of DEPENDENCIES.md: | `module` | reason |.
func reasons(t *testing.T) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\|$").FindAllStringSubmatch(read(t, "DEPENDENCIES.md"), -1) {
		if list[m[1]] != "" {
			t.Errorf("DEPENDENCIES.md has %s twice", m[1])
		}
		list[m[1]] = strings.TrimSpace(m[2])
	}
	return list
}

// direct are the modules our code imports.
func direct(t *testing.T, required map[string]bool) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, u := range uses(t) {
		first, _, _ := strings.Cut(u.to, "/")
		if !strings.Contains(first, ".") {
			continue // the standard library, or ours
		}
		owner := ""
		for m := range required {
			if within(u.to, m) && len(m) > len(owner) {
				owner = m
			}
		}
		if owner == "" {
			t.Errorf("%s imports %s, which go.mod does not require", u.file, u.to)
			continue
		}
		list[owner] = u.file
	}
	return list
}

func TestEveryDependencyHasAReason(t *testing.T) {
	t.Parallel()
	required, why := requirements(t), reasons(t)
	for m, file := range direct(t, required) {
		if why[m] == "" {
			t.Errorf("%s imports %s, which has no line in DEPENDENCIES.md", file, m)
		}
	}
	for m, indirect := range required {
		if !indirect && why[m] == "" {
			t.Errorf("go.mod requires %s directly, which has no line in DEPENDENCIES.md", m)
		}
	}
	for m := range why {
		if _, ok := required[m]; !ok {
			t.Errorf("DEPENDENCIES.md explains %s, which go.mod does not require", m)
		}
	}
}
