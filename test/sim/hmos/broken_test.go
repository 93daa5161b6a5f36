package hmos_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	sendTo   = "/v3/388421841221/messages:send"
	revokeAt = "/v1/6917500000000000001/messages:revoke"
)

func (l *lab) claims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": "110001", "aud": "https://oauth-login.cloud.huawei.com/oauth2/v3/token",
		"iat": l.clock.Now().Unix(), "exp": l.clock.Now().Add(time.Hour).Unix(),
	}
}

// sign makes a token with claims, signed by key, or the service account's if it is nil.
func (l *lab) sign(claims jwt.MapClaims, algorithm, kid string, key any) string {
	l.Helper()
	if key == nil {
		var creds struct {
			ServiceAccount struct {
				PrivateKey string `json:"private_key"`
			} `json:"service_account"`
		}
		if err := json.Unmarshal(l.sim.Credentials(), &creds); err != nil {
			l.Fatal(err)
		}
		parsed, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(creds.ServiceAccount.PrivateKey))
		if err != nil {
			l.Fatal(err)
		}
		key = parsed
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	token.Header["kid"] = kid
	signed, err := token.SignedString(key)
	if err != nil {
		l.Fatal(err)
	}
	return signed
}

func (l *lab) bearer() string { return l.sign(l.claims(), "PS256", "sim-key-1", nil) }

func TestBrokenTokensAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := l.clock.Now()
	with := func(claim string, value any) string {
		claims := l.claims()
		if claims[claim] = value; value == nil {
			delete(claims, claim)
		}
		return l.sign(claims, "PS256", "sim-key-1", nil)
	}
	for name, c := range map[string]struct {
		bearer, code string
		status       int
	}{
		"no token":          {"", "80200001", http.StatusUnauthorized},
		"no JWT":            {"x.y.z", "80200001", http.StatusUnauthorized},
		"another account":   {with("iss", "7"), "80200001", http.StatusUnauthorized},
		"another audience":  {with("aud", "https://example.com"), "80200001", http.StatusUnauthorized},
		"of the future":     {with("iat", now.Add(10*time.Minute).Unix()), "80200001", http.StatusUnauthorized},
		"without a time":    {with("iat", nil), "80200001", http.StatusUnauthorized},
		"without an end":    {with("exp", nil), "80200001", http.StatusUnauthorized},
		"expired":           {with("exp", now.Unix()), "80200005", http.StatusUnauthorized},
		"more than a day":   {with("exp", now.Add(25*time.Hour).Unix()), "80300036", http.StatusBadRequest},
		"another key":       {l.sign(l.claims(), "PS256", "sim-key-1", other), "80200001", http.StatusUnauthorized},
		"another key's id":  {l.sign(l.claims(), "PS256", "k", nil), "80200001", http.StatusUnauthorized},
		"another algorithm": {l.sign(l.claims(), "RS256", "sim-key-1", nil), "80200001", http.StatusUnauthorized},
		"no signature":      {l.sign(l.claims(), "none", "sim-key-1", jwt.UnsafeAllowNoneSignatureType), "80200001", http.StatusUnauthorized},
	} {
		if status, code := l.post(sendTo, c.bearer, "0", `{}`); status != c.status || code != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, status, code, c.status, c.code)
		}
	}
	for path, want := range map[string]string{"/v3/7/messages:send": "80300002", "/v1/7/messages:revoke": "80300002", "/v2/388421841221/messages:send": ""} {
		if _, code := l.post(path, l.bearer(), "0", `{}`); code != want {
			t.Errorf("%s: %s", path, code)
		}
	}
}

func TestBrokenMessagesAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	bearer, token := l.bearer(), l.phones.Add("hmos", "")
	request := func(payload, options string, tokens ...string) string {
		return `{"payload":` + payload + `,"pushOptions":{` + options + `},"target":{"token":["` + strings.Join(tokens, `","`) + `"]}}`
	}
	notify := func(fields string) string {
		return `{"notification":{"category":"WORK","title":"t","body":"b","clickAction":{"actionType":0}` + fields + `}}`
	}
	shown := func(fields string) string { return request(notify(fields), "", token) }
	option := func(options string) string { return request(notify(""), options, token) }
	many := func(n int, options string) string {
		return request(notify(""), options, slices.Repeat([]string{token}, n)...)
	}
	type broken struct{ kind, body, code string }
	live := `{"activityId":1,"operation":1,"event":"TAXI","activityData":{"notificationData":{}}}`
	form := `{"formId":5,"version":1,"moduleName":"m","formName":"f","abilityName":"a","formData":{"n":1}}`
	cases := map[string]broken{
		"no push-type":                 {"", shown(""), "80100003"},
		"push-type 3":                  {"3", shown(""), "80100003"},
		"no JSON":                      {"0", `{`, "80100003"},
		"no payload":                   {"0", `{"target":{"token":["a"]}}`, "80100003"},
		"the shape of version 1":       {"0", `{"message":{"token":["a"]}}`, "80100003"},
		"no target":                    {"0", `{"payload":` + notify("") + `}`, "80100003"},
		"no token":                     {"0", `{"payload":` + notify("") + `,"target":{"token":[]}}`, "80300010"},
		"1001 tokens":                  {"0", many(1001, ""), "80300010"},
		"an unknown option":            {"0", option(`"urgency":"HIGH"`), "80100003"},
		"a time to live of nothing":    {"0", option(`"ttl":0`), "80100004"},
		"more than 15 days":            {"0", option(`"ttl":1296001`), "80100003"},
		"a time to live as text":       {"0", option(`"ttl":"60s"`), "80100003"},
		"a biTag of 65":                {"0", option(`"biTag":"` + strings.Repeat("x", 65) + `"`), "80100003"},
		"collapseKey 101":              {"0", option(`"collapseKey":101`), "80100003"},
		"11 tokens of a test":          {"0", many(11, `"testMessage":true`), "80300030"},
		"no title":                     {"0", request(`{"notification":{"category":"WORK","body":"b","clickAction":{"actionType":0}}}`, "", token), "80100003"},
		"no category":                  {"0", request(`{"notification":{"title":"t","body":"b","clickAction":{"actionType":0}}}`, "", token), "80100003"},
		"no clickAction":               {"0", request(`{"notification":{"category":"WORK","title":"t","body":"b"}}`, "", token), "80100003"},
		"a category":                   {"0", request(`{"notification":{"category":"NEWS","title":"t","body":"b","clickAction":{"actionType":0}}}`, "", token), "80100003"},
		"speech as a notification":     {"0", request(`{"notification":{"category":"PLAY_VOICE","title":"t","body":"b","clickAction":{"actionType":0}}}`, "", token), "80300007"},
		"a notification as speech":     {"2", request(`{"notification":{"category":"WORK","title":"t","body":"b","clickAction":{"actionType":0}},"extraData":"x"}`, "", token), "80300007"},
		"a page without a name":        {"0", request(`{"notification":{"category":"WORK","title":"t","body":"b","clickAction":{"actionType":1}}}`, "", token), "80100003"},
		"an action of live views":      {"0", request(`{"notification":{"category":"WORK","title":"t","body":"b","clickAction":{"actionType":3}}}`, "", token), "80100003"},
		"an unknown field":             {"0", shown(`,"channelId":"c"`), "80100003"},
		"an image by http":             {"0", shown(`,"image":"http://x"`), "80100003"},
		"style 2":                      {"0", shown(`,"style":2`), "80100003"},
		"an inbox without lines":       {"0", shown(`,"style":3`), "80100003"},
		"four lines":                   {"0", shown(`,"style":3,"inboxContent":["1","2","3","4"]`), "80100003"},
		"a long line":                  {"0", shown(`,"style":3,"inboxContent":["` + strings.Repeat("x", 1025) + `"]`), "80100003"},
		"a badge of nothing":           {"0", shown(`,"badge":{"addNum":0}`), "80100003"},
		"a badge of 100":               {"0", shown(`,"badge":{"setNum":100}`), "80100003"},
		"a notifyId of 2^31":           {"0", shown(`,"notifyId":2147483648`), "80100003"},
		"an appMessageId":              {"0", shown(`,"appMessageId":"` + strings.Repeat("x", 65) + `"`), "80100003"},
		"a sound of 61 seconds":        {"0", shown(`,"sound":"a.mp3","soundDuration":61`), "80100003"},
		"a duration alone":             {"0", shown(`,"soundDuration":6`), "80100003"},
		"4097 bytes":                   {"0", shown(`,"profileId":"","sound":"` + strings.Repeat("x", 4097-len(shown(`,"profileId":"","sound":""`))+len(token)+2) + `"`), "80300008"},
		"a form for two":               {"1", request(form, "", token, token), "80300010"},
		"a form without an id":         {"1", request(strings.Replace(form, `"formId":5,`, "", 1), "", token), "80100003"},
		"background without data":      {"6", request(`{"proxyData":"ENABLE"}`, "", token), "80100003"},
		"background by another proxy":  {"6", request(`{"extraData":"x","proxyData":"on"}`, "", token), "80100003"},
		"a live view without an id":    {"7", request(strings.Replace(live, `"activityId":1,`, "", 1), "", token), "80100003"},
		"a live view of another event": {"7", request(strings.Replace(live, "TAXI", "PARTY", 1), "", token), "80100003"},
		"a call with a notification":   {"10", request(notify(""), "", token), "80100003"},
		"extraData that is an object":  {"10", request(`{"extraData":{}}`, "", token), "80100003"},
	}
	for name, c := range cases {
		if status, code := l.post(sendTo, bearer, c.kind, c.body); status != http.StatusBadRequest || code != c.code {
			t.Errorf("%s: %d %s, want %s", name, status, code, c.code)
		}
	}
	if got := l.phone(token).Got; len(got) != 0 {
		t.Errorf("a refused message arrived: %+v", got)
	}
	for name, c := range map[string]broken{
		"plain": {"0", shown(""), ""}, "1000 tokens": {"0", many(1000, ""), ""}, "10 tokens of a test": {"0", many(10, `"testMessage":true`), ""},
		"15 days":    {"0", option(`"ttl":1296000`), ""},
		"4096 bytes": {"0", shown(`,"profileId":"","sound":"` + strings.Repeat("x", 4096-len(shown(`,"profileId":"","sound":""`))+len(token)+2) + `"`), ""},
		"form":       {"1", request(form, "", token), ""}, "live view": {"7", request(live, "", token), ""},
	} {
		if status, code := l.post(sendTo, bearer, c.kind, c.body); status != http.StatusOK || code != "80000000" {
			t.Errorf("%s: %d %s", name, status, code)
		}
	}
}

func TestBrokenRetractionsAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	bearer, token := l.bearer(), l.phones.Add("hmos", "")
	for name, c := range map[string]struct{ kind, body, code string }{
		"push-type 7":      {"7", `{"notifyId":1,"token":["` + token + `"]}`, "80100003"},
		"no notifyId":      {"0", `{"token":["` + token + `"]}`, "80100003"},
		"a negative one":   {"0", `{"notifyId":-1,"token":["` + token + `"]}`, "80100003"},
		"no token":         {"0", `{"notifyId":1,"token":[]}`, "80300010"},
		"nobody's token":   {"0", `{"notifyId":1,"token":["x"]}`, "80300007"},
		"an unknown field": {"0", `{"notifyId":1,"token":["` + token + `"],"all":true}`, "80100003"},
		"1001 tokens":      {"0", `{"notifyId":1,"token":["` + strings.Join(slices.Repeat([]string{token}, 1001), `","`) + `"]}`, "80300010"},
		"good":             {"0", `{"notifyId":1,"token":["` + token + `"]}`, "80000000"},
	} {
		if _, code := l.post(revokeAt, bearer, c.kind, c.body); code != c.code {
			t.Errorf("%s: %s, want %s", name, code, c.code)
		}
	}
}
