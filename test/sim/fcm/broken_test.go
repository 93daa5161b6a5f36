package fcm_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestBrokenAssertionsAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := l.clock.Now()
	for name, c := range map[string]struct {
		claim string
		value any
		code  string
	}{
		"another account":     {"iss", "other@borealis-sim.iam.gserviceaccount.com", "invalid_grant"},
		"another audience":    {"aud", "https://example.com/token", "invalid_grant"},
		"another scope":       {"scope", "https://www.googleapis.com/auth/drive", "invalid_scope"},
		"no scope":            {"scope", nil, "invalid_scope"},
		"stale":               {"iat", now.Add(-3 * time.Hour).Unix(), "invalid_grant"},
		"of the future":       {"iat", now.Add(10 * time.Minute).Unix(), "invalid_grant"},
		"expired":             {"exp", now.Add(-10 * time.Minute).Unix(), "invalid_grant"},
		"longer than an hour": {"exp", now.Add(time.Hour + time.Second).Unix(), "invalid_grant"},
		"without an end":      {"exp", nil, "invalid_grant"},
	} {
		claims := l.claims()
		if claims[c.claim] = c.value; c.value == nil {
			delete(claims, c.claim)
		}
		status, body := l.grant(claims, "RS256", nil)
		var answer struct{ Error string }
		if _ = json.Unmarshal(body, &answer); status != http.StatusBadRequest || answer.Error != c.code {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := l.grant(l.claims(), "RS256", other); status != http.StatusBadRequest || !strings.Contains(string(body), "Signature") {
		t.Errorf("another key: %d %s", status, body)
	}
	if status, body := l.grant(l.claims(), "HS256", []byte("x")); status != http.StatusBadRequest {
		t.Errorf("another algorithm: %d %s", status, body)
	}
	if status, body := l.grant(l.claims(), "none", jwt.UnsafeAllowNoneSignatureType); status != http.StatusBadRequest {
		t.Errorf("no signature: %d %s", status, body)
	}
	if status, body := l.form(url.Values{"grant_type": {"client_credentials"}}); status != http.StatusBadRequest || !strings.Contains(string(body), "unsupported_grant_type") {
		t.Errorf("another grant: %d %s", status, body)
	}
	if status, _ := l.grant(l.claims(), "RS256", nil); status != http.StatusOK {
		t.Errorf("a good one: %d", status)
	}
}

func TestBrokenMessagesAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	access := l.access()
	token := l.phones.Add("fcm", "")
	to := `"token":"` + token + `"`
	android := func(fields string) string { return `{"message":{` + to + `,"android":{` + fields + `}}}` }
	shown := func(fields string) string { return android(`"notification":{` + fields + `}`) }
	for name, body := range map[string]string{
		"no JSON":                          `{`,
		"no message":                       `{}`,
		"an unknown field":                 `{"message":{` + to + `,"priority":"high"}}`,
		"an unknown field of notification": shown(`"badge":1`),
		"the old shape":                    `{"to":"` + token + `","notification":{}}`,
		"no target":                        `{"message":{"data":{"a":"b"}}}`,
		"two targets":                      `{"message":{` + to + `,"topic":"news"}}`,
		"data that is a number":            `{"message":{` + to + `,"data":{"a":1}}}`,
		"data that is deep":                `{"message":{` + to + `,"data":{"a":{"b":"c"}}}}`,
		"a reserved key":                   `{"message":{` + to + `,"data":{"from":"me"}}}`,
		"a key of google":                  `{"message":{` + to + `,"data":{"google.x":"y"}}}`,
		"a priority":                       android(`"priority":"urgent"`),
		"a time to live without a unit":    android(`"ttl":"60"`),
		"a time to live as a number":       android(`"ttl":60`),
		"a negative time to live":          android(`"ttl":"-1s"`),
		"more than four weeks":             android(`"ttl":"2419201s"`),
		"a colour":                         shown(`"color":"red"`),
		"a priority of the notification":   shown(`"notification_priority":"HIGH"`),
		"a count that is text":             shown(`"notification_count":"1"`),
		"a negative count":                 shown(`"notification_count":-1`),
		"a title that is a number":         shown(`"title":1`),
		"4097 bytes of data":               `{"message":{` + to + `,"data":{"k":"` + strings.Repeat("x", 4096) + `"}}}`,
		"4097 bytes of notification":       shown(`"body":"` + strings.Repeat("x", 4093) + `"`),
		"2049 bytes for a topic":           `{"message":{"topic":"news","data":{"k":"` + strings.Repeat("x", 2048) + `"}}}`,
	} {
		if status, answer := l.post(access, body); status != http.StatusBadRequest || !strings.Contains(string(answer), "INVALID_ARGUMENT") {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if got := l.phone(token).Got; len(got) != 0 {
		t.Errorf("a refused message arrived: %+v", got)
	}
	for name, body := range map[string]string{
		"4096 bytes of data": `{"message":{` + to + `,"data":{"k":"` + strings.Repeat("x", 4095) + `"}}}`,
		"names in camelCase": android(`"collapseKey":"c","notification":{"clickAction":"A","channelId":"c","notificationCount":2}`),
		"four weeks":         android(`"ttl":"2419200s","priority":"high"`),
	} {
		if status, answer := l.post(access, body); status != http.StatusOK {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if got := l.phone(token).Got; len(got) != 3 {
		t.Errorf("%d messages arrived", len(got))
	}
}

func TestCallsWithoutARightAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if status, body := l.post("ya29.other", `{}`); status != http.StatusUnauthorized || !strings.Contains(string(body), "UNAUTHENTICATED") {
		t.Errorf("another access token: %d %s", status, body)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, l.server.URL+"/v1/projects/other-app/messages:send", strings.NewReader(`{}`))
	req.Header.Set("Authorization", "Bearer "+l.access())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("another project: %d", resp.StatusCode)
	}
	resp, err = http.Get(l.server.URL + "/fcm/send")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("the old address: %d", resp.StatusCode)
	}
}
