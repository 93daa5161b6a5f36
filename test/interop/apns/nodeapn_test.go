package apns

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/apns"
	"borealis/test/sim/phone"
)

type object = map[string]any

// result is what node-apn says of a step.
type result struct {
	Sent   []object `json:"sent"`
	Failed []object `json:"failed"`
}

// rig is a simulator that listens with TLS.
type rig struct {
	sim    *apns.Sim
	phones *phone.Network
	faults *phone.Faults
	port   int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{phones: phone.NewNetwork(clock.System{}), faults: &phone.Faults{}}
	r.sim = apns.New(phone.Deps{Phones: r.phones, Faults: r.faults, Clock: clock.System{}})
	server := httptest.NewUnstartedServer(r.sim)
	server.TLS = r.sim.TLSConfig()
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if r.port, err = strconv.Atoi(address.Port()); err != nil {
		t.Fatal(err)
	}
	return r
}

// keyOptions make node-apn sign provider tokens.
func (r *rig) keyOptions(t *testing.T) object {
	t.Helper()
	var c struct {
		Team  string `json:"team_id"`
		KeyID string `json:"key_id"`
		Key   string `json:"private_key"`
	}
	if err := json.Unmarshal(r.sim.Credentials(), &c); err != nil {
		t.Fatal(err)
	}
	return object{"token": object{"key": c.Key, "keyId": c.KeyID, "teamId": c.Team}}
}

// run lets node-apn make the steps.
func (r *rig) run(t *testing.T, options object, steps ...object) []result {
	t.Helper()
	node := need(t, "node")
	maps.Copy(options, object{
		"address": "localhost", "port": r.port, "ca": []string{string(r.sim.Authority())},
		"manageChannelsAddress": "localhost", "manageChannelsPort": r.port,
	})
	input, err := json.Marshal(object{"options": options, "bundle": apns.Bundle, "steps": steps})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "node/client.cjs")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_PATH=" + modules(t)} // proxies or options of ours would make it another client
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node-apn: %v\n%s", err, stderr.Bytes())
	}
	var results []result
	if err := json.Unmarshal(out, &results); err != nil || len(results) != len(steps) {
		t.Fatalf("node-apn: %v: %s", err, out)
	}
	return results
}

func alertNote() object {
	return object{"topic": apns.Bundle, "pushType": "alert", "alert": "hello", "sound": "ping.aiff", "badge": 3, "payload": object{"k": "v"}, "collapseId": "one"}
}

func TestNodeAPNSendsToDevices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second, gone := r.phones.Add("apns", ""), r.phones.Add("apns", ""), r.phones.Add("apns", "")
	r.phones.SetState("apns", gone, phone.Uninstalled)
	unknown := strings.Repeat("ab", 32)
	results := r.run(t, r.keyOptions(t),
		object{"call": "send", "note": alertNote(), "tokens": []string{first, unknown, gone, second}},
		object{"call": "send", "note": object{"topic": apns.Bundle, "pushType": "background", "priority": 5, "contentAvailable": true}, "tokens": []string{first}},
		object{"call": "send", "note": object{"topic": apns.Bundle, "pushType": "background", "contentAvailable": true}, "tokens": []string{first}},
		object{"call": "send", "note": object{"topic": "com.example.other", "pushType": "alert", "alert": "x"}, "tokens": []string{first}},
		object{"call": "send", "note": object{"topic": apns.Bundle + ".voip", "pushType": "voip", "payload": object{"caller": "Ann"}}, "tokens": []string{second}},
	)
	if len(results[0].Sent) != 2 || results[0].Sent[0]["device"] != first || results[0].Sent[1]["device"] != second {
		t.Errorf("sent: %v", results[0].Sent)
	}
	want := map[string]string{unknown: "400 BadDeviceToken", gone: "410 Unregistered"}
	for _, f := range results[0].Failed {
		response, _ := f["response"].(object)
		if said := fmt.Sprint(f["status"], " ", response["reason"]); said != want[fmt.Sprint(f["device"])] {
			t.Errorf("failed: %v", f)
		}
		if at, _ := response["timestamp"].(float64); f["device"] == gone && time.Since(time.UnixMilli(int64(at))).Abs() > time.Minute {
			t.Errorf("gone since %v", response["timestamp"])
		}
	}
	if len(results[0].Failed) != 2 {
		t.Errorf("failed: %v", results[0].Failed)
	}
	for i, reason := range []string{"", "BadPriority", "TopicDisallowed", ""} {
		got := results[i+1]
		if reason == "" {
			if len(got.Sent) != 1 || len(got.Failed) != 0 {
				t.Errorf("step %d: %v", i+1, got)
			}
			continue
		}
		if len(got.Failed) != 1 || got.Failed[0]["response"].(object)["reason"] != reason {
			t.Errorf("step %d: %v, want %s", i+1, got, reason)
		}
	}
	p, _ := r.phones.Find("apns", first)
	if len(p.Got) != 2 || p.Got[0].Body != "hello" || p.Got[0].Tag != "one" {
		t.Errorf("the phone got %v", p.Got)
	}
	var payload object
	if err := json.Unmarshal(p.Got[0].Data, &payload); err != nil || payload["k"] != "v" {
		t.Errorf("the app got %s", p.Got[0].Data)
	}
	if dropped := r.sim.Dropped(); len(dropped) > 0 {
		t.Errorf("dropped: %q", dropped)
	}
}

