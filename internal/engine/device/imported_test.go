package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

const oldA, oldB = "1507bfd3f7c466c355c", "1507bfd3f7c466c3999"

func (n *node) imports(app int64, update bool, devices ...Imported) ImportResult {
	n.t.Helper()
	out, err := n.Import(context.Background(), n.app(app), devices, update)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// claimOf is a registration that claims an imported device, with the signature of the app's backend.
func (n *node) claimOf(installID, importedID string) Registration {
	n.t.Helper()
	signature, err := Sign(masterSecret, Claims{InstallID: installID, ImportedID: importedID, Exp: clock.Millis(n.clock.Now().Add(time.Hour))})
	if err != nil {
		n.t.Fatal(err)
	}
	return Registration{InstallID: installID, ImportedID: importedID, Platform: audience.Android, Signature: signature}
}

func (n *node) unclaimedOf(app int64) []uint32 {
	n.t.Helper()
	set, err := n.Unclaimed(context.Background(), app)
	if err != nil {
		n.t.Fatal(err)
	}
	return set.ToArray()
}

func (n *node) lookup(app int64, ids ...string) []uint32 {
	n.t.Helper()
	ctx := context.Background()
	if err := n.Audience.Sync(ctx, app); err != nil {
		n.t.Fatal(err)
	}
	out, err := n.Lookup(ctx, n.app(app), ids)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

func counts(r ImportResult) [5]int {
	return [5]int{r.Created, r.Updated, r.Known, r.Claimed, r.Gone}
}

func TestImportedDevicesAreInAudiencesAndNobodyCanBeThem(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		own := n.joined(1, audience.IOS)
		devices := []Imported{
			{ID: oldA, Platform: audience.IOS, Alias: "u1", Tags: []string{"vip", "beta", "vip"}, Mobile: "13800000000"},
			{ID: oldB, Tags: []string{"vip"}},
		}
		if got := n.imports(1, false, devices...); counts(got) != [5]int{2} || len(got.Refused) != 0 {
			t.Fatalf("imported %+v", got)
		}
		for _, n := range []*node{n, n.restart()} {
			at := n.lookup(1, oldA, own.RegistrationID, oldB, "1507bfd3f7c466c3000", oldA)
			if !slices.Equal(at, []uint32{2, 1, 3, 0, 2}) {
				t.Fatalf("looked up %v", at)
			}
			if got, unknown := n.Resolve(n.app(1), []string{"x", oldB, oldA}); !slices.Equal(got, []uint32{3, 2}) || !slices.Equal(unknown, []string{"x"}) {
				t.Errorf("resolved %v, unknown %v", got, unknown)
			}
			if got := n.lookup(2, oldA); got[0] != 0 {
				t.Error("another app knows the id")
			}
			for name, c := range map[string]struct {
				expr audience.Expr
				want []uint32
			}{
				"by tag":      {audience.Expr{Tag: []string{"vip"}}, []uint32{2, 3}},
				"by two tags": {audience.Expr{TagAnd: []string{"vip", "beta"}}, []uint32{2}},
				"by alias":    {audience.Expr{Alias: []string{"u1"}}, []uint32{2}},
				"by platform": {audience.Expr{All: true, Platforms: audience.PlatformSet(0).With(audience.Android)}, []uint32{3}},
				"all":         {audience.Expr{All: true}, []uint32{1, 2, 3}},
			} {
				if got := n.who(1, c.expr); !slices.Equal(got, c.want) {
					t.Errorf("%s: %v, want %v", name, got, c.want)
				}
			}
			if p := n.profile(1, 2); !slices.Equal(p.Tags, []string{"beta", "vip"}) || p.Alias != "u1" || p.Mobile != "13800000000" || !p.MobileVerified {
				t.Errorf("profile %+v", p)
			}
			names, err := n.Names(context.Background(), 1, []uint32{3, 1, 2})
			if err != nil || !slices.Equal(names, []string{oldB, own.RegistrationID, oldA}) || n.ID(1, 2) != oldA {
				t.Errorf("names %v, %v", names, err)
			}
			if got := n.unclaimedOf(1); !slices.Equal(got, []uint32{2, 3}) {
				t.Errorf("unclaimed %v", got)
			}
			// No secret opens it, not even that of a generation nobody was given.
			ref, err := n.ref(context.Background(), 1, 2)
			if err != nil {
				t.Fatal(err)
			}
			for generation := range uint16(3) {
				got := n.Connect(context.Background(), edgewire.Connect{App: 1, Epoch: ref.Epoch, Ordinal: 2, Generation: generation})
				if got.Refusal != edgewire.BadCredentials {
					t.Errorf("generation %d: %+v", generation, got)
				}
			}
			_, err = n.Revoke(context.Background(), n.app(1), 2)
			wantKind(t, err, Denied)
		}
		// It is one of the app's devices for the server's calls.
		if err := n.set(1, 3, ProfileChange{Alias: new("u2"), Tags: &Tags{Remove: []string{"vip"}}}); err != nil {
			t.Fatal(err)
		}
		if got := n.who(1, audience.Expr{Tag: []string{"vip"}}); !slices.Equal(got, []uint32{2}) {
			t.Errorf("after the tag was removed: %v", got)
		}
		if c, err := n.Imports(context.Background(), n.app(1)); c != (ImportCount{2, 2}) || err != nil {
			t.Errorf("count %+v, %v", c, err)
		}
	})
}

func TestImportingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		var devices []Imported
		for i := range 120 { // more than a transaction takes
			devices = append(devices, Imported{ID: fmt.Sprintf("old-%03d", i), Alias: fmt.Sprintf("u%d", i/10), Tags: []string{fmt.Sprintf("t%d", i%7)}, Mobile: "13800000001"})
		}
		if got := n.imports(1, false, devices...); counts(got) != [5]int{120} {
			t.Fatalf("first: %+v", got)
		}
		rows := n.dump()
		if got := n.restart().imports(1, false, devices...); counts(got) != [5]int{0, 0, 120} {
			t.Errorf("again: %+v", got)
		}
		if got := n.imports(1, true, devices...); counts(got) != [5]int{0, 0, 120} {
			t.Errorf("again, as update: %+v", got)
		}
		if after := n.dump(); after != rows {
			t.Errorf("rows changed:\n%s\nwere\n%s", after, rows)
		}
		// What the app's server changed here stays, unless an update is asked for.
		if err := n.set(1, 1, ProfileChange{Alias: new("mine")}); err != nil {
			t.Fatal(err)
		}
		if got := n.imports(1, false, devices[0]); counts(got) != [5]int{0, 0, 1} || n.profile(1, 1).Alias != "mine" {
			t.Errorf("import over a change: %+v, alias %q", got, n.profile(1, 1).Alias)
		}
		devices[0].Platform = audience.IOS
		if got := n.imports(1, true, devices[0], devices[0]); counts(got) != [5]int{0, 1, 1} {
			t.Errorf("update: %+v", got)
		}
		if p := n.profile(1, 1); p.Alias != "u0" || p.Platform != audience.IOS || p.Mobile != "13800000001" {
			t.Errorf("updated %+v", p)
		}
		if got := n.who(1, audience.Expr{Alias: []string{"u0"}}); len(got) != 10 {
			t.Errorf("alias has %v", got)
		}
	})
}

// dump is what the import wrote, but for sealed numbers, which differ each time they are sealed.
func (n *node) dump() string {
	n.t.Helper()
	var b strings.Builder
	for _, query := range []string{
		`select ordinal, state, alias, mobile from device_device where app_id = 1 order by ordinal`,
		`select ordinal, state, imported_id, cast(version as text) from device_import where app_id = 1 order by ordinal`,
		`select unclaimed, total, cast(version as text), '' from device_import_head where app_id = 1`,
		`select pos, next_tag, '', '' from audience_head where app_id = 1`,
	} {
		rows, err := n.db.Query(context.Background(), query)
		if err != nil {
			n.t.Fatal(err)
		}
		for rows.Next() {
			var (
				x, y int64
				s, u string
			)
			if err := rows.Scan(&x, &y, &s, &u); err != nil {
				n.t.Fatal(err)
			}
			fmt.Fprintln(&b, x, y, s, u)
		}
		if err := rows.Close(); err != nil {
			n.t.Fatal(err)
		}
	}
	return b.String()
}

