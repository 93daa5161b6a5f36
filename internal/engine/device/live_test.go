package device

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func (n *node) follow(ordinal uint32, activity, token string) {
	n.t.Helper()
	if err := n.SetLive(context.Background(), n.app(1), ordinal, Live{Activity: activity, PushToken: token}); err != nil {
		n.t.Fatal(err)
	}
}

// wantFollowers demands that just these devices of app 1 follow an activity, in this order of ordinals, with these tokens.
func (n *node) wantFollowers(activity string, tokens map[uint32]string) {
	n.t.Helper()
	followers, err := n.LiveFollowers(context.Background(), 1, activity)
	if err != nil {
		n.t.Fatal(err)
	}
	all := make([]uint32, 0, 10)
	for o := range uint32(10) {
		all = append(all, o)
	}
	found, err := n.LiveTokens(context.Background(), 1, activity, all)
	if err != nil {
		n.t.Fatal(err)
	}
	if int(followers.GetCardinality()) != len(tokens) || len(found) != len(tokens) {
		n.t.Errorf("%s is followed by %v with %+v, want %v", activity, followers, found, tokens)
	}
	for _, t := range found {
		if t.Channel != "apns" || t.Token.Token != tokens[t.Ordinal] || !followers.Contains(t.Ordinal) {
			n.t.Errorf("%s is followed by %v with %+v, want %v", activity, followers, found, tokens)
		}
	}
}

func TestDevicesFollowLiveActivities(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n, ctx := newNode(t, d), context.Background()
		a, b, c := n.joined(1, audience.IOS).Ordinal, n.joined(1, audience.IOS).Ordinal, n.joined(1, audience.IOS).Ordinal
		other := n.joined(2, audience.IOS).Ordinal
		n.follow(a, "match", "ta")
		n.follow(b, "match", "tb")
		n.follow(c, "order", "tc")
		if err := n.SetLive(ctx, n.app(2), other, Live{Activity: "match", PushToken: "ta"}); err != nil {
			t.Fatal(err)
		}
		n.wantFollowers("match", map[uint32]string{a: "ta", b: "tb"})
		n.wantFollowers("order", map[uint32]string{c: "tc"})
		n.wantFollowers("nothing", nil)
		// A new token takes the place of the old one, and a token has one place.
		n.follow(a, "match", "ta2")
		n.follow(c, "match", "tb")
		n.wantFollowers("match", map[uint32]string{a: "ta2", c: "tb"})
		n.follow(a, "final", "ta2")
		n.wantFollowers("match", map[uint32]string{c: "tb"})
		n.wantFollowers("final", map[uint32]string{a: "ta2"})
		// Tokens that start activities are other names.
		if err := n.SetLive(ctx, n.app(1), a, Live{AttributesType: "final", PushToken: "start", Environment: "sandbox"}); err != nil {
			t.Fatal(err)
		}
		n.wantFollowers("final", map[uint32]string{a: "ta2"})
		if got, err := n.StartTokens(ctx, 1, "final", []uint32{a, b, c}); err != nil || len(got) != 1 || got[0].Token != (Token{"apns", "start", "sandbox"}) {
			t.Errorf("start tokens %+v, %v", got, err)
		}
		// What is no longer good goes, unless it was replaced meanwhile.
		err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return n.DropLiveTokens(ctx, tx, 1, []DeviceToken{{Token{"apns", "ta2", ""}, a, 0}, {Token{"apns", "old", ""}, c, 0}, {Token{"apns", "tb", ""}, b, 0}})
		})
		if err != nil {
			t.Fatal(err)
		}
		n.wantFollowers("final", nil)
		n.wantFollowers("match", map[uint32]string{c: "tb"})
		n.follow(c, "match", "")
		n.wantFollowers("match", nil)
		n.follow(c, "match", "") // again
		if err := n.Delete(ctx, 1, c); err != nil {
			t.Fatal(err)
		}
		n.wantFollowers("order", nil)
	})
}

func TestLiveActivitiesEndByThemselves(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n, ctx := newNode(t, d), context.Background()
		a, b := n.joined(1, audience.IOS).Ordinal, n.joined(1, audience.IOS).Ordinal
		n.follow(a, "match", "ta")
		if err := n.SetLive(ctx, n.app(1), a, Live{AttributesType: "T", PushToken: "start"}); err != nil {
			t.Fatal(err)
		}
		n.clock.Advance(liveLife / 2)
		n.follow(b, "match", "tb")
		n.clock.Advance(liveLife / 2)
		n.wantFollowers("match", map[uint32]string{b: "tb"})
		if swept, err := n.SweepLive(ctx); swept != 1 || err != nil {
			t.Errorf("swept %d, %v", swept, err)
		}
		n.wantFollowers("match", map[uint32]string{b: "tb"})
		n.follow(b, "match", "tb") // renewed
		n.clock.Advance(liveLife - time.Millisecond)
		n.wantFollowers("match", map[uint32]string{b: "tb"})
		if got, err := n.StartTokens(ctx, 1, "T", []uint32{a}); err != nil || len(got) != 1 {
			t.Errorf("the token to start: %v, %v", got, err)
		}
		n.clock.Advance(tokenLife)
		if swept, err := n.SweepLive(ctx); swept != 2 || err != nil {
			t.Errorf("swept %d, %v", swept, err)
		}
	})
}