// node-apn makes a new provider token when one is refused, and tries again after a failure of Apple's.
func TestNodeAPNTriesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	device := r.phones.Add("apns", "")
	r.faults.Next("ServiceUnavailable")
	got := r.run(t, r.keyOptions(t), object{"call": "send", "note": alertNote(), "tokens": []string{device}})[0]
	if p, _ := r.phones.Find("apns", device); len(got.Sent) != 1 || len(p.Got) != 1 {
		t.Errorf("%v, the phone got %v", got, p.Got)
	}
}

func TestNodeAPNHasACertificate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	device := r.phones.Add("apns", "")
	for _, c := range []struct {
		o      apns.CertificateOptions
		reason string
	}{{apns.CertificateOptions{}, ""}, {apns.CertificateOptions{Foreign: true}, "BadCertificate"}, {apns.CertificateOptions{OnlyDevelopment: true}, "BadCertificateEnvironment"}} {
		text := r.sim.Issue(c.o)
		note := alertNote()
		delete(note, "topic") // the certificate names it
		got := r.run(t, object{"cert": text, "key": text, "production": true}, object{"call": "send", "note": note, "tokens": []string{device}})[0]
		if c.reason == "" && len(got.Sent) != 1 || c.reason != "" && (len(got.Failed) != 1 || got.Failed[0]["response"].(object)["reason"] != c.reason) {
			t.Errorf("%+v: %v", c.o, got)
		}
	}
}

func TestNodeAPNBroadcasts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	device := r.phones.Add("apns", "")
	created := r.run(t, r.keyOptions(t), object{"call": "create", "note": object{"payload": object{"message-storage-policy": 1}}})[0]
	if len(created.Sent) != 1 {
		t.Fatalf("create: %v", created)
	}
	id, _ := created.Sent[0]["apns-channel-id"].(string)
	r.sim.Subscribe(false, id, device)
	update := object{
		"channelId": id, "pushType": "liveactivity", "event": "update", "timestamp": time.Now().Unix(), "contentState": object{"score": 1},
	}
	results := r.run(t, r.keyOptions(t),
		object{"call": "read", "note": object{"channelId": id}},
		object{"call": "readAll", "note": object{}},
		object{"call": "broadcast", "note": update},
		object{"call": "delete", "note": object{"channelId": id}},
		object{"call": "broadcast", "note": update},
	)
	if got := results[0]; len(got.Sent) != 1 || got.Sent[0]["message-storage-policy"] != 1.0 || got.Sent[0]["push-type"] != "LiveActivity" {
		t.Errorf("read: %v", got)
	}
	if got := results[1]; len(got.Sent) != 1 || fmt.Sprint(got.Sent[0]["channels"]) != fmt.Sprint([]any{id}) {
		t.Errorf("read all: %v", got)
	}
	if got := results[2]; len(got.Sent) != 1 {
		t.Errorf("broadcast: %v", got)
	}
	if got := results[3]; len(got.Sent) != 1 {
		t.Errorf("delete: %v", got)
	}
	if got := results[4]; len(got.Failed) != 1 || got.Failed[0]["response"].(object)["reason"] != "ChannelNotRegistered" {
		t.Errorf("broadcast to nobody: %v", got)
	}
	if p, _ := r.phones.Find("apns", device); len(p.Got) != 1 || len(r.sim.Dropped()) != 0 {
		t.Errorf("the phone got %v, dropped: %q", p.Got, r.sim.Dropped())
	}
}
