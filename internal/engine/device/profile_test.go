package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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

func TestProfileSurvivesRestart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		dev := n.joined(1, audience.Android)
		change := ProfileChange{Tags: &Tags{Add: []string{"b", "a", "a"}}, Alias: new("u1"), Mobile: new("+8613800000000"),
			Attributes: map[string]*string{"k": new("v"), "x": new("y")}, Timezone: new("Asia/Shanghai"), NotificationsEnabled: new(false),
			Silence: &Silence{"22:00", "08:00"}, Consent: &Consent{Version: "1", Purposes: []string{"push"}}}
		if err := n.set(1, dev.Ordinal, change); err != nil {
			t.Fatal(err)
		}
		n = n.restart()
		want := Profile{Platform: audience.Android, Tags: []string{"a", "b"}, Alias: "u1", Mobile: "+8613800000000", MobileVerified: true,
			Attributes: map[string]string{"k": "v", "x": "y"}, Info: Info{Timezone: "Asia/Shanghai"}, PushEnabled: true,
			Silence: &Silence{"22:00", "08:00"}, Consent: &Consent{Version: "1", Purposes: []string{"push"}}}
		same := func(a, b Profile) bool {
			show := func(p Profile) string {
				return fmt.Sprintf("%+v %+v %+v", p.Silence, p.Consent, func() Profile { p.Silence, p.Consent = nil, nil; return p }())
			}
			return show(a) == show(b)
		}
		if got := n.profile(1, dev.Ordinal); !same(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for _, e := range []audience.Expr{{Tag: []string{"a"}}, {Alias: []string{"u1"}}, {TagAnd: []string{"a", "b"}}} {
			if got := n.who(1, e); !slices.Equal(got, []uint32{dev.Ordinal}) {
				t.Errorf("%+v: %v", e, got)
			}
		}
		var stored string
		if err := d.QueryRow(context.Background(), `select mobile from device_device`).Scan(&stored); err != nil || strings.Contains(stored, "138") {
			t.Errorf("the number is stored as %q (%v)", stored, err)
		}
		// Nothing named, nothing changed.
		if err := n.set(1, dev.Ordinal, ProfileChange{Tags: &Tags{}}); err != nil {
			t.Fatal(err)
		}
		if got := n.profile(1, dev.Ordinal); !same(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		empty := ProfileChange{Tags: &Tags{Replace: true}, Alias: new(""), Mobile: new(""), Attributes: map[string]*string{"k": nil, "x": nil}, Silence: &Silence{}}
		if err := n.set(1, dev.Ordinal, empty); err != nil {
			t.Fatal(err)
		}
		got := n.profile(1, dev.Ordinal)
		if len(got.Tags)+len(got.Alias)+len(got.Mobile)+len(got.Attributes) > 0 || got.Silence != nil || got.MobileVerified {
			t.Errorf("cleared: %+v", got)
		}
		if err := n.SetProfile(context.Background(), n.app(1), dev.Ordinal, ProfileChange{Mobile: new("13800000000")}, ByDevice); err != nil {
			t.Fatal(err)
		}
		if n.profile(1, dev.Ordinal).MobileVerified {
			t.Error("a number that a device set counts as verified")
		}
	})
}

