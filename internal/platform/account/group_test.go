package account_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/bus/bustest"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/account"
)

func set(pairs ...string) []account.Assignment {
	var out []account.Assignment
	for pair := range slices.Chunk(pairs, 2) {
		out = append(out, account.Assignment{Name: pair[0], Value: pair[1]})
	}
	return out
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestDevelopers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		n := newNode(t, d, bustest.Open(t, ""))
		made := must[*account.Developer](t)(n.CreateDeveloper(ctx, "tester", " Ann "))
		if made.Name != "Ann" || len(made.Key) != 24 || len(made.Secret) != 24 || made.Files {
			t.Errorf("made %+v", made)
		}
		must[*account.Developer](t)(n.CreateDeveloper(ctx, "tester", "Bob"))
		if _, err := n.CreateDeveloper(ctx, "tester", ""); err == nil {
			t.Error("made one without a name")
		}
		changed := must[*account.Developer](t)(n.SetDeveloper(ctx, "tester", made.Key, set("files", "true", "name", "Anna")))
		if !changed.Files || changed.Name != "Anna" || changed.Revision != 2 {
			t.Errorf("changed %+v", changed)
		}
		if known, err := n.gate.AuthenticateDeveloper(made.Key, made.Secret); err != nil || !known.Files {
			t.Errorf("the gate knows %+v, %v", known, err)
		}
		var invalid *account.InvalidError
		for _, bad := range [][]account.Assignment{set("name", "x", "files", "perhaps"), set("name", ""), set("state", "enabled")} {
			if _, err := n.SetDeveloper(ctx, "tester", made.Key, bad); !errors.As(err, &invalid) {
				t.Errorf("%v: %v", bad, err)
			}
		}
		if _, err := n.SetDeveloper(ctx, "tester", "nobody", nil); !errors.Is(err, account.ErrNoDeveloper) {
			t.Errorf("nobody: %v", err)
		}
		other := newNode(t, d, bustest.Open(t, ""))
		if err := other.Load(ctx); err != nil {
			t.Fatal(err)
		}
		if known, err := other.gate.AuthenticateDeveloper(made.Key, made.Secret); err != nil || !known.Files || known.Name != "Anna" {
			t.Errorf("after a restart: %+v, %v", known, err)
		}
		if found := must[*account.Developer](t)(other.Developer(ctx, made.Key)); found.Secret != made.Secret || found.Name != "Anna" {
			t.Errorf("found %+v", found)
		}
		if all := must[[]account.Developer](t)(n.Developers(ctx)); len(all) != 2 || all[0].Secret != "" || all[1].Name != "Bob" {
			t.Errorf("all %+v", all)
		}
		rows, err := n.audit.List(ctx, d, "developer/"+made.Key, 0, 10)
		if err != nil || len(rows) != 2 || rows[0].Action != "developer.set" || rows[1].Action != "developer.create" {
			t.Errorf("audit %+v, %v", rows, err)
		}
	})
}

