package apns_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/test/sim/apns"
	"borealis/test/sim/phone"
)

var _ phone.Simulator = (*apns.Sim)(nil)

// message is one of a kind with what is said for Apple.
func message(kind wire.Kind, id string, a *wire.Apple) *wire.Message {
	return &wire.Message{ID: id, Kind: kind, TTL: time.Hour, Apple: a, Body: "content", Extras: json.RawMessage(`{"k":"v"}`)}
}

func TestTheVendorSendsEverything(t *testing.T) {
	t.Parallel()
	for _, encrypted := range []bool{false, true} {
		w := open(t, encrypted)
		device, call, activity, start := w.phones.Add("apns", ""), w.phones.Add("apns", ""), w.phones.Add("apns", ""), w.phones.Add("apns", "")
		w.sim.SetTopic(call, apns.Bundle+".voip")
		w.sim.SetTopic(activity, apns.Bundle+".push-type.liveactivity")
		w.sim.SetTopic(start, apns.Bundle+".push-type.liveactivity")
		badge := 3
		raw := func(text string) json.RawMessage { return json.RawMessage(text) }
		for _, c := range []struct {
			token string
			m     *wire.Message
			title string
			body  string
		}{
			{device, message(wire.Notification, "1", &wire.Apple{Alert: raw(`"hello"`)}), "", "hello"},
			{device, message(wire.Notification, "2", &wire.Apple{
				Alert: raw(`{"title":"t","body":"b","loc-args":["x"]}`), Sound: raw(`{"critical":1,"name":"x","volume":1}`), Badge: &badge,
				ContentAvailable: true, MutableContent: true, Category: "c", ThreadID: "th", InterruptionLevel: "critical", CollapseID: "one",
			}), "t", "b"},
			{device, message(wire.Notification, "3", &wire.Apple{Badge: &badge}), "", ""},
			{device, message(wire.Notification, "4", &wire.Apple{ContentAvailable: true}), "", ""},
			{device, message(wire.Data, "5", nil), "", ""},
			{call, message(wire.VoIP, "6", &wire.Apple{VoIP: raw(`{"caller":"Ann"}`)}), "", ""},
			{start, message(wire.Live, "7", &wire.Apple{Live: raw(`{"event":"start","content-state":{"n":1},"attributes-type":"Ride","alert":{"title":"t","body":"b"}}`)}), "t", "b"},
			{activity, message(wire.Live, "8", &wire.Apple{Live: raw(`{"event":"update","content-state":{"n":2},"apns-priority":5,"stale-date":1772790000,"relevance-score":50}`)}), "", ""},
			{activity, message(wire.Live, "9", &wire.Apple{Live: raw(`{"event":"end","content-state":{"n":3},"dismissal-date":1772790000}`)}), "", ""},
		} {
			o := w.send(w.creds, wire.Token{Value: c.token}, c.m)
			got := w.got(c.token)
			if o.Status != wire.Accepted || len(got) == 0 {
				t.Fatalf("message %s: %+v, %d arrived", c.m.ID, o, len(got))
			}
			last := got[len(got)-1]
			if last.ID != c.m.ID || last.Title != c.title || last.Body != c.body {
				t.Errorf("message %s arrived as %+v", c.m.ID, last)
			}
		}
		if dropped := w.sim.Dropped(); len(dropped) > 0 {
			t.Errorf("dropped: %q", dropped)
		}
		var data struct {
			Message struct {
				Content string
				Extras  map[string]string
			}
		}
		if err := json.Unmarshal(w.got(device)[4].Data, &data); err != nil || data.Message.Content != "content" || data.Message.Extras["k"] != "v" {
			t.Errorf("the app got %s", w.got(device)[4].Data)
		}
	}
}

// What cannot be told whether it arrived can be sent again: it takes the place of the first.
func TestARepetitionShowsOneNotification(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	device := w.phones.Add("apns", "")
	first := w.send(w.creds, wire.Token{Value: device}, alert())
	if again := w.send(w.creds, wire.Token{Value: device}, alert()); again.VendorID != first.VendorID || first.VendorID == "" {
		t.Errorf("%+v, %+v", first, again)
	}
	if p, _ := w.phones.Find("apns", device); len(p.Got) != 2 || len(p.Screen) != 1 {
		t.Errorf("%d arrived, %d are shown", len(p.Got), len(p.Screen))
	}
}