func TestAliasLimit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		n.publish(1, func(a *gate.App) { a.Settings.AliasDevices = 3 })
		var devices []uint32
		for range 12 {
			devices = append(devices, n.joined(1, audience.IOS).Ordinal)
		}
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			full int
		)
		for _, o := range devices {
			wg.Go(func() {
				err := n.set(1, o, ProfileChange{Alias: new("u")})
				mu.Lock()
				defer mu.Unlock()
				if IsKind(err, AliasFull) {
					full++
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		owners := n.who(1, audience.Expr{Alias: []string{"u"}})
		if len(owners) != 3 || full != 9 {
			t.Fatalf("%d devices have the alias, %d were refused", len(owners), full)
		}
		if err := n.set(1, owners[0], ProfileChange{Alias: new("u")}); err != nil {
			t.Errorf("repeated by an owner: %v", err)
		}
		if err := n.set(1, owners[0], ProfileChange{Alias: new("v")}); err != nil {
			t.Fatal(err)
		}
		next := devices[slices.IndexFunc(devices, func(o uint32) bool { return !slices.Contains(owners, o) })]
		if err := n.set(1, next, ProfileChange{Alias: new("u")}); err != nil {
			t.Errorf("after one left: %v", err)
		}
		n.publish(1, func(a *gate.App) { a.Settings.AliasDevices = 0 })
		for _, o := range devices {
			if err := n.set(1, o, ProfileChange{Alias: new("u")}); err != nil {
				t.Errorf("without a limit: %v", err)
			}
		}
	})
}

func TestTagLimits(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		dev := n.joined(1, audience.Web)
		names := func(from, to int) (out []string) {
			for i := from; i < to; i++ {
				out = append(out, fmt.Sprintf("t%d", i))
			}
			return out
		}
		wantKind(t, n.set(1, dev.Ordinal, ProfileChange{Tags: &Tags{Add: names(0, 101)}}), Invalid)
		wantKind(t, n.set(1, dev.Ordinal, ProfileChange{Tags: &Tags{Add: []string{strings.Repeat("x", 41)}}}), Invalid)
		long := make([]string, 26)
		for i := range long {
			long[i] = fmt.Sprintf("%039d", i)
		}
		wantKind(t, n.set(1, dev.Ordinal, ProfileChange{Tags: &Tags{Add: long}}), Invalid)
		for i := 0; i < 1000; i += 100 {
			if err := n.set(1, dev.Ordinal, ProfileChange{Tags: &Tags{Add: names(i, i+100)}}); err != nil {
				t.Fatal(err)
			}
		}
		wantKind(t, n.set(1, dev.Ordinal, ProfileChange{Tags: &Tags{Add: []string{"more"}}, Alias: new("no")}), TooManyTags)
		if p := n.profile(1, dev.Ordinal); len(p.Tags) != 1000 || p.Alias != "" {
			t.Errorf("%d tags, alias %q", len(p.Tags), p.Alias)
		}
		// Deleting a tag makes room, although the row still carries its number.
		if err := n.DeleteTag(context.Background(), n.app(1), "t5", audience.AllPlatforms); err != nil {
			t.Fatal(err)
		}
		if err := n.set(1, dev.Ordinal, ProfileChange{Tags: &Tags{Add: []string{"more"}}}); err != nil {
			t.Errorf("after a tag was deleted: %v", err)
		}
		if got := n.restart().who(1, audience.Expr{Tag: []string{"t5"}}); len(got) != 0 {
			t.Errorf("the deleted tag: %v", got)
		}
		if err := n.set(1, dev.Ordinal, ProfileChange{Tags: &Tags{Replace: true, Add: names(2000, 3000)}}); err != nil {
			t.Errorf("replace all: %v", err)
		}
		wantKind(t, n.set(1, dev.Ordinal, ProfileChange{Tags: &Tags{Replace: true, Add: names(0, 1001)}}), Invalid)
	})
}

func TestDeleteTagOnPlatforms(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		android, ios := n.joined(1, audience.Android).Ordinal, n.joined(1, audience.IOS).Ordinal
		if err := n.TagDevices(ctx, n.app(1), "vip", []uint32{android, ios}, nil); err != nil {
			t.Fatal(err)
		}
		if err := n.DeleteTag(ctx, n.app(1), "vip", audience.PlatformSet(0).With(audience.IOS)); err != nil {
			t.Fatal(err)
		}
		for _, n := range []*node{n, n.restart()} {
			if got := n.who(1, audience.Expr{Tag: []string{"vip"}}); !slices.Equal(got, []uint32{android}) {
				t.Errorf("left: %v", got)
			}
		}
		if err := n.DeleteTag(ctx, n.app(1), "vip", audience.AllPlatforms); err != nil {
			t.Fatal(err)
		}
		if err := n.TagDevices(ctx, n.app(1), "vip", []uint32{ios}, nil); err != nil {
			t.Fatal(err)
		}
		for _, n := range []*node{n, n.restart()} {
			if got := n.who(1, audience.Expr{Tag: []string{"vip"}}); !slices.Equal(got, []uint32{ios}) {
				t.Errorf("deleted and defined again: %v", got)
			}
		}
		wantKind(t, n.TagDevices(ctx, n.app(1), "vip", nil, []uint32{99}), UnknownDevice)
	})
}

