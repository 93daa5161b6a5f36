package webpush

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestAMessageGoesToTheDeviceThatSubscribed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		sub, other := r.subscribe(5, "chat", ""), r.subscribe(6, "chat", "")
		if !strings.HasPrefix(sub.Endpoint, r.server.URL+"/wpush/v1/") || sub.Endpoint == other.Endpoint || len(sub.Endpoint) > 200 {
			t.Fatalf("endpoints %s and %s", sub.Endpoint, other.Endpoint)
		}
		body := encrypted(300)
		resp, text := r.call(http.MethodPost, sub.Endpoint, body, headers("Topic", "a_-Z9", "Urgency", "high", "Prefer", "wait=1"))
		location := resp.Header.Get("Location")
		if resp.StatusCode != http.StatusCreated || text != "" || resp.Header.Get("Ttl") != "60" || !strings.HasPrefix(location, "/wpush/v1/message/") ||
			resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%d %s %v", resp.StatusCode, text, resp.Header)
		}
		k := r.keeper.kept[0]
		if k.App != 1 || k.Ordinal != 5 || k.Topic != "a_-Z9" || k.TTL != time.Minute || fmt.Sprint(k.Subscription) != sub.ID {
			t.Errorf("kept %+v", k)
		}
		want := frame{Instance: "chat", Body: base64.StdEncoding.EncodeToString([]byte(body)), Encoding: "aes128gcm"}
		if got := r.keeper.frames(t)[0]; got != want {
			t.Errorf("frame %+v", got)
		}
		if text := string(r.keeper.kept[0].Body); strings.Contains(text, "Z9") || strings.Contains(text, "high") {
			t.Errorf("the device is told more than the message: %s", text)
		}
		// A legacy message, one without a body, and the longest.
		legacy := headers("Content-Encoding", "aesgcm", "Encryption", "salt=AAAA", "Crypto-Key", "dh=BBBB")
		for _, c := range []struct {
			body   string
			header http.Header
			want   frame
		}{
			{"x", legacy, frame{Instance: "chat", Body: "eA==", Encoding: "aesgcm", Encryption: "salt=AAAA", CryptoKey: "dh=BBBB"}},
			{"", headers("Content-Encoding", ""), frame{Instance: "chat"}},
			{encrypted(4096), headers(), frame{Instance: "chat", Encoding: "aes128gcm", Body: base64.StdEncoding.EncodeToString([]byte(encrypted(4096)))}},
		} {
			if resp, text := r.call(http.MethodPost, sub.Endpoint, c.body, c.header); resp.StatusCode != http.StatusCreated {
				t.Errorf("%d %s", resp.StatusCode, text)
			}
			all := r.keeper.frames(t)
			if got := all[len(all)-1]; got != c.want {
				t.Errorf("frame %+v, want %+v", got, c.want)
			}
		}
		// It is taken back once.
		for _, status := range []int{http.StatusNoContent, http.StatusNotFound} {
			if resp, text := r.call(http.MethodDelete, r.server.URL+location, "", nil); resp.StatusCode != status {
				t.Errorf("withdrawal: %d %s", resp.StatusCode, text)
			}
		}
		if n := len(r.keeper.kept); n != 3 {
			t.Errorf("%d are kept", n)
		}
		families, err := r.registry.Gather()
		if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 || families[0].GetMetric()[0].GetCounter().GetValue() != 4 {
			t.Errorf("counted %v, %v", families, err)
		}
	})
}

func TestTimesToLive(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	sub := r.subscribe(5, "a", "")
	for ttl, want := range map[string]string{"0": "0", "1": "1", "2419200": "2419200", "2419201": "2419200", "99999999999999999999": "2419200", "007": "7"} {
		resp, text := r.call(http.MethodPost, sub.Endpoint, "", headers("TTL", ttl))
		if resp.StatusCode != http.StatusCreated || resp.Header.Get("Ttl") != want {
			t.Errorf("%s: %d %s %s", ttl, resp.StatusCode, resp.Header.Get("Ttl"), text)
		}
		if k := r.keeper.kept[len(r.keeper.kept)-1]; fmt.Sprint(k.TTL.Seconds()) != fmt.Sprint(jsonNumber(want)) {
			t.Errorf("%s: kept for %v", ttl, k.TTL)
		}
	}
}