func TestWhatCannotBeImportedIsRefusedAndTheRestIsNot(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		n.publish(1, func(a *gate.App) { a.Settings.AliasDevices = 2 })
		own := n.joined(1, audience.Web)
		if err := n.set(1, own.Ordinal, ProfileChange{Alias: new("full")}); err != nil {
			t.Fatal(err)
		}
		got := n.imports(1, false,
			Imported{ID: ""}, Imported{ID: strings.Repeat("x", 65)}, Imported{ID: "a b"}, Imported{ID: own.RegistrationID},
			Imported{ID: "p", Platform: 99}, Imported{ID: "q", Alias: "a-b"}, Imported{ID: "r", Tags: []string{"ok", ""}}, Imported{ID: "s", Mobile: "12"},
			Imported{ID: "f1", Alias: "full"}, Imported{ID: "f2", Alias: "full"}, Imported{ID: "good", Alias: "u"}, Imported{ID: strings.Repeat("y", 64)})
		if counts(got) != [5]int{3} {
			t.Errorf("imported %+v", got)
		}
		want := []string{"0 imported_id", "1 imported_id", "2 imported_id", "3 imported_id", "4 platform", "5 alias", "6 tags[1]", "7 mobile", "9 alias"}
		for i, r := range got.Refused {
			if text := fmt.Sprint(r.Index, " ", r.Err.Field); i >= len(want) || text != want[i] || r.Err.Detail == "" {
				t.Errorf("refused %s: %s", text, r.Err.Detail)
			}
		}
		if len(got.Refused) != len(want) {
			t.Errorf("%d refused, want %d", len(got.Refused), len(want))
		}
		if at := n.lookup(1, "f1", "f2", "good", "p", "r"); at[0] == 0 || at[1] != 0 || at[2] == 0 || at[3] != 0 || at[4] != 0 {
			t.Errorf("stored %v", at)
		}
		ctx := context.Background()
		_, err := n.Import(ctx, n.app(1), make([]Imported, MaxImport+1), false)
		wantKind(t, err, Invalid)
		_, err = n.Import(ctx, nil, nil, false)
		wantKind(t, err, UnknownApp)
	})
}

func TestClaimTakesOverTheImportedDeviceOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		n := newNode(t, d)
		n.imports(1, false, Imported{ID: oldA, Alias: "u1", Tags: []string{"vip"}, Mobile: "13800000000"}, Imported{ID: oldB})
		hooks := map[string]int{}
		hook := func(name string) Hook {
			return func(context.Context, *db.Tx, int64, uint32, audience.Platform) error { hooks[name]++; return nil }
		}
		n.OnRegistered, n.OnJoined = hook("registered"), hook("joined")
		reg := n.claimOf(installA, oldA)
		reg.Platform = audience.HMOS
		got := n.register(1, reg)
		if got.Ordinal != 1 || got.New || len(got.RegistrationID) != 20 || hooks["registered"] != 1 || hooks["joined"] != 1 {
			t.Fatalf("claimed %+v, hooks %v", got, hooks)
		}
		if c := n.connect(1, got); c.Refusal != edgewire.Admitted {
			t.Errorf("not admitted: %+v", c)
		}
		if p := n.profile(1, 1); p.Alias != "u1" || !slices.Equal(p.Tags, []string{"vip"}) || p.Mobile != "13800000000" || p.Platform != audience.HMOS {
			t.Errorf("profile %+v", p)
		}
		// Both ids are the device's, and answers use the new one.
		if at := n.lookup(1, oldA, got.RegistrationID); !slices.Equal(at, []uint32{1, 1}) || n.ID(1, 1) != got.RegistrationID {
			t.Errorf("looked up %v, named %s", at, n.ID(1, 1))
		}
		if u := n.unclaimedOf(1); !slices.Equal(u, []uint32{2}) {
			t.Errorf("unclaimed %v", u)
		}
		// The answer was lost: the same installation asks again, with the claim and later without.
		for _, again := range []Registration{reg, {InstallID: installA, Platform: audience.HMOS}} {
			if r := n.restart().register(1, again); r.RegistrationID != got.RegistrationID || r.Secret != got.Secret || r.New {
				t.Errorf("again: %+v", r)
			}
		}
		if hooks["registered"] != 1 || hooks["joined"] != 1 {
			t.Errorf("hooks %v", hooks)
		}
		_, err := n.Register(ctx, n.app(1), n.claimOf(installB, oldA))
		wantKind(t, err, AlreadyClaimed)
		if again := n.imports(1, true, Imported{ID: oldA, Alias: "other"}); counts(again) != [5]int{0, 0, 0, 1} || n.profile(1, 1).Alias != "u1" {
			t.Errorf("imported over a claimed device: %+v", again)
		}
		if c, err := n.Imports(ctx, n.app(1)); c != (ImportCount{2, 1}) || err != nil {
			t.Errorf("count %+v, %v", c, err)
		}
	})
}

func TestClaimsThatAreRefusedStoreNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n := newNode(t, dbtest.SQLite(t))
	n.imports(1, false, Imported{ID: oldA})
	before := n.dump()
	change := func(f func(*Registration)) Registration {
		reg := n.claimOf(installA, oldA)
		f(&reg)
		return reg
	}
	for name, c := range map[string]struct {
		reg   Registration
		kind  Kind
		field string
	}{
		"an unknown id":                  {n.claimOf(installA, oldB), Invalid, "imported_id"},
		"an id with a space":             {n.claimOf(installA, "a b"), Invalid, "imported_id"},
		"no installation":                {change(func(r *Registration) { r.InstallID = "" }), Invalid, "install_id"},
		"no signature":                   {change(func(r *Registration) { r.Signature = "" }), Denied, "signature"},
		"a signature for another id":     {change(func(r *Registration) { r.Signature = n.claimOf(installA, oldB).Signature }), Denied, "signature"},
		"a signature for another device": {change(func(r *Registration) { r.Signature = n.claimOf(installB, oldA).Signature }), Denied, "signature"},
		"a signature without an id":      {change(func(r *Registration) { r.Signature = n.claimOf(installA, "").Signature }), Denied, "signature"},
	} {
		_, err := n.Register(ctx, n.app(1), c.reg)
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Kind != c.kind || refusal.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := n.dump(); after != before {
		t.Errorf("something was stored:\n%s", after)
	}
}

// Of installations that claim one device at once, one gets it; and both nodes agree on what is left.
func TestClaimersAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		n.imports(1, false, Imported{ID: oldA}, Imported{ID: oldB})
		nodes := []*node{n}
		if d.Engine() == db.PostgreSQL {
			nodes = append(nodes, n.restart())
		}
		for _, n := range nodes {
			n.unclaimedOf(1) // loaded before it changes
		}
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			won  []Registered
			lost int
		)
		for i := range 8 {
			node := nodes[i%len(nodes)]
			reg := n.claimOf(fmt.Sprintf("installation-%04d", i), oldA)
			wg.Go(func() {
				got, err := node.Register(context.Background(), node.app(1), reg)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won = append(won, got)
				case IsKind(err, AlreadyClaimed):
					lost++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 || lost != 7 || won[0].Ordinal != 1 {
			t.Fatalf("won %+v, %d lost", won, lost)
		}
		for i, node := range nodes {
			if u := node.unclaimedOf(1); !slices.Equal(u, []uint32{2}) {
				t.Errorf("node %d: unclaimed %v", i, u)
			}
			if c := node.connect(1, won[0]); c.Refusal != edgewire.Admitted {
				t.Errorf("node %d: %+v", i, c)
			}
		}
	})
}