func TestWhoMaySetAlias(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	ctx := context.Background()
	app := n.publish(1, func(a *gate.App) { a.Settings.DeviceAlias = "server" })
	dev, other := n.joined(1, audience.IOS), n.joined(1, audience.IOS)
	up := func(payload string) edgewire.UpReply {
		return n.Up(ctx, edgewire.Up{App: 1, Ordinal: dev.Ordinal, Topic: TopicProfile, Payload: []byte(payload)})
	}
	sign := func(c Claims) string {
		s, err := Sign(masterSecret, c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	exp := clock.Millis(start.Add(time.Hour))
	if got := up(`{"alias":"u1"}`); got.Code != edgewire.UpDenied {
		t.Errorf("by the device: %+v", got)
	}
	for _, c := range []Claims{{RegistrationID: other.RegistrationID, Alias: "u1", Exp: exp}, {RegistrationID: dev.RegistrationID, Alias: "u2", Exp: exp}} {
		if got := up(`{"alias":"u1","alias_signature":"` + sign(c) + `"}`); got.Code != edgewire.UpDenied {
			t.Errorf("signed for another: %+v", got)
		}
	}
	if got := up(`{"alias":"u1","alias_signature":"` + sign(Claims{RegistrationID: dev.RegistrationID, Alias: "u1", Exp: exp}) + `"}`); got.Code != edgewire.UpOK {
		t.Errorf("signed: %+v", got)
	}
	if err := n.SetProfile(ctx, app, dev.Ordinal, ProfileChange{Alias: new("u3")}, ByServer); err != nil {
		t.Errorf("by the server: %v", err)
	}
	if got := up(`{"tags":{"add":["a"]}}`); got.Code != edgewire.UpOK || n.profile(1, dev.Ordinal).Alias != "u3" {
		t.Errorf("without an alias: %+v", got)
	}
}

func TestUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		n.publish(1, func(a *gate.App) { a.Settings.AliasDevices = 1 })
		dev, other := n.joined(1, audience.IOS), n.joined(1, audience.IOS)
		if err := n.set(1, other.Ordinal, ProfileChange{Alias: new("taken")}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			topic, payload string
			want           edgewire.UpCode
		}{
			{TopicProfile, `{"tags":{"add":["a","b"],"remove":["b"]},"attributes":{"k":"v"},"silence":null,"future":[1]}`, edgewire.UpOK},
			{TopicProfile, `{"tags":{"set":["c"]}}`, edgewire.UpOK},
			{TopicProfile, `{"tags":{"set":["d"],"add":["e"]}}`, edgewire.UpInvalid},
			{TopicProfile, `{"alias":"taken"}`, edgewire.UpQuota},
			{TopicProfile, `{"alias":7}`, edgewire.UpInvalid},
			{TopicProfile, `{"push_enabled":"yes"}`, edgewire.UpInvalid},
			{TopicProfile, `{"silence":{"from":"24:00","to":"08:00"}}`, edgewire.UpInvalid},
			{TopicProfile, "{\"alias\":\"\xff\"}", edgewire.UpInvalid},
			{TopicProfile, `[]`, edgewire.UpInvalid},
			{TopicProfile, `null`, edgewire.UpInvalid},
			{TopicProfile, ``, edgewire.UpInvalid},
			{TopicTokens, `{"channel":"fcm","token":"x"}`, edgewire.UpOK},
			{TopicTokens, `{"channel":"pigeon","token":"x"}`, edgewire.UpInvalid},
			{TopicTokens, `{"channel":"apns","token":"x","environment":"moon"}`, edgewire.UpInvalid},
			{"up/events", `{}`, edgewire.UpDenied},
		} {
			got := n.Up(ctx, edgewire.Up{App: 1, Ordinal: dev.Ordinal, Topic: c.topic, Payload: []byte(c.payload)})
			if got.Code != c.want || len(got.Reason) > 200 || (got.Code == edgewire.UpOK) != (got.Reason == "") {
				t.Errorf("%s %s: %+v, want code %d", c.topic, c.payload, got, c.want)
			}
		}
		if p := n.profile(1, dev.Ordinal); !slices.Equal(p.Tags, []string{"c"}) || p.Alias != "" || p.Attributes["k"] != "v" {
			t.Errorf("profile %+v", p)
		}
		if got := n.Up(ctx, edgewire.Up{App: 1, Ordinal: 99, Topic: TopicProfile, Payload: []byte(`{"tags":{"add":["a"]}}`)}); got.Code != edgewire.UpDenied {
			t.Errorf("unknown device: %+v", got)
		}
	})
}

