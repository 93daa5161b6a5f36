package push

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/device"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// A push for a live activity goes to the devices that follow it, be they few or many, and to those alone.
func TestPushesToLiveActivities(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		app, all := r.newApp(5, "ios", "ios", "ios", "ios", "ios", "android")
		follow := func(activity string, devices ...target) {
			t.Helper()
			for _, to := range devices {
				l := device.Live{Activity: activity, PushToken: fmt.Sprint(activity, to.ordinal)}
				if err := r.devices.SetLive(ctx, app, to.ordinal, l); err != nil {
					t.Fatal(err)
				}
			}
		}
		follow("match", all[:smallRows+1]...)
		follow("order", all[0])
		push := func(body string) (int64, error) {
			t.Helper()
			p, err := r.Parse(app, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			out, err := r.Accept(ctx, app, p)
			return out.Msg, err
		}
		event := func(activity, event string) string {
			return fmt.Sprintf(`{"platform":"all","audience":{"live_activity_id":%q},"live_activity":{"ios":{"event":%q,"content-state":{"score":1}}}}`, activity, event)
		}
		for activity, want := range map[string][]target{"match": all[:smallRows+1], "order": all[:1]} {
			msg, err := push(event(activity, "update"))
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range all {
				out, err := r.Owed(ctx, edgewire.OwedRequest{App: app.ID, Ordinal: to.ordinal})
				if err != nil {
					t.Fatal(err)
				}
				got := slices.DeleteFunc(out.Frames, func(f edgewire.Frame) bool { return f.Msg != msg })
				if !slices.Contains(want, to) {
					if len(got) > 0 {
						t.Errorf("%s: device %d gets %s", activity, to.ordinal, got[0].Payload)
					}
					continue
				}
				frame := fmt.Sprintf(`{"id":"%d","type":"live_activity","live_activity_id":"%s","live_activity":{"content-state":{"score":1},"event":"update"},"expires_at":%d}`,
					msg, activity, r.fake.Now().Add(24*time.Hour).UnixMilli())
				if len(got) != 1 || string(got[0].Payload) != frame {
					t.Errorf("%s: device %d gets %v, want %s", activity, to.ordinal, got, frame)
				}
			}
			err = r.MergeReceipts(ctx, edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{{Msg: msg, Stage: edgewire.Delivered, Ordinals: []uint32{all[0].ordinal, all[4].ordinal}}}})
			if err != nil {
				t.Fatal(err)
			}
			report := func(path string, h func(http.ResponseWriter, *http.Request)) string {
				w := httptest.NewRecorder()
				h(w, httptest.NewRequest(http.MethodGet, fmt.Sprintf("%s?msg_ids=%d", path, msg), nil))
				return w.Body.String()
			}
			got := report("/v3/received/detail", func(w http.ResponseWriter, q *http.Request) { r.compatReceivedDetail(w, q, app) })
			if want := `"ios_msg_received":null,"live_acivity_sent":1,"live_acivity_received":1`; !strings.Contains(got, want) {
				t.Errorf("reported %s, want %s", got, want)
			}
			got = report("/v3/messages/detail", func(w http.ResponseWriter, q *http.Request) { r.compatMessagesDetail(w, q, app) })
			numbers := fmt.Sprintf(`"target":%d,"sent":1,"received":1,"display":0,"click":0`, len(want))
			if want := `"details":{"live_activity":{` + numbers + `,"sub_ios":{` + numbers + `}}}`; !strings.Contains(got, want) {
				t.Errorf("reported %s, want %s", got, want)
			}
		}
		// Nobody follows it, its followers take no pushes or run on another platform, it is over.
		_, err := push(event("nothing", "update"))
		wantCode(t, err, 1011)
		r.switchTo(app, all[0], false, true)
		_, err = push(event("order", "end"))
		wantCode(t, err, 1011)
		r.switchTo(app, all[0], true, true)
		_, err = push(`{"platform":"android","audience":{"live_activity_id":"order"},"notification":{"alert":"x"}}`)
		wantCode(t, err, 1011)
		if _, err := push(event("order", "end")); err != nil {
			t.Error(err)
		}
		r.advance(25 * time.Hour)
		_, err = push(event("order", "end"))
		wantCode(t, err, 1011)
		// Without its id an activity can be started, nothing else.
		started := `{"platform":"all","audience":"all","live_activity":{"ios":{"event":%q,"content-state":{},"attributes-type":"T"}}}`
		if got, err := push(fmt.Sprintf(started, "start")); err != nil || r.funnel(app, got).Targets != 5 {
			t.Errorf("start: %v", err)
		}
		_, err = push(fmt.Sprintf(started, "update"))
		wantCode(t, err, 1011)
	})
}