func jsonNumber(text string) float64 {
	var n float64
	_ = json.Unmarshal([]byte(text), &n)
	return n
}

// twice are the headers of a good message, with one that is there twice.
func twice(name, a, b string) http.Header {
	h := headers()
	h[name] = []string{a, b}
	return h
}

func TestMessagesAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	sub := r.subscribe(5, "a", "")
	token := sub.Endpoint[strings.LastIndexByte(sub.Endpoint, '/')+1:]
	at := func(token string) string { return r.server.URL + "/wpush/v1/" + token }
	for name, c := range map[string]struct {
		url, body string
		header    http.Header
		status    int
	}{
		"no TTL":                   {at(token), "", headers("TTL", ""), 400},
		"TTL below 0":              {at(token), "", headers("TTL", "-1"), 400},
		"TTL of a fraction":        {at(token), "", headers("TTL", "1.5"), 400},
		"another urgency":          {at(token), "", headers("Urgency", "urgent"), 400},
		"two urgencies":            {at(token), "", twice("Urgency", "low", "high"), 400},
		"two topics":               {at(token), "", twice("Topic", "a", "b"), 400},
		"two times to live":        {at(token), "", twice("Ttl", "1", "2"), 400},
		"topic too long":           {at(token), "", headers("Topic", strings.Repeat("a", 33)), 400},
		"topic with a space":       {at(token), "", headers("Topic", "a b"), 400},
		"body of 4097 bytes":       {at(token), encrypted(4097), headers(), 413},
		"not encrypted":            {at(token), "hello", headers("Content-Encoding", ""), 415},
		"zipped":                   {at(token), "hello", headers("Content-Encoding", "gzip"), 415},
		"too short":                {at(token), encrypted(102), headers(), 400},
		"key of another length":    {at(token), strings.Repeat("a", 200), headers(), 400},
		"aesgcm without salt":      {at(token), "x", headers("Content-Encoding", "aesgcm", "Crypto-Key", "dh=B"), 400},
		"aesgcm without key":       {at(token), "x", headers("Content-Encoding", "aesgcm", "Encryption", "salt=A"), 400},
		"aesgcm with a long key":   {at(token), "x", headers("Content-Encoding", "aesgcm", "Encryption", "salt=A", "Crypto-Key", "dh="+strings.Repeat("B", 1100)), 400},
		"a token that is cut":      {at(token[:len(token)-1]), "", headers(), 404},
		"a token that was made up": {at(strings.Repeat("A", len(token))), "", headers(), 404},
		"a token of a message":     {at(strings.TrimPrefix(r.location(posted{1, 1, 1}), messagePath)), "", headers(), 404},
		"no token":                 {at(""), "", headers(), 404},
	} {
		resp, text := r.call(http.MethodPost, c.url, c.body, c.header)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text)
		}
		if c.status != 404 && resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s", name, text)
		}
	}
	for _, url := range []string{r.server.URL + messagePath + token, r.server.URL + messagePath + "x"} {
		if resp, _ := r.call(http.MethodDelete, url, "", nil); resp.StatusCode != 404 {
			t.Errorf("%s: %d", url, resp.StatusCode)
		}
	}
	if len(r.keeper.kept) != 0 {
		t.Errorf("kept %+v", r.keeper.kept)
	}
	// Each changed character of an endpoint makes it one of nobody.
	for i := range token {
		changed := token[:i] + map[bool]string{true: "B", false: "A"}[token[i] == 'A'] + token[i+1:]
		if _, err := r.open(changed); err == nil {
			t.Errorf("%s is taken", changed)
		}
	}
}