func TestTokensOfEachKindOfDevice(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	gone, sandboxed, voip, silent := w.phones.Add("apns", ""), w.phones.Add("apns", ""), w.phones.Add("apns", ""), w.phones.Add("apns", "")
	w.phones.SetState("apns", gone, phone.Uninstalled)
	w.phones.SetState("apns", silent, phone.Silent)
	w.sim.MarkSandbox(sandboxed)
	w.sim.SetTopic(voip, apns.Bundle+".voip")
	for name, c := range map[string]struct {
		token wire.Token
		want  wire.Status
		why   string
	}{
		"gone":                       {wire.Token{Value: gone}, wire.Invalid, "Unregistered"},
		"unknown":                    {wire.Token{Value: strings.Repeat("ab", 32)}, wire.Invalid, "BadDeviceToken"},
		"sandbox, as it is":          {wire.Token{Value: sandboxed, Sandbox: true}, wire.Accepted, ""},
		"sandbox as production":      {wire.Token{Value: sandboxed}, wire.Invalid, "BadDeviceToken"},
		"production as sandbox":      {wire.Token{Value: silent, Sandbox: true}, wire.Invalid, "BadDeviceToken"},
		"for calls":                  {wire.Token{Value: voip}, wire.Invalid, "DeviceTokenNotForTopic"},
		"with notifications off":     {wire.Token{Value: silent}, wire.Accepted, ""},
		"in capitals, another phone": {wire.Token{Value: strings.ToUpper(strings.Repeat("ab", 32))}, wire.Invalid, "BadDeviceToken"},
	} {
		o := w.send(w.creds, c.token, alert())
		if o.Status != c.want || o.Reason != c.why {
			t.Errorf("%s: %+v", name, o)
		}
		if c.why == "Unregistered" && o.Since != w.clock.Now().UnixMilli() {
			t.Errorf("%s: since %d", name, o.Since)
		}
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	w := open(t, true)
	device, developing := w.phones.Add("apns", ""), w.phones.Add("apns", "")
	w.sim.MarkSandbox(developing)
	live := &wire.Message{Kind: wire.Live, Apple: &wire.Apple{Live: json.RawMessage(`{"event":"end","content-state":{}}`)}}
	call := &wire.Message{Kind: wire.VoIP, Apple: &wire.Apple{VoIP: json.RawMessage(`{"caller":"Ann"}`)}}
	good, development := w.certificate(apns.CertificateOptions{}), w.certificate(apns.CertificateOptions{OnlyDevelopment: true})
	ends := w.certificate(apns.CertificateOptions{NotAfter: w.clock.Now().Add(time.Hour)})
	for name, c := range map[string]struct {
		creds   wire.Credentials
		sandbox bool
		m       *wire.Message
		want    wire.Status
		why     string
	}{
		"an alert":                       {good, false, alert(), wire.Accepted, ""},
		"an alert in the sandbox":        {good, true, alert(), wire.Accepted, ""},
		"a call":                         {good, false, call, wire.Accepted, ""},
		"a live activity":                {good, false, live, wire.Rejected, "live activities need a signing key: Apple does not take them from a certificate"},
		"for development, in production": {development, false, alert(), wire.Denied, "BadCertificateEnvironment"},
		"for development":                {development, true, alert(), wire.Accepted, ""},
		"not made by Apple":              {w.certificate(apns.CertificateOptions{Foreign: true}), false, alert(), wire.Denied, "BadCertificate"},
		"of another app":                 {w.certificate(apns.CertificateOptions{Topic: "com.example.other"}), false, alert(), wire.Accepted, ""},
		"a key, and this for the sandbox": {
			w.parse(w.sim.Credentials(), map[string]string{"sandbox_certificate": w.sim.Issue(apns.CertificateOptions{OnlyDevelopment: true})}), true, alert(), wire.Accepted, "",
		},
		"that ends soon": {ends, false, alert(), wire.Accepted, ""},
	} {
		token := wire.Token{Value: device, Sandbox: c.sandbox}
		if c.sandbox {
			token.Value = developing
		}
		if o := w.send(c.creds, token, c.m); o.Status != c.want || o.Reason != c.why {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if err := w.vendor.Probe(t.Context(), good); err != nil {
		t.Error(err)
	}
	w.clock.Advance(time.Hour)
	if o := w.send(ends, wire.Token{Value: device}, alert()); o.Status != wire.Denied {
		t.Errorf("an hour later: %+v", o)
	}
}

func TestKeysOfEachEnvironment(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	device, developing := w.phones.Add("apns", ""), w.phones.Add("apns", "")
	w.sim.MarkSandbox(developing)
	id, key := w.sim.DevelopmentKey()
	both := w.parse(w.sim.Credentials(), map[string]string{"sandbox_key_id": id, "sandbox_private_key": key})
	only := w.parse(w.sim.Credentials(), map[string]string{"key_id": id, "private_key": key})
	for _, c := range []wire.Credentials{w.creds, both, only} {
		if err := w.vendor.Probe(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		creds wire.Credentials
		token wire.Token
		want  wire.Status
		why   string
	}{
		"one each, production":        {both, wire.Token{Value: device}, wire.Accepted, ""},
		"one each, sandbox":           {both, wire.Token{Value: developing, Sandbox: true}, wire.Accepted, ""},
		"for development, production": {only, wire.Token{Value: device}, wire.Denied, "BadEnvironmentKeyIdInToken"},
		"for development, sandbox":    {only, wire.Token{Value: developing, Sandbox: true}, wire.Accepted, ""},
	} {
		if o := w.send(c.creds, c.token, alert()); o.Status != c.want || o.Reason != c.why {
			t.Errorf("%s: %+v", name, o)
		}
	}
	wrong := w.parse(w.sim.Credentials(), map[string]string{"private_key": key})
	if err := w.vendor.Probe(t.Context(), wrong); err == nil || !strings.HasPrefix(err.Error(), "private_key: ") {
		t.Errorf("another key: %v", err)
	}
	if err := w.vendor.Probe(t.Context(), w.parse(w.sim.Credentials(), map[string]string{"bundle_id": "com.example.other"})); err == nil || !strings.HasPrefix(err.Error(), "bundle_id: ") {
		t.Errorf("another app: %v", err)
	}
}

// Through two days and many tokens at once, the vendor keeps Apple's rules about provider tokens.
func TestProviderTokensOfTheVendorAreAlwaysTaken(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	device := w.phones.Add("apns", "")
	tokens := make([]wire.Token, 20)
	for i := range tokens {
		tokens[i].Value = device
	}
	for range 2 * 24 * 12 {
		for _, o := range w.vendor.Send(t.Context(), w.creds, tokens[:2], alert()) {
			if o.Status != wire.Accepted {
				t.Fatalf("at %s: %+v", w.clock.Now(), o)
			}
		}
		w.clock.Advance(5 * time.Minute)
	}
	w.faults.Next("ExpiredProviderToken")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for _, o := range w.vendor.Send(t.Context(), w.creds, tokens, alert()) {
				if o.Status != wire.Accepted {
					t.Errorf("%+v", o)
				}
			}
		})
	}
	wg.Wait()
}

// Every fault that the simulator can be told ends as the documents say.
func TestFaults(t *testing.T) {
	t.Parallel()
	want := map[string]wire.Status{
		"cut": wire.Unknown, "html": wire.Failed, "login": wire.Unknown,
		"BadDeviceToken": wire.Invalid, "DeviceTokenNotForTopic": wire.Invalid, "ExpiredToken": wire.Invalid, "Unregistered": wire.Invalid,
		"IdleTimeout": wire.Failed, "UnrelatedKeyIdInToken": wire.Failed, "InternalServerError": wire.Failed, "ServiceUnavailable": wire.Failed, "Shutdown": wire.Failed,
		"TooManyProviderTokenUpdates": wire.Limited, "TooManyRequests": wire.Limited, "CannotCreateChannelConfig": wire.Quota,
		"ExpiredProviderToken": wire.Accepted, "InvalidProviderToken": wire.Accepted, // once; a new token is taken
	}
	for _, name := range []string{
		"BadTopic", "MissingTopic", "TopicDisallowed", "TopicMismatch", "BadCertificate", "BadCertificateEnvironment", "Forbidden", "MissingProviderToken",
		"BadEnvironmentKeyIdInToken", "FeatureNotEnabled",
	} {
		want[name] = wire.Denied
	}
	w := open(t, false)
	device := w.phones.Add("apns", "")
	for _, name := range w.sim.FaultNames() {
		status, special := want[name]
		if !special {
			status = wire.Rejected
		}
		w.faults.Next(name)
		before := len(w.got(device))
		o := w.send(w.creds, wire.Token{Value: device}, alert())
		arrived := len(w.got(device)) > before
		if o.Status != status || arrived != (status == wire.Accepted) || status == wire.Invalid && (name == "ExpiredToken" || name == "Unregistered") && o.Since == 0 {
			t.Errorf("%s: %+v, arrived: %t", name, o, arrived)
		}
		w.clock.Advance(20 * time.Minute)
		if o := w.send(w.creds, wire.Token{Value: device}, alert()); o.Status != wire.Accepted {
			t.Errorf("after %s: %+v", name, o)
		}
	}
}

func TestHTTP1IsRefused(t *testing.T) {
	t.Parallel()
	w := open(t, false)
	resp, err := http.Get(w.url + "/3/device/ab")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("status %d", resp.StatusCode)
	}
	encrypted := open(t, true)
	transport := encrypted.client.Transport.(*http.Transport).Clone()
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	if resp, err := (&http.Client{Transport: transport}).Get(encrypted.url + "/3/device/ab"); err == nil { // or no protocol in common
		resp.Body.Close()
		if resp.StatusCode != http.StatusHTTPVersionNotSupported {
			t.Errorf("status %d over HTTP/1.1 with TLS", resp.StatusCode)
		}
	}
}