func TestNewestOwnerOfTokenWins(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		a, b := n.joined(1, audience.IOS).Ordinal, n.joined(1, audience.IOS).Ordinal
		elsewhere := n.joined(2, audience.IOS).Ordinal
		put := func(app int64, o uint32, tok Token) {
			t.Helper()
			if err := n.PutToken(ctx, n.app(app), o, tok); err != nil {
				t.Fatal(err)
			}
		}
		long := strings.Repeat("t", maxToken)
		put(1, a, Token{Channel: "apns", Token: long})
		put(1, a, Token{Channel: "fcm", Token: "f"})
		put(2, elsewhere, Token{Channel: "apns", Token: long})
		put(1, b, Token{Channel: "apns", Token: long, Environment: "sandbox"})
		want := map[uint32]string{a: "[{fcm f production}]", b: "[{apns " + long + " sandbox}]"}
		for o, list := range want {
			if got, err := n.Tokens(ctx, 1, o); err != nil || fmt.Sprint(got) != list {
				t.Errorf("device %d: %.80v (%v)", o, got, err)
			}
		}
		if got, _ := n.Tokens(ctx, 2, elsewhere); len(got) != 1 {
			t.Error("the token of another app was taken")
		}
		put(1, a, Token{Channel: "apns", Token: long}) // and back to the lower ordinal
		put(1, a, Token{Channel: "apns", Token: long})
		if got, _ := n.Tokens(ctx, 1, b); len(got) != 0 {
			t.Errorf("taken back: %v", got)
		}
		put(1, b, Token{Channel: "apns", Token: "new"})
		put(1, b, Token{Channel: "apns"})
		if got, _ := n.Tokens(ctx, 1, b); len(got) != 0 {
			t.Errorf("deleted: %v", got)
		}
		wantKind(t, n.PutToken(ctx, n.app(1), b, Token{Channel: "apns", Token: long + "x"}), Invalid)
	})
}

func TestLastSeen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		var all []uint32
		for range 3 {
			all = append(all, n.joined(1, audience.IOS).Ordinal)
		}
		if err := n.FlushSeen(ctx); err != nil {
			t.Fatal(err)
		}
		n.clock.Advance(time.Hour)
		n.Seen(1, all[:2])
		n.Seen(1, []uint32{4_000_000_000})
		if err := n.FlushSeen(ctx); err != nil {
			t.Fatal(err)
		}
		if err := n.set(1, all[0], ProfileChange{Alias: new("x")}); err != nil { // must not bring an old time back
			t.Fatal(err)
		}
		got, err := n.lastSeen(ctx, 1, all)
		now := clock.Millis(n.clock.Now())
		if err != nil || got[all[0]] != now || got[all[1]] != now || got[all[2]] != now-3_600_000 {
			t.Errorf("now %d, seen %v (%v)", now, got, err)
		}
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		n.Seen(1, all[2:])
		if err := n.FlushSeen(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if err := n.FlushSeen(ctx); err != nil {
			t.Fatal(err)
		}
		if got, err := n.lastSeen(ctx, 1, all[2:]); err != nil || got[all[2]] != now {
			t.Errorf("after a failure: %v (%v)", got, err)
		}
	})
}