func TestWhoSends(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	own, stranger := newServer(t), newServer(t)
	bound, open := r.subscribe(5, "bound", own.public), r.subscribe(5, "open", "")
	if bound.VAPID != own.public {
		t.Fatalf("%+v", bound)
	}
	with := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := r.claims()
		change(c)
		return c
	}
	legacy := func(s *server) []string {
		token := strings.TrimPrefix(strings.Split(s.sign(t, r.claims()), ",")[0], "vapid t=")
		return []string{"Authorization", "WebPush " + token, "Crypto-Key", "dh=BBBB;p256ecdsa=" + s.public}
	}
	now := r.fake.Now()
	for name, c := range map[string]struct {
		more        []string
		bound, open int
	}{
		"the server":             {[]string{"Authorization", own.sign(t, r.claims())}, 201, 201},
		"several audiences":      {[]string{"Authorization", own.sign(t, with(func(c jwt.MapClaims) { c["aud"] = []string{"https://a.example", r.server.URL + "/"} }))}, 201, 201},
		"without sub":            {[]string{"Authorization", own.sign(t, with(func(c jwt.MapClaims) { delete(c, "sub") }))}, 201, 201},
		"at most 24 h":           {[]string{"Authorization", own.sign(t, with(func(c jwt.MapClaims) { c["exp"] = now.Add(24 * time.Hour).Unix() }))}, 201, 201},
		"quoted":                 {[]string{"Authorization", strings.NewReplacer("t=", `t="`, ", k=", `",k="`).Replace(own.sign(t, r.claims())) + `"`}, 201, 201},
		"in the words of drafts": {legacy(own), 201, 201},
		"nobody":                 {nil, 401, 201},
		"somebody by password":   {[]string{"Authorization", "Basic eDp5"}, 401, 201},
		"another server":         {[]string{"Authorization", stranger.sign(t, r.claims())}, 403, 201},
		"another, in drafts":     {legacy(stranger), 403, 201},
		"another service":        {[]string{"Authorization", own.sign(t, with(func(c jwt.MapClaims) { c["aud"] = "https://push.example.net" }))}, 403, 403},
		"no audience":            {[]string{"Authorization", own.sign(t, with(func(c jwt.MapClaims) { delete(c, "aud") }))}, 403, 403},
		"expired":                {[]string{"Authorization", own.sign(t, with(func(c jwt.MapClaims) { c["exp"] = now.Add(-2 * time.Minute).Unix() }))}, 403, 403},
		"never expires":          {[]string{"Authorization", own.sign(t, with(func(c jwt.MapClaims) { delete(c, "exp") }))}, 403, 403},
		"expires late":           {[]string{"Authorization", own.sign(t, with(func(c jwt.MapClaims) { c["exp"] = now.Add(25 * time.Hour).Unix() }))}, 403, 403},
		"signed by another":      {[]string{"Authorization", strings.Replace(stranger.sign(t, r.claims()), stranger.public, own.public, 1)}, 403, 403},
		"no signature":           {[]string{"Authorization", "vapid t=eyJhbGciOiJub25lIn0.e30., k=" + own.public}, 403, 403},
		"no token":               {[]string{"Authorization", "vapid k=" + own.public}, 403, 403},
		"no key":                 {[]string{"Authorization", strings.Split(own.sign(t, r.claims()), ",")[0]}, 403, 403},
		"no key in drafts":       {legacy(own)[:2], 403, 403},
		"rubbish":                {[]string{"Authorization", "vapid " + strings.Repeat("x", 3000)}, 403, 403},
		"too long":               {[]string{"Authorization", own.sign(t, r.claims()) + strings.Repeat(" ", 10) + strings.Repeat("x", 4096)}, 403, 403},
	} {
		for endpoint, want := range map[string]int{bound.Endpoint: c.bound, open.Endpoint: c.open} {
			resp, text := r.call(http.MethodPost, endpoint, "", headers(c.more...))
			if resp.StatusCode != want {
				t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, text, want)
			}
			if want == 401 && resp.Header.Get("Www-Authenticate") != "vapid" {
				t.Errorf("%s: %v", name, resp.Header)
			}
		}
	}
}