// An installation that had registered before its app learned to claim becomes the old device, and its own one ends.
func TestInstallationThatWasAnotherDeviceClaims(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		n.imports(1, false, Imported{ID: oldA, Alias: "u1"})
		first := n.register(1, Registration{InstallID: installA})
		if c := n.connect(1, first); c.Refusal != edgewire.Admitted {
			t.Fatal(c)
		}
		claimed := n.register(1, n.claimOf(installA, oldA))
		if claimed.Ordinal != 1 || n.who(1, audience.Expr{All: true})[0] != 1 || len(n.who(1, audience.Expr{All: true})) != 1 {
			t.Errorf("claimed %+v, audience %v", claimed, n.who(1, audience.Expr{All: true}))
		}
		if c := n.connect(1, first); c.Refusal != edgewire.BadCredentials {
			t.Errorf("the device of before: %+v", c)
		}
		if again := n.register(1, Registration{InstallID: installA}); again.Ordinal != 1 {
			t.Errorf("again %+v", again)
		}
		// The same with the identity in the registration, under another installation id.
		n.imports(1, false, Imported{ID: oldB})
		other := n.joined(1, audience.IOS)
		reg := n.claimOf(installB, oldB)
		reg.RegistrationID, reg.Secret = other.RegistrationID, other.Secret
		moved := n.register(1, reg)
		if got := n.who(1, audience.Expr{All: true}); !slices.Equal(got, []uint32{1, moved.Ordinal}) {
			t.Errorf("audience %v", got)
		}
	})
}

// A tag that was deleted between two batches is another one when it comes back.
func TestImportAfterATagWasDeleted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		n.imports(1, false, Imported{ID: oldA, Tags: []string{"vip", "kept"}})
		if err := n.DeleteTag(context.Background(), n.app(1), "vip", audience.AllPlatforms); err != nil {
			t.Fatal(err)
		}
		n.imports(1, false, Imported{ID: oldB, Tags: []string{"vip", "kept"}})
		if vip, kept := n.who(1, audience.Expr{Tag: []string{"vip"}}), n.who(1, audience.Expr{Tag: []string{"kept"}}); !slices.Equal(vip, []uint32{2}) || !slices.Equal(kept, []uint32{1, 2}) {
			t.Errorf("vip %v, kept %v", vip, kept)
		}
	})
}

func TestDeletedImportedDeviceDoesNotComeBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		n := newNode(t, d)
		devices := []Imported{{ID: oldA, Tags: []string{"vip"}}, {ID: oldB, Tags: []string{"vip"}}}
		n.imports(1, false, devices...)
		n.register(1, n.claimOf(installB, oldB))
		for _, ordinal := range []uint32{1, 2} {
			if err := n.Delete(ctx, 1, ordinal); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []*node{n, n.restart()} {
			if at := n.lookup(1, oldA, oldB); !slices.Equal(at, []uint32{0, 0}) {
				t.Errorf("looked up %v", at)
			}
			if got := n.imports(1, true, devices...); counts(got) != [5]int{0, 0, 0, 0, 2} {
				t.Errorf("imported again: %+v", got)
			}
			if u, who := n.unclaimedOf(1), n.who(1, audience.Expr{All: true}); len(u) != 0 || len(who) != 0 {
				t.Errorf("unclaimed %v, audience %v", u, who)
			}
			for _, id := range []string{oldA, oldB} {
				_, err := n.Register(ctx, n.app(1), n.claimOf(installA, id))
				wantKind(t, err, Invalid)
			}
		}
		if c, err := n.Imports(ctx, n.app(1)); c != (ImportCount{2, 0}) || err != nil {
			t.Errorf("count %+v, %v", c, err)
		}
	})
}

