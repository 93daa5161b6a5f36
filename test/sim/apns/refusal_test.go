package apns_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	vendor "borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/wire"
	"borealis/test/sim/apns"
)

const (
	aRequestID = "123e4567-e89b-12d3-a456-4266554400a0"
	oneAlert   = `{"aps":{"alert":"x"}}`
)

// good are the headers of an alert that is taken.
func (w *world) good(more ...string) http.Header {
	h := http.Header{}
	h.Set("Authorization", "bearer "+w.token("", "SIMTEAM001", w.clock.Now()))
	h.Set("Apns-Topic", apns.Bundle)
	h.Set("Apns-Push-Type", "alert")
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == "" {
			h.Del(more[i])
			continue
		}
		h.Set(more[i], more[i+1])
	}
	return h
}

func TestBrokenRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	device := w.phones.Add("apns", "")
	path := "/3/device/" + device
	background := `{"aps":{"content-available":1}}`
	other := strings.Repeat("ab", 4097-len(`{"aps":{"alert":""}}`))[:4097-len(`{"aps":{"alert":""}}`)]
	foreign := open(t, false)
	twice := w.good()
	twice["Apns-Topic"] = []string{apns.Bundle, apns.Bundle}
	developmentKey, _ := w.sim.DevelopmentKey()
	for name, c := range map[string]struct {
		method, path string
		header       http.Header
		body         string
		status       int
		reason       string
	}{
		"as it should be":                 {"POST", path, w.good(), oneAlert, 200, ""},
		"with all headers":                {"POST", path, w.good("Apns-Id", aRequestID, "Apns-Priority", "5", "Apns-Expiration", "0", "Apns-Collapse-Id", strings.Repeat("c", 64)), oneAlert, 200, ""},
		"without a push type":             {"POST", path, w.good("Apns-Push-Type", ""), oneAlert, 200, ""},
		"the largest":                     {"POST", path, w.good(), `{"aps":{"alert":"` + other[1:] + `"}}`, 200, ""},
		"too large":                       {"POST", path, w.good(), `{"aps":{"alert":"` + other + `"}}`, 413, "PayloadTooLarge"},
		"the largest call":                {"POST", path, w.good("Apns-Push-Type", "voip", "Apns-Topic", apns.Bundle+".voip"), `{"k":"` + strings.Repeat("v", 5120-8) + `"}`, 200, ""},
		"too large a call":                {"POST", path, w.good("Apns-Push-Type", "voip", "Apns-Topic", apns.Bundle+".voip"), `{"k":"` + strings.Repeat("v", 5121-8) + `"}`, 413, "PayloadTooLarge"},
		"nothing":                         {"POST", path, w.good(), "", 400, "PayloadEmpty"},
		"no JSON":                         {"POST", path, w.good(), "hello", 400, "PayloadEmpty"},
		"aps is a text":                   {"POST", path, w.good(), `{"aps":"x"}`, 400, "PayloadEmpty"},
		"another path":                    {"POST", "/3/devices/" + device, w.good(), oneAlert, 404, "BadPath"},
		"a longer path":                   {"POST", path + "/x", w.good(), oneAlert, 404, "BadPath"},
		"no token":                        {"POST", "/3/device/", w.good(), oneAlert, 400, "MissingDeviceToken"},
		"GET":                             {"GET", path, w.good(), "", 405, "MethodNotAllowed"},
		"a header twice":                  {"POST", path, twice, oneAlert, 400, "DuplicateHeaders"},
		"half a byte":                     {"POST", path + "0", w.good(), oneAlert, 400, "BadDeviceToken"},
		"not hexadecimal":                 {"POST", "/3/device/zz", w.good(), oneAlert, 400, "BadDeviceToken"},
		"nobody's token":                  {"POST", "/3/device/abcd", w.good(), oneAlert, 400, "BadDeviceToken"},
		"the other environment":           {"POST", "/sandbox" + path, w.good(), oneAlert, 400, "BadDeviceToken"},
		"an id in capitals":               {"POST", path, w.good("Apns-Id", strings.ToUpper(aRequestID)), oneAlert, 400, "BadMessageId"},
		"an id that is none":              {"POST", path, w.good("Apns-Id", "7"), oneAlert, 400, "BadMessageId"},
		"an unknown push type":            {"POST", path, w.good("Apns-Push-Type", "banner"), oneAlert, 400, "InvalidPushType"},
		"no topic":                        {"POST", path, w.good("Apns-Topic", ""), oneAlert, 400, "MissingTopic"},
		"the topic of another app":        {"POST", path, w.good("Apns-Topic", "com.example.other"), oneAlert, 400, "TopicDisallowed"},
		"the topic of another push type":  {"POST", path, w.good("Apns-Topic", apns.Bundle+".voip"), oneAlert, 400, "BadTopic"},
		"a call to the app itself":        {"POST", path, w.good("Apns-Push-Type", "voip"), `{"k":1}`, 400, "BadTopic"},
		"a live activity to the app":      {"POST", path, w.good("Apns-Push-Type", "liveactivity"), oneAlert, 400, "BadTopic"},
		"a priority of 7":                 {"POST", path, w.good("Apns-Priority", "7"), oneAlert, 400, "BadPriority"},
		"background with priority 10":     {"POST", path, w.good("Apns-Push-Type", "background", "Apns-Priority", "10"), background, 400, "BadPriority"},
		"background without a priority":   {"POST", path, w.good("Apns-Push-Type", "background"), background, 400, "BadPriority"},
		"background with priority 5":      {"POST", path, w.good("Apns-Push-Type", "background", "Apns-Priority", "5"), background, 200, ""},
		"a live activity with priority 1": {"POST", path, w.good("Apns-Push-Type", "liveactivity", "Apns-Topic", apns.Bundle+".push-type.liveactivity", "Apns-Priority", "1"), oneAlert, 400, "BadPriority"},
		"a date that is a text":           {"POST", path, w.good("Apns-Expiration", "tomorrow"), oneAlert, 400, "BadExpirationDate"},
		"a date before all":               {"POST", path, w.good("Apns-Expiration", "-1"), oneAlert, 400, "BadExpirationDate"},
		"a long collapse id":              {"POST", path, w.good("Apns-Collapse-Id", strings.Repeat("c", 65)), oneAlert, 400, "BadCollapseId"},
		"no provider token":               {"POST", path, w.good("Authorization", ""), oneAlert, 403, "MissingProviderToken"},
		"another scheme":                  {"POST", path, w.good("Authorization", "basic x"), oneAlert, 403, "MissingProviderToken"},
		"a token that is none":            {"POST", path, w.good("Authorization", "bearer a.b.c"), oneAlert, 403, "InvalidProviderToken"},
		"a token of another key":          {"POST", path, w.good("Authorization", "bearer "+foreign.token("", "SIMTEAM001", w.clock.Now())), oneAlert, 403, "InvalidProviderToken"},
		"an unknown key id":               {"POST", path, w.good("Authorization", "bearer "+w.token("SIMKEY9999", "SIMTEAM001", w.clock.Now())), oneAlert, 403, "InvalidProviderToken"},
		"another team":                    {"POST", path, w.good("Authorization", "bearer "+w.token("", "SIMTEAM002", w.clock.Now())), oneAlert, 403, "InvalidProviderToken"},
		"a token of an hour ago":          {"POST", path, w.good("Authorization", "bearer "+w.token("", "SIMTEAM001", w.clock.Now().Add(-time.Hour))), oneAlert, 200, ""},
		"an older token":                  {"POST", path, w.good("Authorization", "bearer "+w.token("", "SIMTEAM001", w.clock.Now().Add(-time.Hour-time.Second))), oneAlert, 403, "ExpiredProviderToken"},
		"a token of the future":           {"POST", path, w.good("Authorization", "bearer "+w.token("", "SIMTEAM001", w.clock.Now().Add(2*time.Hour))), oneAlert, 403, "InvalidProviderToken"},
		"a key for development":           {"POST", path, w.good("Authorization", "bearer "+w.token(developmentKey, "SIMTEAM001", w.clock.Now())), oneAlert, 403, "BadEnvironmentKeyIdInToken"},
	} {
		w.reconnect()
		status, reason, header := w.call(c.method, c.path, c.header, c.body)
		if status != c.status || reason != c.reason {
			t.Errorf("%s: %d %s, want %d %s", name, status, reason, c.status, c.reason)
		}
		if id := header.Get("Apns-Id"); len(id) != 36 || c.header.Get("Apns-Id") == aRequestID && id != aRequestID {
			t.Errorf("%s: id %q", name, id)
		}
	}
}