func TestSubscriptionsOfADevice(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		own := newServer(t)
		first := r.subscribe(5, "a", "")
		resp, _ := r.device(5, http.MethodPost, "", `{"instance":"a"}`)
		if h := resp.Header; h.Get("Location") != "/device/v1/webpush/subscriptions/"+first.ID || h.Get("Link") != "<"+first.Endpoint+`>; rel="urn:ietf:params:push"` {
			t.Errorf("headers %v", h)
		}
		if again := r.subscribe(5, "a", ""); again != first {
			t.Errorf("the same call: %+v, then %+v", first, again)
		}
		if resp, _ := r.call(http.MethodPost, first.Endpoint, "", headers()); resp.StatusCode != 201 {
			t.Fatal(resp.StatusCode)
		}
		second := r.subscribe(5, "a", own.public+"=")
		if second.ID == first.ID || second.VAPID != own.public || len(r.keeper.kept) != 0 {
			t.Errorf("with a key: %+v, %d are kept for the one it replaces", second, len(r.keeper.kept))
		}
		if resp, _ := r.call(http.MethodPost, first.Endpoint, "", headers()); resp.StatusCode != 410 {
			t.Errorf("the replaced one answers %d", resp.StatusCode)
		}
		r.subscribe(5, "b", "")
		r.subscribe(6, "a", "")
		r.fake.Advance(time.Minute)
		if resp, _ := r.call(http.MethodPost, second.Endpoint, "", headers("Authorization", own.sign(t, r.claims()))); resp.StatusCode != 201 {
			t.Fatal(resp.StatusCode)
		}
		var list struct{ Subscriptions []webpushSubscription }
		resp, text := r.device(5, http.MethodGet, "", "")
		if err := json.Unmarshal([]byte(text), &list); err != nil || resp.StatusCode != 200 || len(list.Subscriptions) != 2 {
			t.Fatalf("%d %s", resp.StatusCode, text)
		}
		used := list.Subscriptions[0]
		if used.UsedAt != used.CreatedAt+60_000 || used.Endpoint != second.Endpoint || list.Subscriptions[1].UsedAt != 0 {
			t.Errorf("list %s", text)
		}
		// Only its own.
		if resp, text := r.device(6, http.MethodDelete, "/"+second.ID, ""); resp.StatusCode != 404 {
			t.Errorf("another device deletes it: %d %s", resp.StatusCode, text)
		}
		for _, status := range []int{204, 404} {
			if resp, text := r.device(5, http.MethodDelete, "/"+second.ID, ""); resp.StatusCode != status {
				t.Errorf("%d %s", resp.StatusCode, text)
			}
		}
		if len(r.keeper.kept) != 0 {
			t.Errorf("kept %+v", r.keeper.kept)
		}
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			resp, text := r.call(method, second.Endpoint, "", headers("Authorization", own.sign(t, r.claims())))
			if resp.StatusCode != 410 || strings.Contains(text, "unifiedpush") {
				t.Errorf("%s after its end: %d %s", method, resp.StatusCode, text)
			}
		}
	})
}

func TestBadSubscriptionsAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	for body, status := range map[string]int{
		``: 400, `{`: 400, `[]`: 422, `{}`: 422, `{"instance":""}`: 422, `{"instance":7}`: 422, `{"instance":"` + strings.Repeat("a", 201) + `"}`: 422,
		`{"instance":"a\u0000b"}`: 422, `{"instance":"a","vapid":"x"}`: 422, `{"instance":"a","vapid":"` + strings.Repeat("A", 87) + `"}`: 422,
		`{"instance":"` + strings.Repeat("a", 5000) + `"}`: 413,
	} {
		resp, text := r.device(5, http.MethodPost, "", body)
		if resp.StatusCode != status {
			t.Errorf("%.40s: %d %s", body, resp.StatusCode, text)
		}
	}
	if resp, _ := r.call(http.MethodPost, r.server.URL+"/device/v1/webpush/subscriptions", `{"instance":"a"}`, nil); resp.StatusCode != 401 {
		t.Errorf("nobody: %d", resp.StatusCode)
	}
	for _, id := range []string{"0", "x", "-1", "99999999999999999999"} {
		if resp, _ := r.device(5, http.MethodDelete, "/"+id, ""); resp.StatusCode != 422 {
			t.Errorf("%s: %d", id, resp.StatusCode)
		}
	}
	if list, err := r.List(t.Context(), 1, 5); err != nil || len(list) != 0 {
		t.Errorf("%d, %v", len(list), err)
	}
	for i := range maxSubscriptions {
		r.subscribe(5, fmt.Sprint(i), "")
	}
	if resp, text := r.device(5, http.MethodPost, "", `{"instance":"one more"}`); resp.StatusCode != 409 {
		t.Errorf("one more: %d %s", resp.StatusCode, text)
	}
	r.subscribe(5, "0", "")
	r.subscribe(6, "0", "")
}

