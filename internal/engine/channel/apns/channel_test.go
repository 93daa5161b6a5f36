package apns_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/wire"
)

const channelID = "dHN0LXNyY2gtY2hubA=="

// said is what a request says, in one line.
func said(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	out := r.Method + " " + r.URL.Path
	for _, name := range []string{"apns-channel-id", "apns-push-type", "apns-priority", "apns-expiration", "apns-topic", "content-type"} {
		if value := r.Header.Get(name); value != "" {
			out += " " + name + "=" + value
		}
	}
	return strings.TrimSpace(out + " " + string(body))
}

func TestChannelsAreManaged(t *testing.T) {
	t.Parallel()
	var (
		got    string
		answer func(http.ResponseWriter)
	)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { got = said(r); answer(w) })
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	c := parse(t, v, credentials(t))
	for _, sandbox := range []bool{false, true} {
		for _, step := range []struct {
			call   func() (any, error)
			status int
			body   string
			says   string
			want   string
		}{
			{
				func() (any, error) { return v.CreateChannel(t.Context(), c, sandbox, true) }, http.StatusCreated, "",
				`POST /1/apps/com.example.courier/channels content-type=application/json {"message-storage-policy":1,"push-type":"LiveActivity"}`,
				"{dHN0LXNyY2gtY2hubA== true}",
			},
			{
				func() (any, error) { return v.CreateChannel(t.Context(), c, sandbox, false) }, http.StatusCreated, "",
				`POST /1/apps/com.example.courier/channels content-type=application/json {"message-storage-policy":0,"push-type":"LiveActivity"}`,
				"{dHN0LXNyY2gtY2hubA== false}",
			},
			{
				func() (any, error) { return v.Channel(t.Context(), c, sandbox, channelID) }, http.StatusOK, `{"message-storage-policy":1,"push-type":"LiveActivity"}`,
				"GET /1/apps/com.example.courier/channels apns-channel-id=" + channelID, "{dHN0LXNyY2gtY2hubA== true}",
			},
			{
				func() (any, error) { return v.Channels(t.Context(), c, sandbox) }, http.StatusOK, `{"channels":["YQ==","Yg=="]}`,
				"GET /1/apps/com.example.courier/all-channels", "[YQ== Yg==]",
			},
			{
				func() (any, error) { return nil, v.DeleteChannel(t.Context(), c, sandbox, channelID) }, http.StatusNoContent, "",
				"DELETE /1/apps/com.example.courier/channels apns-channel-id=" + channelID, "<nil>",
			},
		} {
			says := step.says
			if sandbox {
				says = strings.Replace(says, "/1/", "/sandbox/1/", 1)
			}
			answer = func(w http.ResponseWriter) {
				w.Header().Set("apns-channel-id", channelID)
				w.WriteHeader(step.status)
				_, _ = w.Write([]byte(step.body))
			}
			value, err := step.call()
			if err != nil || fmt.Sprint(value) != step.want || got != says {
				t.Errorf("%v, %v after %s, want %s after %s", value, err, got, step.want, says)
			}
			answer = func(w http.ResponseWriter) { refuse(w, http.StatusBadRequest, "ChannelNotRegistered") }
			var refused *apns.RefusedError
			if _, err := step.call(); !errors.As(err, &refused) || refused.Outcome.Status != wire.Rejected || refused.Outcome.Reason != "ChannelNotRegistered" {
				t.Errorf("%v", err)
			}
			answer = func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
			if _, err := step.call(); err == nil || errors.As(err, new(*apns.RefusedError)) {
				t.Errorf("no answer: %v", err)
			}
		}
	}
	answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) }
	if got, err := v.CreateChannel(t.Context(), c, false, true); err == nil {
		t.Errorf("an answer without a channel: %v", got)
	}
	got = ""
	for _, id := range []string{"", "no base64", "YQ==\n", strings.Repeat("YQ==", 300)} {
		if _, err := v.Channel(t.Context(), c, false, id); err == nil || got != "" {
			t.Errorf("channel %q: %v, %s", id, err, got)
		}
	}
}

func TestBroadcasts(t *testing.T) {
	t.Parallel()
	var got, id string
	status, body := http.StatusOK, ""
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, id = said(r), r.Header.Get("Apns-Request-Id")
		w.Header().Set("Apns-Request-Id", id)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	c := parse(t, v, credentials(t))
	message := func(ios string) *wire.Message {
		return &wire.Message{ID: "7", Kind: wire.Live, TTL: 24 * time.Hour, Apple: &wire.Apple{Live: json.RawMessage(ios)}}
	}
	const update = `{"event":"update","content-state":{"score":1},"apns-priority":5}`
	payload := `{"_j_msgid":7,"aps":{"content-state":{"score":1},"event":"update","timestamp":1772703600}}`
	o := v.Broadcast(t.Context(), c, false, apns.Channel{ID: channelID}, message(update))
	want := "POST /4/broadcasts/apps/com.example.courier apns-channel-id=" + channelID + " apns-push-type=liveactivity apns-priority=5 apns-expiration=0 content-type=application/json " + payload
	if o.Status != wire.Accepted || o.VendorID != id || len(id) != 36 || got != want {
		t.Errorf("%+v after %s", o, got)
	}
	// A channel that stores keeps a message for 8 hours at most.
	before := id
	o = v.Broadcast(t.Context(), c, true, apns.Channel{ID: channelID, Stored: true}, message(update))
	if o.Status != wire.Accepted || id != before || !strings.Contains(got, "/sandbox/4/") || !strings.Contains(got, fmt.Sprintf("apns-expiration=%d ", now.Add(8*time.Hour).Unix())) {
		t.Errorf("%+v after %s", o, got)
	}
	status, body = http.StatusBadRequest, `{"reason":"ChannelNotRegistered"}`
	if o := v.Broadcast(t.Context(), c, false, apns.Channel{ID: channelID}, message(update)); o.Status != wire.Rejected || o.Reason != "ChannelNotRegistered" {
		t.Errorf("%+v", o)
	}
	status, body = http.StatusForbidden, `{"reason":"TopicMismatch"}`
	if o := v.Broadcast(t.Context(), c, false, apns.Channel{ID: channelID}, message(update)); o.Status != wire.Denied {
		t.Errorf("%+v", o)
	}
	got = ""
	large := `{"event":"update","content-state":{"k":"` + strings.Repeat("v", 5100) + `"}}`
	for name, o := range map[string]wire.Outcome{
		"a start":        v.Broadcast(t.Context(), c, false, apns.Channel{ID: channelID}, message(`{"event":"start","content-state":{},"attributes-type":"A"}`)),
		"a notification": v.Broadcast(t.Context(), c, false, apns.Channel{ID: channelID}, hello()),
		"no channel":     v.Broadcast(t.Context(), c, false, apns.Channel{}, message(update)),
		"too large":      v.Broadcast(t.Context(), c, false, apns.Channel{ID: channelID}, message(large)),
	} {
		if o.Status != wire.Rejected || got != "" {
			t.Errorf("%s: %+v after %s", name, o, got)
		}
	}
}
