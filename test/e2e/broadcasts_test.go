package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"borealis/internal/app"
	"borealis/test/sim/apns"
)

// broadcasts calls the API of Apple's broadcast channels.
type broadcasts struct {
	t *testing.T
	n *Node
	c Credentials
}

// call makes a call below the channels and demands a status.
func (b broadcasts) call(method, path string, body, out any, want int) {
	b.t.Helper()
	var problem json.RawMessage
	if out == nil {
		out = &problem
	}
	if status := b.n.Call(b.t, b.c, method, "/api/v1/apps/"+b.c.Key+"/channels/apns/broadcasts"+path, body, out); status != want {
		b.t.Errorf("%s %s: status %d, want %d: %s", method, path, status, want, problem)
	}
}

func (b broadcasts) create(query string, stored bool) string {
	b.t.Helper()
	var made app.Broadcast
	b.call(http.MethodPost, query, map[string]any{"stored": stored}, &made, http.StatusCreated)
	if _, err := base64.StdEncoding.DecodeString(made.ID); err != nil || made.ID == "" || made.Stored != stored {
		b.t.Fatalf("made %+v", made)
	}
	return made.ID
}

func (b broadcasts) list(query string) []string {
	b.t.Helper()
	var out struct{ Broadcasts []string }
	b.call(http.MethodGet, query, nil, &out, http.StatusOK)
	return out.Broadcasts
}

// An app makes channels at Apple, tells all live activities that follow one, and ends it; each environment has its own.
func TestBroadcastChannels(t *testing.T) {
	t.Parallel()
	v := newVendors(t)
	n := v.start(t, nil)
	apple := v.Simulator("apns").(*apns.Sim)
	b := broadcasts{t, n, n.NewApp(t)}
	b.call(http.MethodGet, "", nil, nil, http.StatusNotFound) // no credentials yet
	v.account(t, n, b.c, "apns", v.Credentials("apns"))
	if list := b.list(""); len(list) != 0 {
		t.Errorf("channels %v", list)
	}
	kept, plain, sandboxed := b.create("", true), b.create("", false), b.create("?sandbox=true", false)
	want := []string{kept, plain}
	slices.Sort(want)
	if list := b.list(""); !slices.Equal(list, want) {
		t.Errorf("channels %v, want %v", list, want)
	}
	if list := b.list("?sandbox=true"); !slices.Equal(list, []string{sandboxed}) {
		t.Errorf("channels of the sandbox %v, want %s", list, sandboxed)
	}
	// Ids are written into addresses in two ways.
	for _, path := range []string{"/" + url.PathEscape(kept), "/" + strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(kept), "=")} {
		var found app.Broadcast
		b.call(http.MethodGet, path, nil, &found, http.StatusOK)
		if found != (app.Broadcast{ID: kept, Stored: true}) {
			t.Errorf("%s is %+v", path, found)
		}
	}

	follower, other := v.Phones.Add("apns", ""), v.Phones.Add("apns", "")
	apple.Subscribe(false, kept, follower)
	apple.Subscribe(false, plain, other)
	message := func(score int) map[string]any {
		return map[string]any{"event": "update", "content-state": map[string]any{"score": score}, "alert": map[string]any{"title": "goal", "body": "one"}}
	}
	send := func(id, query string, body any, want int) {
		t.Helper()
		b.call(http.MethodPost, "/"+url.PathEscape(id)+"/messages"+query, body, nil, want)
	}
	var sent struct {
		RequestID string `json:"request_id"`
	}
	b.call(http.MethodPost, "/"+url.PathEscape(kept)+"/messages", map[string]any{"ios": message(1), "ttl": 3600}, &sent, http.StatusAccepted)
	if len(sent.RequestID) != 36 {
		t.Errorf("request %q", sent.RequestID)
	}
	send(kept, "", map[string]any{"ios": map[string]any{"event": "end", "content-state": map[string]any{"score": 2}}}, http.StatusAccepted)
	got := func(token string) []string {
		p, _ := v.Phones.Find("apns", token)
		var out []string
		for _, one := range p.Got {
			out = append(out, fmt.Sprint(one))
		}
		return out
	}
	if list := got(follower); len(list) != 2 || !strings.Contains(list[0], "goal") {
		t.Errorf("the phone that follows got %v", list)
	}
	if list := got(other); len(list) != 0 {
		t.Errorf("the phone that follows another got %v", list)
	}
	// What is wrong is said, and nothing is sent.
	send(plain, "", map[string]any{"ios": message(1), "ttl": 60}, http.StatusUnprocessableEntity)
	send(kept, "", map[string]any{"ios": message(1), "ttl": 28801}, http.StatusUnprocessableEntity)
	send(kept, "", map[string]any{"ios": "update"}, http.StatusUnprocessableEntity)
	send(kept, "", map[string]any{"ttl": 1}, http.StatusUnprocessableEntity)
	send(kept, "", map[string]any{"ios": map[string]any{"event": "start", "attributes-type": "A", "content-state": map[string]any{}}}, http.StatusUnprocessableEntity)
	send(kept, "", map[string]any{"ios": map[string]any{"event": "update", "content-state": strings.Repeat("x", 10)}}, http.StatusUnprocessableEntity)
	send(kept, "", map[string]any{"ios": map[string]any{"event": "update", "content-state": map[string]any{"a": strings.Repeat("x", 6000)}}}, http.StatusUnprocessableEntity)
	send(kept, "?sandbox=true", map[string]any{"ios": message(1)}, http.StatusNotFound)
	send("YWJj", "", map[string]any{"ios": message(1)}, http.StatusNotFound)
	send("!", "", map[string]any{"ios": message(1)}, http.StatusUnprocessableEntity)
	for fault, status := range map[string]int{
		"TooManyRequests": 429, "InternalServerError": 502, "cut": 502, "html": 502, "FeatureNotEnabled": 409, "CannotCreateChannelConfig": 409, "BadRequestParams": 422,
	} {
		v.Faults("apns").Next(fault, fault)
		b.call(http.MethodPost, "", map[string]any{"stored": true}, nil, status)
		for v.Faults("apns").Take() != "" { // a request that was cut may have been made twice
			continue
		}
	}
	if list := got(follower); len(list) != 2 {
		t.Errorf("the phone that follows got %v", list)
	}

	b.call(http.MethodDelete, "/"+url.PathEscape(kept), nil, nil, http.StatusNoContent)
	b.call(http.MethodDelete, "/"+url.PathEscape(kept), nil, nil, http.StatusNotFound)
	if list := b.list(""); !slices.Contains(list, plain) || slices.Contains(list, kept) {
		t.Errorf("channels %v", list)
	}
	stranger := b
	stranger.c = Credentials{b.c.Key, "x"}
	stranger.call(http.MethodGet, "", nil, nil, http.StatusUnauthorized)
}