// Calls for one instance at the same time end with one subscription, whose endpoint all have that succeeded.
func TestOneInstanceHasOneSubscription(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		got := make([]webpushSubscription, 8)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i] = r.subscribe(5, "a", "") })
		}
		wg.Wait()
		for _, s := range got {
			if s.Endpoint != got[0].Endpoint {
				t.Errorf("%s and %s", s.Endpoint, got[0].Endpoint)
			}
		}
	})
}

func TestRates(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), func(d *Deps) { d.Limits = Limits{Subscription: 5, Sender: 8, Address: 7} })
	post := func(sub webpushSubscription, more ...string) (int, string) {
		resp, _ := r.call(http.MethodPost, sub.Endpoint, "", headers(more...))
		return resp.StatusCode, resp.Header.Get("Retry-After")
	}
	a, b, c := r.subscribe(5, "a", ""), r.subscribe(5, "b", ""), r.subscribe(5, "c", "")
	for i := range 6 {
		status, after := post(a)
		if want := map[bool]int{false: 201, true: 429}[i == 5]; status != want || (after != "") != (want == 429) {
			t.Errorf("message %d for one subscription: %d, after %q", i, status, after)
		}
	}
	if status, _ := post(b); status != 201 {
		t.Errorf("the seventh from this address: %d", status)
	}
	if status, after := post(b); status != 429 || after != "10" {
		t.Errorf("the eighth from this address: %d", status)
	}
	server := newServer(t)
	for i := range 4 {
		if status, _ := post(b, "Authorization", server.sign(t, r.claims())); status != 201 {
			t.Errorf("signed message %d: %d", i, status)
		}
	}
	for i := range 5 {
		status, _ := post(c, "Authorization", server.sign(t, r.claims()))
		if want := map[bool]int{false: 201, true: 429}[i == 4]; status != want {
			t.Errorf("signed message %d for another subscription: %d", i, status)
		}
	}
	r.from = netip.MustParseAddr("198.51.100.8")
	if status, _ := post(c); status != 201 {
		t.Errorf("from another address: %d", status)
	}
	r.fake.Advance(time.Minute)
	if status, _ := post(a); status != 201 {
		t.Errorf("a minute later: %d", status)
	}
}

// A key costs nothing, so who makes one for each message is counted by address all the same.
func TestAnAddressMakesSoManyCalls(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), func(d *Deps) { d.Limits = Limits{Calls: 6} })
	sub := r.subscribe(5, "a", "")
	for i := range 7 {
		resp, _ := r.call(http.MethodPost, sub.Endpoint, "", headers("Authorization", newServer(t).sign(t, r.claims())))
		if want := map[bool]int{false: 201, true: 429}[i == 6]; resp.StatusCode != want || (resp.Header.Get("Retry-After") != "") != (want == 429) {
			t.Errorf("call %d: %d", i, resp.StatusCode)
		}
	}
	if resp, _ := r.call(http.MethodGet, sub.Endpoint, "", nil); resp.StatusCode != 429 {
		t.Errorf("another method: %d", resp.StatusCode)
	}
	r.from = netip.MustParseAddr("198.51.100.8")
	if resp, _ := r.call(http.MethodGet, sub.Endpoint, "", nil); resp.StatusCode != 200 {
		t.Errorf("from another address: %d", resp.StatusCode)
	}
}

func TestWhatTheDeviceSideSays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		sub := r.subscribe(5, "a", "")
		post := func() (*http.Response, string) { return r.call(http.MethodPost, sub.Endpoint, "", headers()) }
		r.keeper.refusal = ErrFull
		if resp, text := post(); resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "600" {
			t.Errorf("full: %d %s", resp.StatusCode, text)
		}
		r.keeper.refusal = fmt.Errorf("the disk is full")
		if resp, text := post(); resp.StatusCode != 500 || strings.Contains(text, "disk") {
			t.Errorf("broken: %d %s", resp.StatusCode, text)
		}
		r.keeper.refusal = nil
		r.publish(gate.Suspended, 2)
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			if resp, text := r.call(method, sub.Endpoint, "", headers()); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
				t.Errorf("stopped: %d %s", resp.StatusCode, text)
			}
		}
		r.publish(gate.Enabled, 3)
		if resp, text := post(); resp.StatusCode != 201 {
			t.Errorf("running again: %d %s", resp.StatusCode, text)
		}
		r.keeper.refusal = ErrNoDevice
		if resp, text := post(); resp.StatusCode != 410 {
			t.Errorf("no device: %d %s", resp.StatusCode, text)
		}
		if list, err := r.List(t.Context(), 1, 5); err != nil || len(list) != 0 || len(r.keeper.kept) != 0 {
			t.Errorf("%d are left, %d kept, %v", len(list), len(r.keeper.kept), err)
		}
		r.publish(gate.Deleted, 4)
		if resp, text := post(); resp.StatusCode != 410 {
			t.Errorf("no app: %d %s", resp.StatusCode, text)
		}
	})
}

