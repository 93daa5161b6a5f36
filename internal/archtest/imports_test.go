package archtest

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// The floors, lowest first. A room is a folder on a floor, with all below it.
const (
	kernel   = "internal/kernel"
	engine   = "internal/engine"
	service  = "internal/service"
	platform = "internal/platform"
	app      = "internal/app"
	// Beside the house stand programs that play its visitors; they know the wire and nothing behind it.
	simulate = "internal/simulate"
	loadtest = "internal/loadtest"
)

// engineNeighbours are the engine packages that an engine room may import besides its own. Each line is a decision.
func engineNeighbours(room string) []string {
	return map[string][]string{
		"internal/engine/device": {
			"internal/engine/audience",      // a registration or a tag change is a change of sets, in one transaction
			"internal/engine/deviceid",      // registration ids
			"internal/engine/edge/edgewire", // answers the edges' questions about devices
			"internal/engine/gate",          // asks before it registers
		},
		"internal/engine/edge":     {"internal/engine/deviceid"},      // checks device secrets itself
		"internal/engine/presence": {"internal/engine/edge/edgewire"}, // hears from the edges who is online
	}[room]
}

// forbidden says why a package in folder from must not import the package in folder to; empty: it may. Both are
// folders of this module. test is whether a test file asks.
func forbidden(from, to string, test bool) string {
	switch {
	case within(to, app) && !within(from, app) && !within(from, "cmd") && !within(from, "test"):
		return "nobody but cmd and test imports the roof"
	case within(from, "sdk"):
		if within(to, "sdk") {
			return ""
		}
		return "device SDKs stand on their own"
	case !within(from, "internal"), within(from, app):
		return ""
	case from != to && within(from, to) && !test && !isTestSupport(from):
		return "a sub-package does not import its parent"
	case within(to, kernel), room(from) == room(to):
		return ""
	case within(from, kernel):
		return "kernel imports no other floor"
	case within(from, engine):
		if slices.Contains(engineNeighbours(room(from)), to) {
			return ""
		}
		return "an engine room imports kernel and the neighbours on its list"
	case within(from, simulate), within(from, loadtest):
		if within(to, simulate) || within(to, "internal/engine/edge/mqtt") || test && within(to, engine) {
			return ""
		}
		// Sets of ten million devices cannot be measured over the wire: that many devices cannot be connected.
		if within(from, loadtest) && (to == "internal/engine/audience" || to == "internal/engine/deviceid") {
			return ""
		}
		return "simulated devices and load know kernel and the wire only"
	case within(from, service), within(from, platform):
		if within(to, engine) || isEvents(to) {
			return ""
		}
		return "services and platform rooms import engine and kernel, and of each other only events"
	}
	return "the folder belongs to no floor"
}

// room is the first three elements of a folder: internal/engine/edge.
func room(folder string) string {
	parts := strings.SplitN(folder, "/", 4)
	return strings.Join(parts[:min(3, len(parts))], "/")
}

// isEvents: a package of plain event structs, e.g. internal/service/push/pushevent.
func isEvents(folder string) bool { return path.Base(folder) == path.Base(room(folder))+"event" }

// isTestSupport: a package for tests of its parent's users, e.g. internal/kernel/db/dbtest.
func isTestSupport(folder string) bool {
	return path.Base(folder) == path.Base(path.Dir(folder))+"test"
}