func TestProviderTokensOnOneConnection(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	w.sim.MarkSandbox(w.phones.Add("apns", "ab"))
	developmentKey, _ := w.sim.DevelopmentKey()
	first, second := w.token("", "SIMTEAM001", w.clock.Now()), w.token("", "SIMTEAM001", w.clock.Now())
	send := func(token, want string) {
		t.Helper()
		if _, reason, _ := w.call("POST", "/sandbox/3/device/ab", w.good("Authorization", "bearer "+token), oneAlert); reason != want {
			t.Errorf("%q, want %q", reason, want)
		}
	}
	send(first, "")
	send(second, "TooManyProviderTokenUpdates")
	send(first, "")
	send(w.token(developmentKey, "SIMTEAM001", w.clock.Now()), "UnrelatedKeyIdInToken")
	w.clock.Advance(20*time.Minute - time.Second)
	send(second, "TooManyProviderTokenUpdates")
	w.clock.Advance(time.Second)
	send(second, "")
	send(first, "TooManyProviderTokenUpdates")
	w.reconnect()
	send(w.token(developmentKey, "SIMTEAM001", w.clock.Now()), "")
}

// What Apple takes and the device never sees.
func TestDroppedNotifications(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	device := w.phones.Add("apns", "")
	live := []string{"Apns-Push-Type", "liveactivity", "Apns-Topic", apns.Bundle + ".push-type.liveactivity"}
	for i, c := range []struct {
		header http.Header
		body   string
	}{
		{w.good(), `{"aps":{}}`},
		{w.good(), `{"k":1}`},
		{w.good("Apns-Push-Type", "background", "Apns-Priority", "5"), oneAlert},
		{w.good("Apns-Push-Type", "background", "Apns-Priority", "5"), `{"aps":{"content-available":1,"sound":"x"}}`},
		{w.good("Apns-Expiration", strconv.FormatInt(w.clock.Now().Unix(), 10)), oneAlert},
		{w.good(live...), `{"aps":{"event":"update","content-state":{}}}`},
		{w.good(live...), `{"aps":{"timestamp":1,"content-state":{}}}`},
		{w.good(live...), `{"aps":{"timestamp":1,"event":"update"}}`},
		{w.good(live...), `{"aps":{"timestamp":1,"event":"start","content-state":{},"attributes-type":"A","attributes":{}}}`},
	} {
		w.reconnect()
		if _, reason, _ := w.call("POST", "/3/device/"+device, c.header, c.body); reason != "" {
			t.Errorf("%d: %s", i, reason)
		}
		if dropped := w.sim.Dropped(); len(dropped) != i+1 || len(w.got(device)) > 0 {
			t.Errorf("%d: dropped %q, %d arrived", i, dropped, len(w.got(device)))
		}
	}
}