func TestSubscriptionsOfEndedDevicesAreForgotten(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		gone, stays := r.subscribe(5, "a", ""), r.subscribe(6, "a", "")
		for _, s := range []webpushSubscription{gone, stays} {
			if resp, _ := r.call(http.MethodPost, s.Endpoint, "", headers()); resp.StatusCode != 201 {
				t.Fatal(resp.StatusCode)
			}
		}
		if err := r.sweep(t.Context()); err != nil || len(r.keeper.kept) != 2 {
			t.Fatalf("%v, %d", err, len(r.keeper.kept))
		}
		r.devices.mu.Lock()
		r.devices.known[1] = []uint32{6}
		r.devices.mu.Unlock()
		if err := r.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(r.keeper.kept) != 1 || r.keeper.kept[0].Ordinal != 6 {
			t.Errorf("kept %+v", r.keeper.kept)
		}
		for endpoint, want := range map[string]int{gone.Endpoint: 410, stays.Endpoint: 201} {
			if resp, _ := r.call(http.MethodPost, endpoint, "", headers()); resp.StatusCode != want {
				t.Errorf("%d, want %d", resp.StatusCode, want)
			}
		}
	})
}

func TestPagesOfAnyOriginMayAsk(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	sub := r.subscribe(5, "a", "")
	resp, text := r.call(http.MethodGet, sub.Endpoint, "", nil)
	if resp.StatusCode != 200 || text != `{"unifiedpush":{"version":1}}`+"\n" || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("discovery: %d %s %v", resp.StatusCode, text, resp.Header)
	}
	resp, _ = r.call(http.MethodOptions, sub.Endpoint, "", http.Header{"Origin": {"https://chat.example"}, "Access-Control-Request-Method": {"POST"}})
	if h := resp.Header; resp.StatusCode != 204 || h.Get("Access-Control-Allow-Methods") != "GET, POST, OPTIONS" || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "TTL") {
		t.Errorf("preflight: %d %v", resp.StatusCode, h)
	}
	for _, c := range [][2]string{{http.MethodPut, sub.Endpoint}, {http.MethodDelete, sub.Endpoint}, {http.MethodGet, r.server.URL + messagePath + "x"}} {
		if resp, _ := r.call(c[0], c[1], "", nil); resp.StatusCode != 405 || resp.Header.Get("Allow") == "" {
			t.Errorf("%s: %d", c, resp.StatusCode)
		}
	}
}

func FuzzEndpoints(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0}, "vapid t=a.b.c, k=BBBB", "dh=a;p256ecdsa=b")
	f.Add((&endpoint{app: 1 << 40, ordinal: 1 << 31, subscription: 1 << 52, key: make([]byte, keySize)}).data(), "WebPush x", ",;=")
	f.Fuzz(func(t *testing.T, data []byte, authorization, cryptoKey string) {
		e, err := parseEndpoint(data)
		if err != nil {
			return
		}
		if again, err := parseEndpoint(e.data()); err != nil || again.app != e.app || again.ordinal != e.ordinal || again.subscription != e.subscription {
			t.Fatalf("%+v, %+v, %v", e, again, err)
		}
		if sig := findSignature(http.Header{"Authorization": {authorization}, "Crypto-Key": {cryptoKey}}); sig != nil {
			if _, err := e.verify(sig, time.Unix(1_800_000_000, 0)); err == nil {
				t.Fatal("somebody signed")
			}
		}
	})
}
