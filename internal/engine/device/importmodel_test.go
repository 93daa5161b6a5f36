package device

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// modelled is what the model knows of one imported id.
type modelled struct {
	ordinal uint32
	state   importState
	by      string // installation that claimed it
}

// Whatever order imports, claims and deletions come in, on two nodes where the engine lets two be: each node knows the same
// unclaimed devices, audiences and names, and they are those of the model.
func TestImportsAgreeWithModel(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		first := newNode(t, d)
		nodes := []*node{first}
		if d.Engine() == db.PostgreSQL {
			nodes = append(nodes, first.restart())
		}
		app := int64(100)
		rapid.Check(t, func(rt *rapid.T) {
			app++ // an app of its own for each run
			for _, n := range nodes {
				n.publish(app, nil)
			}
			m := map[string]*modelled{}
			byInstall := map[string]string{}
			ctx := context.Background()
			node := func() *node { return nodes[rapid.IntRange(0, len(nodes)-1).Draw(rt, "node")] }
			id := rapid.Custom(func(rt *rapid.T) string { return fmt.Sprintf("old-%d", rapid.IntRange(0, 5).Draw(rt, "id")) })
			rt.Repeat(map[string]func(*rapid.T){
				"import": func(rt *rapid.T) {
					var devices []Imported
					fresh := 0
					for _, name := range rapid.SliceOfNDistinct(id, 1, 6, rapid.ID[string]).Draw(rt, "ids") {
						devices = append(devices, Imported{ID: name})
						if m[name] == nil {
							m[name] = &modelled{state: importUnclaimed}
							fresh++
						}
					}
					n := node()
					got, err := n.Import(ctx, n.app(app), devices, rapid.Bool().Draw(rt, "update"))
					if err != nil || got.Created != fresh {
						rt.Fatalf("created %d, want %d: %v", got.Created, fresh, err)
					}
					for _, x := range devices {
						if m[x.ID].ordinal == 0 {
							m[x.ID].ordinal = n.lookup(app, x.ID)[0]
						}
					}
				},
				"claim": func(rt *rapid.T) {
					n, old := node(), id.Draw(rt, "old")
					install := fmt.Sprintf("installation-%04d", rapid.IntRange(0, 3).Draw(rt, "install"))
					got, err := n.Register(ctx, n.app(app), n.claimOf(install, old))
					w := m[old]
					switch {
					case w == nil || w.state == importGone:
						if !IsKind(err, Invalid) {
							rt.Fatalf("claim of nothing: %v", err)
						}
					case w.state == importClaimed && w.by != install:
						if !IsKind(err, AlreadyClaimed) {
							rt.Fatalf("second claim: %v", err)
						}
					default:
						if err != nil || got.Ordinal != w.ordinal {
							rt.Fatalf("claim: %+v, %v", got, err)
						}
						if was := byInstall[install]; was != "" && was != old {
							m[was].state = importGone
						}
						w.state, w.by, byInstall[install] = importClaimed, install, old
					}
				},
				"delete": func(rt *rapid.T) {
					n, old := node(), id.Draw(rt, "old")
					w := m[old]
					if w == nil || w.state == importGone {
						return
					}
					if err := n.Delete(ctx, app, w.ordinal); err != nil {
						rt.Fatal(err)
					}
					w.state = importGone
					delete(byInstall, w.by)
				},
				"": func(rt *rapid.T) {
					var unclaimed, alive []uint32
					for _, w := range m {
						if w.state == importUnclaimed {
							unclaimed = append(unclaimed, w.ordinal)
						}
						if w.state != importGone {
							alive = append(alive, w.ordinal)
						}
					}
					slices.Sort(unclaimed)
					slices.Sort(alive)
					for i, n := range nodes {
						if got := n.unclaimedOf(app); !slices.Equal(got, unclaimed) {
							rt.Fatalf("node %d: unclaimed %v, want %v", i, got, unclaimed)
						}
						if got := n.who(app, audience.Expr{All: true}); !slices.Equal(got, alive) {
							rt.Fatalf("node %d: audience %v, want %v", i, got, alive)
						}
						for old, w := range m {
							want := w.ordinal
							if w.state == importGone {
								want = 0
							}
							if got := n.lookup(app, old); got[0] != want {
								rt.Fatalf("node %d: %s is %d, want %d", i, old, got[0], want)
							}
							if w.state == importUnclaimed && n.ID(app, w.ordinal) != old || w.state == importClaimed && len(n.ID(app, w.ordinal)) != 20 {
								rt.Fatalf("node %d: %s in state %d is named %s", i, old, w.state, n.ID(app, w.ordinal))
							}
						}
						if c, err := n.Imports(ctx, n.app(app)); err != nil || c != (ImportCount{int64(len(m)), int64(len(unclaimed))}) {
							rt.Fatalf("node %d: %+v, %v", i, c, err)
						}
					}
				},
			})
		})
	})
}

func BenchmarkImport(b *testing.B) {
	n := newNode(b, dbtest.SQLite(b))
	n.publish(1, nil)
	at := 0
	for b.Loop() {
		devices := make([]Imported, MaxImport)
		for i := range devices {
			devices[i] = Imported{ID: fmt.Sprintf("%019x", uint64(at)*0x9e3779b97f4a7c15), Alias: fmt.Sprintf("user%d", at), Tags: []string{fmt.Sprintf("t%d", at%20), fmt.Sprintf("c%d", at%7)},
				Mobile: "13800000000"}
			at++
		}
		n.imports(1, false, devices...)
	}
	b.ReportMetric(float64(at)/b.Elapsed().Seconds(), "devices/s")
}

func BenchmarkLookup(b *testing.B) {
	n := newNode(b, dbtest.SQLite(b))
	var own, old []string
	var devices []Imported
	for i := range 1000 {
		own = append(own, n.register(1, Registration{}).RegistrationID)
		devices = append(devices, Imported{ID: fmt.Sprintf("%019x", uint64(i)*0x9e3779b97f4a7c15)})
		old = append(old, devices[i].ID)
	}
	n.imports(1, false, devices[:500]...)
	n.imports(1, false, devices[500:]...)
	b.Run("own", func(b *testing.B) {
		for b.Loop() {
			if at, _ := n.Resolve(n.app(1), own); len(at) != 1000 {
				b.Fatal(len(at))
			}
		}
	})
	b.Run("imported", func(b *testing.B) {
		for b.Loop() {
			if at, _ := n.Resolve(n.app(1), old); len(at) != 1000 {
				b.Fatal(len(at))
			}
		}
	})
	b.Run("imported, first time", func(b *testing.B) {
		for b.Loop() {
			n.ids.young, n.ids.old = nil, nil
			if at, _ := n.Resolve(n.app(1), old); len(at) != 1000 {
				b.Fatal(len(at))
			}
		}
	})
}