func TestChannelsAndBroadcasts(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	ctx := t.Context()
	phones := []string{w.phones.Add("apns", ""), w.phones.Add("apns", ""), w.phones.Add("apns", "")}
	stored, err := w.vendor.CreateChannel(ctx, w.creds, false, true)
	if err != nil {
		t.Fatal(err)
	}
	fleeting, err := w.vendor.CreateChannel(ctx, w.creds, false, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []vendor.Channel{stored, fleeting} {
		if got, err := w.vendor.Channel(ctx, w.creds, false, c.ID); err != nil || got != c {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := w.vendor.Channel(ctx, w.creds, true, c.ID); err == nil || !strings.Contains(err.Error(), "ChannelNotRegistered") {
			t.Errorf("a channel of production in the sandbox: %v", err)
		}
	}
	if ids, err := w.vendor.Channels(ctx, w.creds, false); err != nil || len(ids) != 2 {
		t.Errorf("%v, %v", ids, err)
	}
	w.sim.Subscribe(false, stored.ID, phones[0])
	w.sim.Subscribe(false, stored.ID, phones[1])
	w.sim.Subscribe(false, fleeting.ID, phones[2])
	m := &wire.Message{ID: "9", Kind: wire.Live, TTL: time.Hour, Apple: &wire.Apple{Live: json.RawMessage(`{"event":"update","content-state":{"score":2}}`)}}
	for _, c := range []vendor.Channel{stored, fleeting} {
		if o := w.vendor.Broadcast(ctx, w.creds, false, c, m); o.Status != wire.Accepted || len(o.VendorID) != 36 {
			t.Errorf("%+v", o)
		}
	}
	for i, token := range phones {
		if got := w.got(token); len(got) != 1 || got[0].ID != "9" {
			t.Errorf("phone %d got %v", i, got)
		}
	}
	if err := w.vendor.DeleteChannel(ctx, w.creds, false, stored.ID); err != nil {
		t.Error(err)
	}
	if o := w.vendor.Broadcast(ctx, w.creds, false, stored, m); o.Status != wire.Rejected || o.Reason != "ChannelNotRegistered" {
		t.Errorf("%+v", o)
	}
	if len(w.sim.Dropped()) > 0 {
		t.Errorf("dropped: %q", w.sim.Dropped())
	}
	w.sim.DisableBroadcast()
	if _, err := w.vendor.CreateChannel(ctx, w.creds, false, true); err == nil || !strings.Contains(err.Error(), "FeatureNotEnabled") {
		t.Errorf("%v", err)
	}
}

func TestBrokenRequestsAboutChannelsAreRefused(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	_, _, header := w.call("POST", "/1/apps/"+apns.Bundle+"/channels", w.good(), `{"message-storage-policy":0,"push-type":"LiveActivity"}`)
	fleeting := header.Get("Apns-Channel-Id")
	_, _, header = w.call("POST", "/1/apps/"+apns.Bundle+"/channels", w.good("Authorization", "bearer "+w.token("", "SIMTEAM001", w.clock.Now())), `{"message-storage-policy":1,"push-type":"LiveActivity"}`)
	if fleeting == "" || header.Get("Apns-Channel-Id") != "" {
		t.Fatalf("channels %q and, with too many tokens on a connection, %q", fleeting, header.Get("Apns-Channel-Id"))
	}
	channels, all, broadcasts := "/1/apps/"+apns.Bundle+"/channels", "/1/apps/"+apns.Bundle+"/all-channels", "/4/broadcasts/apps/"+apns.Bundle
	update := `{"aps":{"timestamp":1,"event":"update","content-state":{}}}`
	to := func(more ...string) http.Header {
		return w.good(append([]string{"Apns-Topic", "", "Apns-Push-Type", "liveactivity", "Apns-Channel-Id", fleeting}, more...)...)
	}
	for name, c := range map[string]struct {
		method, path string
		header       http.Header
		body         string
		status       int
		reason       string
	}{
		"create, no JSON":           {"POST", channels, w.good(), "x", 400, "BadRequestPayload"},
		"create, another field":     {"POST", channels, w.good(), `{"message-storage-policy":0,"push-type":"LiveActivity","name":"x"}`, 400, "BadRequestParams"},
		"create, another policy":    {"POST", channels, w.good(), `{"message-storage-policy":2,"push-type":"LiveActivity"}`, 400, "BadRequestParams"},
		"create, no policy":         {"POST", channels, w.good(), `{"push-type":"LiveActivity"}`, 400, "BadRequestParams"},
		"create, no push type":      {"POST", channels, w.good(), `{"message-storage-policy":0}`, 400, "MissingPushType"},
		"create, another push type": {"POST", channels, w.good(), `{"message-storage-policy":0,"push-type":"Alert"}`, 400, "InvalidPushType"},
		"create, another app":       {"POST", "/1/apps/com.example.other/channels", w.good(), "{}", 403, "TopicMismatch"},
		"create, a topic":           {"POST", channels[:len(channels)-len("/channels")] + ".push-type.liveactivity/channels", w.good(), "{}", 400, "TopicDisallowed"},
		"create, no token":          {"POST", channels, w.good("Authorization", ""), "{}", 403, "MissingProviderToken"},
		"create, an odd id":         {"POST", channels, w.good("Apns-Request-Id", "7"), "{}", 400, "BadMessageId"},
		"PUT":                       {"PUT", channels, w.good(), "{}", 405, "MethodNotAllowed"},
		"read":                      {"GET", channels, w.good("Apns-Channel-Id", fleeting), "", 200, ""},
		"read, no channel":          {"GET", channels, w.good(), "", 400, "MissingChannelId"},
		"read, no Base64":           {"GET", channels, w.good("Apns-Channel-Id", "a b"), "", 400, "BadChannelId"},
		"read, a long id":           {"GET", channels, w.good("Apns-Channel-Id", strings.Repeat("YQ==", 65)), "", 400, "BadChannelId"},
		"delete, another":           {"DELETE", channels, w.good("Apns-Channel-Id", "YQ=="), "", 400, "ChannelNotRegistered"},
		"list":                      {"GET", all, w.good(), "", 200, ""},
		"list, POST":                {"POST", all, w.good(), "", 405, "MethodNotAllowed"},
		"broadcast":                 {"POST", broadcasts, to("Apns-Priority", "5", "Apns-Expiration", "0", "Apns-Request-Id", aRequestID), update, 200, ""},
		"broadcast, GET":            {"GET", broadcasts, to(), "", 405, "MethodNotAllowed"},
		"broadcast, no channel":     {"POST", broadcasts, to("Apns-Channel-Id", ""), update, 400, "MissingChannelId"},
		"broadcast, no push type":   {"POST", broadcasts, to("Apns-Push-Type", ""), update, 400, "MissingPushType"},
		"broadcast, another one":    {"POST", broadcasts, to("Apns-Push-Type", "alert"), update, 400, "InvalidPushType"},
		"broadcast, a priority":     {"POST", broadcasts, to("Apns-Priority", "2"), update, 400, "BadPriority"},
		"broadcast, kept":           {"POST", broadcasts, to("Apns-Expiration", "1999999999"), update, 400, "BadExpirationDate"},
		"broadcast, nothing":        {"POST", broadcasts, to(), "", 400, "PayloadEmpty"},
		"broadcast, no JSON":        {"POST", broadcasts, to(), "x", 400, "BadRequestPayload"},
		"broadcast, too large":      {"POST", broadcasts, to(), update + strings.Repeat(" ", 5121-len(update)), 413, "PayloadTooLarge"},
		"broadcast, the largest":    {"POST", broadcasts, to(), update + strings.Repeat(" ", 5120-len(update)), 200, ""},
		"another path":              {"POST", "/4/broadcasts", to(), update, 404, "BadPath"},
	} {
		w.reconnect()
		status, reason, header := w.call(c.method, c.path, c.header, c.body)
		if status != c.status || reason != c.reason {
			t.Errorf("%s: %d %s, want %d %s", name, status, reason, c.status, c.reason)
		}
		if id := header.Get("Apns-Request-Id"); len(id) != 36 || c.header.Get("Apns-Request-Id") == aRequestID && id != aRequestID {
			t.Errorf("%s: id %q", name, id)
		}
	}
}

func TestAnAppHasTenThousandChannels(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	h := w.good()
	create := func() string {
		_, reason, _ := w.call("POST", "/1/apps/"+apns.Bundle+"/channels", h, `{"message-storage-policy":0,"push-type":"LiveActivity"}`)
		return reason
	}
	for i := range 10_000 {
		if reason := create(); reason != "" {
			t.Fatalf("channel %d: %s", i, reason)
		}
	}
	if reason := create(); reason != "CannotCreateChannelConfig" {
		t.Errorf("one more: %q", reason)
	}
	if ids, err := w.vendor.Channels(t.Context(), w.creds, false); err != nil || len(ids) != 10_000 {
		t.Errorf("%d channels, %v", len(ids), err)
	}
}