// Indexes that load at any moment while devices change come to the same result as one that loads at the end.
func TestLoadWhileChanging(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		n.publish(1, func(a *gate.App) { a.Settings.AliasDevices = 0 })
		var devices []uint32
		for range 6 {
			devices = append(devices, n.joined(1, audience.IOS).Ordinal)
		}
		done := make(chan struct{})
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				for i := range 40 {
					o := devices[(i*7+w)%len(devices)]
					var err error
					switch tag := fmt.Sprintf("t%d", (i+w)%4); i % 5 {
					case 0:
						err = n.set(1, o, ProfileChange{Tags: &Tags{Remove: []string{tag}}, Alias: new("")})
					case 1:
						err = n.DeleteTag(ctx, n.app(1), tag, audience.AllPlatforms)
					default:
						err = n.set(1, o, ProfileChange{Tags: &Tags{Add: []string{tag}}, Alias: new(tag)})
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		go func() { wg.Wait(); close(done) }()
		var early []*audience.Index
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			x := audience.New(d, nil, NewRows(d), n.clock, slog.New(slog.DiscardHandler))
			if err := x.Sync(ctx, 1); err != nil {
				t.Fatal(err)
			}
			if d.Engine() == db.PostgreSQL && len(early) < 200 {
				early = append(early, x)
			}
		}
		late := n.restart()
		early = append(early, n.Audience)
		for i := range 4 {
			tag := fmt.Sprintf("t%d", i)
			for _, e := range []audience.Expr{{Tag: []string{tag}, Platforms: audience.AllPlatforms}, {Alias: []string{tag}, Platforms: audience.AllPlatforms}} {
				want := late.who(1, e)
				for k, x := range early {
					if err := x.Sync(ctx, 1); err != nil {
						t.Fatal(err)
					}
					if set, err := x.Evaluate(1, e); err != nil || !slices.Equal(set.ToArray(), want) {
						t.Fatalf("index %d of %d, %+v: %v, want %v (%v)", k, len(early), e, set.ToArray(), want, err)
					}
				}
			}
		}
	})
}

// An app has a bounded number of tag names, whoever gives them.
func TestAppIsFullOfTags(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	dev := n.joined(1, audience.Android)
	ctx := context.Background()
	err := n.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := n.Audience.Append(ctx, tx, 1, audience.Change{After: &audience.Device{Ordinal: dev.Ordinal, Platform: audience.Android, Joined: true}}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `with recursive c(i) as (select 1 union all select i + 1 from c where i < $2)
			insert into audience_tag (app_id, id, name) select $1, i, 'n' || i from c`, 1, audience.MaxTags); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update audience_head set next_tag = $2 where app_id = $1`, 1, audience.MaxTags+1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	one := func(tag string) ProfileChange { return ProfileChange{Tags: &Tags{Add: []string{tag}}} }
	wantKind(t, n.set(1, dev.Ordinal, one("new")), TooManyTags)
	if err := n.set(1, dev.Ordinal, one("n5")); err != nil {
		t.Errorf("a name the app has: %v", err)
	}
	s := n.compatServer()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v3/tags/new", strings.NewReader(`{"registration_ids":{"add":["`+dev.RegistrationID+`"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body compatError
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != http.StatusBadRequest || body.Error.Code != codeParameter {
		t.Errorf("%d, code %d, %v", resp.StatusCode, body.Error.Code, err)
	}
}
