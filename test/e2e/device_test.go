package e2e

import (
	"net/http"
	"testing"
	"time"
)

// A device tells over its connection what it takes and follows, and pushes heed it.
func TestDeviceSaysWhatItTakes(t *testing.T) {
	t.Parallel()
	n := Start(t, nil)
	app := n.NewApp(t)
	d := n.Register(t, app, "ios")
	client, got := connectV3(t, n.MQTT, app, d)
	say := func(topic, body string) {
		t.Helper()
		if token := client.Publish(topic, 1, false, body); !token.WaitTimeout(20*time.Second) || token.Error() != nil {
			t.Fatalf("%s %s: %v", topic, body, token.Error())
		}
	}
	refused := func(body any) {
		t.Helper()
		var answer struct {
			Error struct{ Code int }
		}
		if status := n.Call(t, app, http.MethodPost, "/v3/push", body, &answer); status != http.StatusBadRequest || answer.Error.Code != 1011 {
			t.Errorf("status %d, code %d; want 400, 1011", status, answer.Error.Code)
		}
	}
	toMe := notification(to(d.RegistrationID), "hello")
	live := map[string]any{
		"platform": "all", "audience": map[string]any{"live_activity_id": "order-17"},
		"live_activity": map[string]any{"ios": map[string]any{"event": "update", "content-state": map[string]int{"eta": 5}}},
	}
	refused(live)
	say("up/tokens", `{"live_activity_id":"order-17","push_token":"80c1"}`)
	id := n.push(t, app, live)
	if f := next(t, got); f.ID != id || f.Type != "live_activity" {
		t.Errorf("got %+v, want the event %s", f, id)
	}
	say("up/profile", `{"push_enabled":false}`)
	refused(toMe)
	refused(live)
	say("up/profile", `{"push_enabled":true,"notifications_enabled":false}`)
	id = n.push(t, app, toMe)
	if f := next(t, got); f.ID != id {
		t.Errorf("got %+v, want %s", f, id)
	}
	toMe["options"] = map[string]any{"notification_switch_filter": true}
	refused(toMe)
	// One that is to be shown inside the app reaches a device without notifications, as the notification that it is.
	toMe["options"], toMe["inapp_message"] = nil, map[string]bool{"inapp_message": true}
	id = n.push(t, app, toMe)
	if f := next(t, got); f.ID != id || f.Type != "notification" || f.Options["inapp_message"] != true {
		t.Errorf("got %+v, want the notification %s with the option inapp_message", f, id)
	}
	var report []struct {
		Details map[string]struct {
			Target int `json:"target"`
		} `json:"details"`
	}
	if status := n.Call(t, app, http.MethodGet, "/v3/messages/detail?msg_ids="+id, nil, &report); status != http.StatusOK || len(report) != 1 ||
		report[0].Details["inapp"].Target != 1 || report[0].Details["notification"].Target != 1 {
		t.Errorf("status %d, report %+v", status, report)
	}
}