// A device has at most 32; the oldest makes room, not the one that was renewed.
func TestLiveActivitiesAreBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		a, b := n.joined(1, audience.IOS).Ordinal, n.joined(1, audience.IOS).Ordinal
		n.follow(b, "0", "b")
		for i := range maxLive {
			n.clock.Advance(time.Second)
			n.follow(a, fmt.Sprint(i), fmt.Sprint("t", i))
		}
		n.clock.Advance(time.Second)
		n.follow(a, "0", "new")
		n.clock.Advance(time.Second)
		n.follow(a, "last", "last")
		n.follow(a, "very last", "very last")
		n.wantFollowers("0", map[uint32]string{a: "new", b: "b"})
		n.wantFollowers("1", nil)
		n.wantFollowers("2", nil)
		n.wantFollowers("3", map[uint32]string{a: "t3"})
		n.wantFollowers("very last", map[uint32]string{a: "very last"})
		var rows int
		if err := d.QueryRow(context.Background(), `select count(*) from device_live where ordinal = $1`, int64(a)).Scan(&rows); err != nil || rows != maxLive {
			t.Errorf("%d rows, %v", rows, err)
		}
	})
}

// Devices that claim one token at the same time: one has it.
func TestOneTokenOfALiveActivityHasOneDevice(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		var wg sync.WaitGroup
		for range 8 {
			o := n.joined(1, audience.IOS).Ordinal
			wg.Go(func() {
				if err := n.SetLive(context.Background(), n.app(1), o, Live{Activity: "match", PushToken: "t"}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got, err := n.LiveFollowers(context.Background(), 1, "match"); err != nil || got.GetCardinality() != 1 {
			t.Errorf("followed by %v, %v", got, err)
		}
	})
}

func TestLiveActivityCalls(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n, ctx := newNode(t, d), context.Background()
		s := n.server()
		apple, other := n.joined(1, audience.IOS), n.joined(1, audience.Android)
		long := strings.Repeat("x", 256)
		type refusal struct {
			body, field string
		}
		put := func(dev Registered, body string) answer {
			return send(t, s, call{method: http.MethodPut, path: "/device/v1/live-activities", body: body, user: dev.RegistrationID, password: dev.Secret,
				header: map[string]string{HeaderAppKey: n.app(1).Key}})
		}
		up := func(dev Registered, body string) edgewire.UpReply {
			return n.Up(ctx, edgewire.Up{App: 1, Ordinal: dev.Ordinal, Topic: TopicTokens, Payload: []byte(body)})
		}
		for _, r := range []refusal{
			{`{"push_token":"t"}`, "live_activity_id"}, {`{"live_activity_id":"","push_token":"t"}`, "live_activity_id"},
			{`{"live_activity_id":"a","attributes_type":"T","push_token":"t"}`, "attributes_type"}, {`{"live_activity_id":"` + long + `","push_token":"t"}`, "live_activity_id"},
			{`{"attributes_type":"` + long + `","push_token":"t"}`, "attributes_type"}, {`{"live_activity_id":5,"push_token":"t"}`, "live_activity_id"},
			{`{"live_activity_id":"a","push_token":"` + strings.Repeat("x", maxToken+1) + `"}`, "push_token"}, {`{"live_activity_id":"a","push_token":{}}`, "push_token"},
			{`{"live_activity_id":"a"}`, "push_token"}, {`{"live_activity_id":"a","push_token":null}`, "push_token"},
			{`{"live_activity_id":"a","push_token":"t","environment":"moon"}`, "environment"}, {`{"live_activity_id":"a\u0000","push_token":"t"}`, "live_activity_id"},
		} {
			if a := put(apple, r.body); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, r.field) || !strings.Contains(a.body, `"location":"body`) {
				t.Errorf("%.80s: %d %s, want 422 of %s", r.body, a.status, a.body, r.field)
			}
			// The topic is also that of other tokens, which have neither id nor type.
			if reply := up(apple, r.body); reply.Code != edgewire.UpInvalid || !strings.HasPrefix(reply.Reason, r.field) && !strings.HasPrefix(reply.Reason, "channel") {
				t.Errorf("%.80s: %+v, want a refusal of %s", r.body, reply, r.field)
			}
		}
		good := `{"live_activity_id":"order-17","push_token":"aa","environment":"sandbox","new":1}`
		if a := put(other, good); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "android") {
			t.Errorf("of Android: %d %s", a.status, a.body)
		}
		if reply := up(other, good); reply.Code != edgewire.UpInvalid {
			t.Errorf("of Android: %+v", reply)
		}
		var rows int
		if err := d.QueryRow(ctx, `select count(*) from device_live`).Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%d rows after refusals, %v", rows, err)
		}
		if a := put(apple, good); a.status != http.StatusNoContent {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if got, err := n.LiveTokens(ctx, 1, "order-17", []uint32{apple.Ordinal}); err != nil || !slices.Equal(got, []DeviceToken{{Token{"apns", "aa", "sandbox"}, apple.Ordinal, 0}}) {
			t.Errorf("%+v, %v", got, err)
		}
		if reply := up(apple, `{"live_activity_id":"order-17","push_token":"bb"}`); reply.Code != edgewire.UpOK {
			t.Errorf("%+v", reply)
		}
		if reply := up(apple, `{"attributes_type":"Order","push_token":"cc"}`); reply.Code != edgewire.UpOK {
			t.Errorf("%+v", reply)
		}
		n.wantFollowers("order-17", map[uint32]string{apple.Ordinal: "bb"})
		if reply := up(apple, `{"channel":"apns","token":"dd"}`); reply.Code != edgewire.UpOK {
			t.Errorf("an ordinary token: %+v", reply)
		}
		if a := put(apple, `{"live_activity_id":"order-17","push_token":""}`); a.status != http.StatusNoContent {
			t.Errorf("%d %s", a.status, a.body)
		}
		n.wantFollowers("order-17", nil)
		if a := send(t, s, call{method: http.MethodPut, path: "/device/v1/live-activities", body: good}); a.status != http.StatusUnauthorized {
			t.Errorf("without credentials: %d", a.status)
		}
	})
}
