package apns_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/wire"
)

func TestOutcomesAreInTheOrderOfTokens(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch token := strings.TrimPrefix(r.URL.Path, "/3/device/"); token[:2] {
		case "aa":
			refuse(w, http.StatusBadRequest, "BadDeviceToken")
		case "bb":
			panic(http.ErrAbortHandler)
		default:
			accept(w, r)
		}
	})
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	var tokens []wire.Token
	var want []wire.Status
	for i := range 120 {
		start := []string{"aa", "bb", "cc", "x"}[i%4]
		tokens = append(tokens, wire.Token{Value: start + strings.Repeat("0", 62)})
		want = append(want, []wire.Status{wire.Invalid, wire.Unknown, wire.Accepted, wire.Invalid}[i%4])
	}
	for i, o := range v.Send(t.Context(), parse(t, v, credentials(t)), tokens, hello()) {
		if o.Status != want[i] {
			t.Errorf("token %d: %+v", i, o)
		}
	}
}

// A repetition of a message carries the ids of the first time, another message or device others.
func TestIdsFollowFromMessageAndToken(t *testing.T) {
	t.Parallel()
	var (
		mu  sync.Mutex
		ids []string
	)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		ids = append(ids, r.Header.Get("Apns-Id"))
		mu.Unlock()
		accept(w, r)
	})
	fields := credentials(t)
	send := func(message, token string) string {
		v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
		m := hello()
		m.ID = message
		o := v.Send(t.Context(), parse(t, v, fields), []wire.Token{{Value: token}}, m)[0]
		if o.VendorID != ids[len(ids)-1] || !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(o.VendorID) {
			t.Errorf("%+v for the id %s", o, ids[len(ids)-1])
		}
		return o.VendorID
	}
	first := send("1", "aa")
	if send("1", "aa") != first || send("2", "aa") == first || send("1", "ab") == first {
		t.Error(ids)
	}
}

func TestCredentialsOfAnotherVendorAreRefused(t *testing.T) {
	t.Parallel()
	v := apns.New(wire.Deps{Clock: fake()})
	if out := v.Send(t.Context(), nil, devices(2), hello()); len(out) != 2 || out[0].Status != wire.Denied {
		t.Errorf("%+v", out)
	}
	if v.Probe(t.Context(), nil) == nil {
		t.Error("probed")
	}
}

func TestAddressesOfApple(t *testing.T) {
	t.Parallel()
	var got []string
	v := apns.New(wire.Deps{Clock: fake(), Transport: transport(func(r *http.Request) (*http.Response, error) {
		got = append(got, r.Method+" "+r.URL.String())
		return nil, errors.New("no network")
	})})
	c := parse(t, v, credentials(t))
	live := &wire.Message{Kind: wire.Live, Apple: &wire.Apple{Live: json.RawMessage(`{"event":"end","content-state":{}}`)}}
	for _, sandbox := range []bool{false, true} {
		v.Send(t.Context(), c, []wire.Token{{Value: "ab", Sandbox: sandbox}}, hello())
		v.Broadcast(t.Context(), c, sandbox, apns.Channel{ID: "YQ=="}, live)
		_, _ = v.CreateChannel(t.Context(), c, sandbox, true)
		_, _ = v.Channel(t.Context(), c, sandbox, "YQ==")
		_, _ = v.Channels(t.Context(), c, sandbox)
		_ = v.DeleteChannel(t.Context(), c, sandbox, "YQ==")
	}
	want := `POST https://api.push.apple.com/3/device/ab
POST https://api.push.apple.com/4/broadcasts/apps/com.example.courier
POST https://api-manage-broadcast.push.apple.com:2196/1/apps/com.example.courier/channels
GET https://api-manage-broadcast.push.apple.com:2196/1/apps/com.example.courier/channels
GET https://api-manage-broadcast.push.apple.com:2196/1/apps/com.example.courier/all-channels
DELETE https://api-manage-broadcast.push.apple.com:2196/1/apps/com.example.courier/channels
POST https://api.sandbox.push.apple.com/3/device/ab
POST https://api.sandbox.push.apple.com/4/broadcasts/apps/com.example.courier
POST https://api-manage-broadcast.sandbox.push.apple.com:2195/1/apps/com.example.courier/channels
GET https://api-manage-broadcast.sandbox.push.apple.com:2195/1/apps/com.example.courier/channels
GET https://api-manage-broadcast.sandbox.push.apple.com:2195/1/apps/com.example.courier/all-channels
DELETE https://api-manage-broadcast.sandbox.push.apple.com:2195/1/apps/com.example.courier/channels`
	if strings.Join(got, "\n") != want {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func TestProbeNamesTheFieldThatAppleRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status        int
		reason, field string
		plain         bool // an error that is nobody's fault
	}{
		{400, "BadDeviceToken", "", false},
		{410, "Unregistered", "", false},
		{403, "InvalidProviderToken", "private_key", false},
		{403, "Forbidden", "private_key", false},
		{403, "BadEnvironmentKeyInToken", "private_key", false},
		{400, "TopicDisallowed", "bundle_id", false},
		{400, "BadTopic", "bundle_id", false},
		{403, "ExpiredProviderToken", "", true},
		{503, "ServiceUnavailable", "", true},
		{418, "", "", true},
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, c.status, c.reason) })
		v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
		err := v.Probe(t.Context(), parse(t, v, credentials(t)))
		var field *wire.FieldError
		named := errors.As(err, &field)
		switch {
		case c.plain && (err == nil || named), c.field != "" && (!named || field.Field != c.field), c.field == "" && !c.plain && err != nil:
			t.Errorf("%s: %v", c.reason, err)
		}
	}
}