func TestClaimOverHTTP(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	n.imports(1, false, Imported{ID: oldA})
	s := n.server()
	for _, c := range []struct {
		name         string
		install, old string
		status       int
		names        string
	}{
		{"an unknown id", installA, oldB, http.StatusUnprocessableEntity, "body.imported_id"},
		{"the first claim", installA, oldA, http.StatusOK, "registration_id"},
		{"the same again", installA, oldA, http.StatusOK, "registration_id"},
		{"another installation", installB, oldA, http.StatusConflict, "body.imported_id"},
	} {
		body, err := json.Marshal(map[string]any{"app_key": n.app(1).Key, "platform": "android", "install_id": c.install,
			"imported_id": c.old, "signature": n.claimOf(c.install, c.old).Signature})
		if err != nil {
			t.Fatal(err)
		}
		a := send(t, s, call{method: http.MethodPost, path: "/device/v1/register", body: string(body)})
		if a.status != c.status || !strings.Contains(a.body, c.names) {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
	}
}

// The vendor-compatible calls take both ids; lists name a device by its old id until it is claimed.
func TestCompatCallsTakeImportedIDs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		s := n.compatServer()
		n.imports(1, false, Imported{ID: oldA, Alias: "u1"}, Imported{ID: oldB})
		steps := func(list []struct{ call, body, want string }) {
			t.Helper()
			for _, step := range list {
				method, path, _ := strings.Cut(step.call, " ")
				if a := send(t, s, call{method: method, path: path, body: step.body}); !sameJSON(a.body, step.want) {
					t.Errorf("%s %s: %d %s, want %s", step.call, step.body, a.status, a.body, step.want)
				}
			}
		}
		steps([]struct{ call, body, want string }{
			{"GET /v3/devices/" + oldA, "", `{"tags":[],"alias":"u1","mobile":""}`},
			{"POST /v3/devices/" + oldB, `{"alias":"u1"}`, `{}`},
			{"POST /v3/tags/vip", `{"registration_ids":{"add":["` + oldA + `"]}}`, `{}`},
			{"GET /v3/tags/vip/registration_ids/" + oldA, "", `{"result":true}`},
			{"GET /v3/aliases/u1", "", `{"registration_ids":["` + oldA + `","` + oldB + `"]}`},
			{"GET /v3/aliases/u1?new_format=true", "", `{"data":[{"registration_id":"` + oldA + `","platform":"android","last_online_date":null},{"registration_id":"` + oldB + `","platform":"android","last_online_date":null}]}`},
			{"POST /v3/devices/status", `{"registration_ids":["` + oldA + `"]}`, `{"` + oldA + `":{"online":false}}`},
		})
		claimed := n.register(1, n.claimOf(installA, oldA))
		n.online[claimed.Ordinal] = true
		steps([]struct{ call, body, want string }{
			{"GET /v3/aliases/u1", "", `{"registration_ids":["` + claimed.RegistrationID + `","` + oldB + `"]}`},
			{"GET /v3/devices/" + oldA, "", `{"tags":["vip"],"alias":"u1","mobile":""}`},
			{"GET /v3/devices/" + claimed.RegistrationID, "", `{"tags":["vip"],"alias":"u1","mobile":""}`},
			{"POST /v3/devices/status", `{"registration_ids":["` + oldA + `","` + claimed.RegistrationID + `"]}`,
				`{"` + oldA + `":{"online":true},"` + claimed.RegistrationID + `":{"online":true}}`},
			{"POST /v3/aliases/u1", `{"registration_ids":{"remove":["` + oldA + `"]}}`, `{}`},
			{"GET /v3/aliases/u1", "", `{"registration_ids":["` + oldB + `"]}`},
		})
		// The backend signs an alias for the id it knows.
		n.publish(1, func(a *gate.App) { a.Settings.DeviceAlias = "server" })
		for id, ok := range map[string]bool{oldA: true, claimed.RegistrationID: true, oldB: false, "x y": false} {
			signature, err := Sign(masterSecret, Claims{RegistrationID: id, Alias: "u2", Exp: clock.Millis(start.Add(time.Hour))})
			if err != nil {
				t.Fatal(err)
			}
			err = n.SetProfile(context.Background(), n.app(1), claimed.Ordinal, ProfileChange{Alias: new("u2"), AliasSignature: signature}, ByDevice)
			if (err == nil) != ok {
				t.Errorf("alias signed for %q: %v", id, err)
			}
		}
	})
}