func TestGroups(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		n := newNode(t, d, bustest.Open(t, ""))
		ann := must[*account.Developer](t)(n.CreateDeveloper(ctx, "tester", "Ann"))
		bob := must[*account.Developer](t)(n.CreateDeveloper(ctx, "tester", "Bob"))
		var apps [3]*account.App
		for i := range apps {
			apps[i] = must[*account.App](t)(n.CreateApp(ctx, "tester", "app"))
		}
		must[*account.App](t)(n.SetApp(ctx, "tester", apps[2].Key, set("developer", bob.Key)))

		g := must[*account.Group](t)(n.CreateGroup(ctx, "tester", ann.Key, "vans", apps[1].Key, apps[0].Key))
		if len(g.Key) != 24 || len(g.MasterSecret) != 24 || g.DeveloperKey != ann.Key || !slices.Equal(g.Apps, []int64{1, 2}) || !slices.Equal(g.AppKeys, []string{apps[0].Key, apps[1].Key}) {
			t.Errorf("made %+v", g)
		}
		known, err := n.gate.AuthenticateGroup(g.Key, g.MasterSecret)
		if err != nil || !slices.Equal(known.Apps, []int64{1, 2}) || known.Developer != ann.ID {
			t.Errorf("the gate knows %+v, %v", known, err)
		}
		var invalid *account.InvalidError
		for what, err := range map[string]error{
			"a name twice":         second(n.CreateGroup(ctx, "tester", ann.Key, "vans")),
			"no name":              second(n.CreateGroup(ctx, "tester", ann.Key, "")),
			"another's app":        second(n.CreateGroup(ctx, "tester", ann.Key, "cars", apps[2].Key)),
			"an unknown app":       second(n.CreateGroup(ctx, "tester", ann.Key, "cars", "nobody")),
			"too many apps":        second(n.CreateGroup(ctx, "tester", ann.Key, "cars", make([]string, 501)...)),
			"remove an unknown":    second(n.SetGroup(ctx, "tester", g.Key, set("apps-", "nobody"))),
			"an unknown setting":   second(n.SetGroup(ctx, "tester", g.Key, set("apps-", apps[0].Key, "files", "true"))),
			"an app that is taken": second(n.SetApp(ctx, "tester", apps[0].Key, set("developer", bob.Key))),
			"an unknown developer": second(n.SetApp(ctx, "tester", apps[0].Key, set("developer", "nobody"))),
		} {
			if !errors.As(err, &invalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := second(n.CreateGroup(ctx, "tester", "nobody", "x")); !errors.Is(err, account.ErrNoDeveloper) {
			t.Errorf("a group of nobody: %v", err)
		}
		if now := must[*account.Group](t)(n.Group(ctx, g.Key)); now.Revision != g.Revision || len(now.Apps) != 2 {
			t.Errorf("something was stored: %+v", now)
		}

		must[*account.Group](t)(n.CreateGroup(ctx, "tester", bob.Key, "vans", apps[2].Key)) // another's name
		g = must[*account.Group](t)(n.SetGroup(ctx, "tester", g.Key, set("apps-", apps[0].Key, "name", "trucks", "apps+", apps[1].Key)))
		if g.Name != "trucks" || !slices.Equal(g.Apps, []int64{2}) || !slices.Equal(n.gate.GroupByID(g.ID).Apps, g.Apps) {
			t.Errorf("changed %+v", g)
		}
		must[*account.App](t)(n.SetApp(ctx, "tester", apps[0].Key, set("developer", bob.Key))) // it has left
		must[*account.App](t)(n.SetApp(ctx, "tester", apps[1].Key, set("developer", ann.Key)))
		if err := second(n.SetApp(ctx, "tester", apps[1].Key, set("developer", ""))); !errors.As(err, &invalid) {
			t.Errorf("taken from a developer while in a group of theirs: %v", err)
		}

		other := newNode(t, d, bustest.Open(t, ""))
		for range 2 { // before and after the group ends
			if err := other.Load(ctx); err != nil {
				t.Fatal(err)
			}
			here, there := n.gate.GroupByID(g.ID), other.gate.GroupByID(g.ID)
			if (here == nil) != (there == nil) || here != nil && !slices.Equal(here.Apps, there.Apps) {
				t.Errorf("another node knows %+v instead of %+v", there, here)
			}
			if here != nil {
				if err := n.DeleteGroup(ctx, "tester", g.Key); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := other.gate.AuthenticateGroup(g.Key, g.MasterSecret); !errors.Is(err, gate.ErrUnknownGroup) {
			t.Errorf("credentials of a deleted group: %v", err)
		}
		for what, err := range map[string]error{
			"show": second(n.Group(ctx, g.Key)), "set": second(n.SetGroup(ctx, "tester", g.Key, nil)), "delete": n.DeleteGroup(ctx, "tester", g.Key),
		} {
			if !errors.Is(err, account.ErrNoGroup) {
				t.Errorf("%s a deleted group: %v", what, err)
			}
		}
		must[*account.Group](t)(n.CreateGroup(ctx, "tester", ann.Key, "trucks", apps[1].Key)) // the name is free
		if all := must[[]account.Group](t)(n.Groups(ctx)); len(all) != 2 {
			t.Errorf("all %+v", all)
		}
		rows, err := n.audit.List(ctx, d, "group/"+g.Key, 0, 10)
		if err != nil || len(rows) != 3 || rows[0].Action != "group.delete" {
			t.Errorf("audit %+v, %v", rows, err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// A deleted app's devices are disconnected, another node refuses its credentials, and nothing brings it back.
func TestDeletedAppStaysDeleted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		b := bustest.Open(t, "")
		facts := make(chan edgewire.AppFacts, 10)
		if _, err := b.Subscribe(edgewire.SubjectApps, "", func(m *bus.Msg) {
			var f edgewire.AppFacts
			if err := m.Decode(&f); err != nil {
				t.Error(err)
			}
			facts <- f
		}); err != nil {
			t.Fatal(err)
		}
		n, other := newNode(t, d, b), newNode(t, d, bustest.Open(t, ""))
		made := must[*account.App](t)(n.CreateApp(ctx, "tester", "x"))
		if err := other.Load(ctx); err != nil {
			t.Fatal(err)
		}
		if gone := must[*account.App](t)(n.DeleteApp(ctx, "tester", made.Key)); gone.State != gate.Deleted {
			t.Errorf("deleted %+v", gone)
		}
		<-facts
		if f := <-facts; f.Enabled || f.ID != made.ID || f.AppKey != made.Key {
			t.Errorf("facts %+v", f)
		}
		if err := other.Load(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := other.gate.Authenticate(made.Key, made.MasterSecret); !errors.Is(err, gate.ErrUnknownApp) {
			t.Errorf("another node: %v", err)
		}
		for what, err := range map[string]error{
			"set": second(n.SetApp(ctx, "tester", made.Key, set("state", "enabled"))), "delete": second(n.DeleteApp(ctx, "tester", made.Key)),
		} {
			if !errors.Is(err, account.ErrDeleted) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := second(n.DeleteApp(ctx, "tester", "nobody")); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
		if all := must[[]account.App](t)(n.Apps(ctx)); len(all) != 0 {
			t.Errorf("listed %+v", all)
		}
		if shown := must[*account.App](t)(n.App(ctx, made.Key)); shown.State != gate.Deleted {
			t.Errorf("shown %+v", shown)
		}
		if next := must[*account.App](t)(n.CreateApp(ctx, "tester", "x")); next.ID != made.ID+1 {
			t.Errorf("the number is used again: %+v", next)
		}
	})
}

// Whoever changes an app, a group or what is in it at the same time as others: what is deleted stays so, no change is
// lost, a package has one app, and every node ends with what the database says.
func TestChangesAtOnce(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	ctx := context.Background()
	nodes := []*node{newNode(t, d, bustest.Open(t, "")), newNode(t, d, bustest.Open(t, ""))}
	n := nodes[0]
	ann := must[*account.Developer](t)(n.CreateDeveloper(ctx, "tester", "Ann"))
	group := must[*account.Group](t)(n.CreateGroup(ctx, "tester", ann.Key, "vans"))
	doomed := must[*account.App](t)(n.CreateApp(ctx, "tester", "doomed"))
	var (
		wg   sync.WaitGroup
		made atomic.Int64
	)
	for i := range 8 {
		n := nodes[i%2]
		developer := &ann.Developer
		wg.Go(func() {
			_, isNew, err := n.EnsureApp(ctx, developer, account.NewApp{Name: "x", Package: "com.example.x", Group: "vans"})
			if err != nil {
				t.Error(err)
			}
			if isNew {
				made.Add(1)
			}
			if _, err := n.SetApp(ctx, "tester", doomed.Key, set("push_rate", "7")); err != nil && !errors.Is(err, account.ErrDeleted) {
				t.Error(err)
			}
			var invalid *account.InvalidError
			if _, err := n.SetGroup(ctx, "tester", group.Key, set("apps+", doomed.Key)); err != nil && !errors.As(err, &invalid) {
				t.Error(err)
			}
			if i == 4 {
				if _, err := n.DeleteApp(ctx, "tester", doomed.Key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d apps of one package were new", made.Load())
	}
	stored := must[*account.Group](t)(n.Group(ctx, group.Key))
	if len(stored.Apps) != 1 {
		t.Errorf("the group has %v", stored.AppKeys)
	}
	if app := must[*account.App](t)(n.App(ctx, doomed.Key)); app.State != gate.Deleted {
		t.Errorf("the deleted app is %s", app.State)
	}
	for i, n := range nodes {
		if err := n.Load(ctx); err != nil {
			t.Fatal(err)
		}
		if known := n.gate.GroupByID(group.ID); known.Revision != stored.Revision || !slices.Equal(known.Apps, stored.Apps) {
			t.Errorf("node %d knows %+v, stored is %+v", i, known, stored)
		}
		if n.gate.App(doomed.Key) != nil {
			t.Errorf("node %d knows the deleted app", i)
		}
	}
	if broken, err := n.audit.Verify(ctx, d); err != nil || broken != 0 {
		t.Errorf("the audit chain breaks at %d, %v", broken, err)
	}
}

// Other nodes hear of groups and developers as they do of apps.
func TestGroupIsAnnounced(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	url := bustest.Server(t)
	a, other := newNode(t, d, bustest.Open(t, url)), newNode(t, d, bustest.Open(t, url))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = other.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	ann := must[*account.Developer](t)(a.CreateDeveloper(ctx, "tester", "Ann"))
	group := must[*account.Group](t)(a.CreateGroup(ctx, "tester", ann.Key, "0"))
	wait := func(what string, change func(i int), seen func() bool) {
		t.Helper()
		for i, deadline := 0, time.Now().Add(20*time.Second); !seen(); i++ { // the other node subscribes at its own pace
			if time.Now().After(deadline) {
				t.Fatalf("the other node never heard: %s", what)
			}
			change(i)
			time.Sleep(10 * time.Millisecond)
		}
	}
	wait("a group", func(i int) {
		must[*account.Group](t)(a.SetGroup(ctx, "tester", group.Key, set("name", strings.Repeat("x", i%50+1))))
	}, func() bool { return other.gate.GroupByID(group.ID) != nil })
	must[*account.Developer](t)(a.SetDeveloper(ctx, "tester", ann.Key, set("files", "true")))
	wait("a developer", func(int) {}, func() bool {
		d, err := other.gate.AuthenticateDeveloper(ann.Key, ann.Secret)
		return err == nil && d.Files
	})
	if err := a.DeleteGroup(ctx, "tester", group.Key); err != nil {
		t.Fatal(err)
	}
	wait("the group's end", func(int) {}, func() bool { return other.gate.GroupByID(group.ID) == nil })
}