// A key for one environment is good; keys for both are tried in both.
func TestProbeTriesTheEnvironments(t *testing.T) {
	t.Parallel()
	var good string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, good) {
			refuse(w, http.StatusBadRequest, "BadDeviceToken")
			return
		}
		refuse(w, http.StatusForbidden, "BadEnvironmentKeyIdInToken")
	})
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	fields := credentials(t)
	both := join(fields, "sandbox_key_id", "KEY7654321", "sandbox_private_key", credentials(t)["private_key"])
	for prefix, want := range map[string]string{"/3/": "sandbox_private_key", "/sandbox/": "private_key"} {
		good = prefix
		if err := v.Probe(t.Context(), parse(t, v, fields)); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
		var field *wire.FieldError
		if err := v.Probe(t.Context(), parse(t, v, both)); !errors.As(err, &field) || field.Field != want {
			t.Errorf("%s: %v", prefix, err)
		}
	}
	if err := v.Probe(t.Context(), parse(t, v, map[string]any{"certificate": newCertificate(t, bundle, now)})); err == nil {
		t.Error("an expired certificate is good")
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(200, "id", []byte(""))
	f.Add(410, "", []byte(`{"reason":"Unregistered","timestamp":1772600000123}`))
	f.Add(403, "", []byte(`{"reason":"ExpiredProviderToken"}`))
	f.Add(201, "", []byte(`{"channels":["YQ=="],"message-storage-policy":1}`))
	f.Add(500, "", []byte(`<html>`))
	fields := credentials(f)
	live := &wire.Message{ID: "1", Kind: wire.Live, Apple: &wire.Apple{Live: json.RawMessage(`{"event":"end","content-state":{}}`)}}
	f.Fuzz(func(t *testing.T, status int, id string, body []byte) {
		v := apns.New(wire.Deps{Clock: fake(), Transport: transport(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)),
				Header: http.Header{"Apns-Id": {id}, "Apns-Request-Id": {id}, "Apns-Channel-Id": {id}, "Retry-After": {id}},
			}, nil
		})})
		c := parse(t, v, fields)
		for _, m := range []*wire.Message{hello(), live} {
			for _, o := range v.Send(t.Context(), c, devices(2), m) {
				if len(o.Code) > 200 || len(o.Reason) > 200 || len(o.VendorID) > 64 || o.After < 0 || o.Since < 0 {
					t.Errorf("%+v", o)
				}
				if o.Status == wire.Accepted && status != http.StatusOK {
					t.Errorf("accepted with status %d", status)
				}
			}
		}
		_ = v.Probe(t.Context(), c)
		_ = v.Broadcast(t.Context(), c, false, apns.Channel{ID: "YQ=="}, live)
		_, _ = v.CreateChannel(t.Context(), c, false, false)
		_, _ = v.Channel(t.Context(), c, false, "YQ==")
		_, _ = v.Channels(t.Context(), c, false)
	})
}

func FuzzMessages(f *testing.F) {
	f.Add("notification", []byte(`"hello"`), []byte(`{"k":"v"}`), "title", true)
	f.Add("live", []byte(`{"event":"update","content-state":{},"alert":{"body":"b"}}`), []byte(`null`), "", false)
	f.Add("voip", []byte(`{"a":{"b":[]}}`), []byte(`{}`), "x", true)
	f.Add("data", []byte(`5`), []byte(`{"aps":1}`), "\xff\u2028", true)
	fields := credentials(f)
	f.Fuzz(func(t *testing.T, kind string, content, extras []byte, text string, truncate bool) {
		v := apns.New(wire.Deps{Clock: fake(), Transport: transport(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			limit := 4096
			if r.Header.Get("Apns-Push-Type") == "voip" {
				limit = 5120
			}
			if err != nil || len(body) > limit || !json.Valid(body) || len(r.Header.Get("Apns-Collapse-Id")) > 64 {
				t.Errorf("%d bytes: %q", len(body), body)
			}
			return nil, context.DeadlineExceeded
		})})
		m := &wire.Message{
			ID: text, Kind: wire.Kind(kind), Title: text, Body: text, Extras: extras, Truncate: truncate,
			Apple: &wire.Apple{Alert: content, Sound: extras, Live: content, VoIP: content, Category: text, ContentAvailable: truncate},
		}
		if out := v.Send(t.Context(), parse(t, v, fields), devices(2), m); len(out) != 2 {
			t.Errorf("%d outcomes", len(out))
		}
	})
}