func TestTheLaw(t *testing.T) {
	t.Parallel()
	cases := []struct {
		from, to string
		ok       bool
	}{
		{"internal/kernel/lease", "internal/kernel/db", true},
		{"internal/kernel/lease", "internal/engine/gate", false},
		{"internal/kernel/web/compat", "internal/kernel/web", false},
		{"internal/kernel/db/dbtest", "internal/kernel/db", true},
		{"internal/kernel/db", "internal/kernel/db/dbtest", true},
		{"internal/engine/edge", "internal/kernel/bus", true},
		{"internal/engine/edge", "internal/engine/edge/mqtt", true},
		{"internal/engine/edge/mqtt", "internal/engine/edge", false},
		{"internal/engine/edge", "internal/engine/deviceid", true},
		{"internal/engine/edge", "internal/engine/audience", false},
		{"internal/engine/gate", "internal/service/push", false},
		{"internal/engine/presence", "internal/engine/edge", false},
		{"internal/service/push", "internal/engine/audience", true},
		{"internal/service/push", "internal/service/push/payload", true},
		{"internal/service/push", "internal/service/stat", false},
		{"internal/service/push", "internal/platform/account", false},
		{"internal/service/stat", "internal/service/push/pushevent", true},
		{"internal/service/stat", "internal/service/push/payload", false},
		{"internal/platform/billing", "internal/service/push/pushevent", true},
		{"internal/platform/billing", "internal/service/push", false},
		{"internal/app", "internal/service/push", true},
		{"internal/service/push", "internal/app", false},
		{"internal/archtest", "internal/engine/gate", false},
		{"internal/loadtest", "internal/simulate", true},
		{"internal/loadtest", "internal/engine/audience", true},
		{"internal/loadtest", "internal/engine/device", false},
		{"internal/simulate", "internal/engine/edge/mqtt", true},
		{"internal/simulate", "internal/engine/audience", false},
		{"internal/simulate", "internal/engine/edge", false},
		{"internal/service/push", "internal/simulate", false},
		{"cmd/borealis", "internal/app", true},
		{"test/e2e", "internal/app", true},
		{"sdk/go", "internal/engine/edge/mqtt", false},
		{"sdk/go", "internal/app", false},
	}
	for _, c := range cases {
		if why := forbidden(c.from, c.to, false); (why == "") != c.ok {
			t.Errorf("%s → %s: %q", c.from, c.to, why)
		}
	}
}

func TestImportsKeepTheLaw(t *testing.T) {
	t.Parallel()
	for _, u := range uses(t) {
		to, ours := strings.CutPrefix(u.to, module+"/")
		if !ours {
			continue
		}
		if why := forbidden(u.from, to, u.test); why != "" {
			t.Errorf("%s imports %s: %s", u.file, to, why)
		}
	}
}

func TestEveryPackageIsOnAFloor(t *testing.T) {
	t.Parallel()
	for _, f := range files(t, ".go") {
		dir := path.Dir(f)
		if !within(dir, "internal") || dir == "internal/archtest" || within(dir, app) || within(dir, simulate) || within(dir, loadtest) {
			continue
		}
		if r := room(dir); !slices.Contains([]string{kernel, engine, service, platform}, path.Dir(r)) {
			t.Errorf("%s is in no room of a floor", f)
		}
	}
}

// Events are what rooms share, so they stand on nothing.
func TestEventsAreLeaves(t *testing.T) {
	t.Parallel()
	for _, u := range uses(t) {
		if isEvents(u.from) && within(u.from, "internal") && !u.test && strings.HasPrefix(u.to, module+"/") && !isEvents(strings.TrimPrefix(u.to, module+"/")) {
			t.Errorf("%s imports %s", u.file, u.to)
		}
	}
}

// An edge opens no database: it must run where there is none.
func TestEdgeReachesNoDatabase(t *testing.T) {
	t.Parallel()
	graph := map[string][]string{}
	for _, u := range uses(t) {
		if to, ours := strings.CutPrefix(u.to, module+"/"); ours && !u.test {
			graph[u.from] = append(graph[u.from], to)
		}
	}
	const edge = "internal/engine/edge"
	if len(graph[edge]) == 0 {
		t.Fatalf("%s imports nothing: it is not where this test looks", edge)
	}
	seen := map[string]string{edge: ""}
	for queue := []string{edge}; len(queue) > 0; queue = queue[1:] {
		for _, to := range graph[queue[0]] {
			if _, known := seen[to]; !known {
				seen[to] = queue[0]
				queue = append(queue, to)
			}
		}
	}
	if via, reached := seen["internal/kernel/db"]; reached {
		t.Errorf("internal/engine/edge reaches internal/kernel/db through %s", via)
	}
}
