package huawei_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBrokenGrantsAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	good := url.Values{"grant_type": {"client_credentials"}, "client_id": {"100000001"}, "client_secret": {"simulated-app-secret"}}
	for name, c := range map[string]struct {
		field, value string
		sub          int
	}{
		"another grant":  {"grant_type", "password", 20182},
		"no number":      {"client_id", "me", 20002},
		"another client": {"client_id", "7", 20003},
		"no secret":      {"client_secret", "", 20171},
		"another secret": {"client_secret", "x", 12304},
	} {
		form := url.Values{}
		for k, v := range good {
			form[k] = slices.Clone(v)
		}
		form.Set(c.field, c.value)
		if status, body := l.form(form); status != http.StatusBadRequest || !strings.Contains(string(body), fmt.Sprintf(`"sub_error":%d`, c.sub)) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	for range 1000 - 5 {
		l.form(good)
	}
	if status, _ := l.form(good); status != http.StatusServiceUnavailable {
		t.Errorf("access token 1001 of five minutes: status %d", status)
	}
	l.clock.Advance(5 * time.Minute)
	if status, _ := l.form(good); status != http.StatusOK {
		t.Errorf("five minutes later: status %d", status)
	}
}

func TestBrokenMessagesAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	access, token := l.access(), l.phones.Add("huawei", "")
	message := func(fields string) string { return `{"message":{"token":["` + token + `"],` + fields + `}}` }
	android := func(fields string) string { return message(`"data":"{}","android":{` + fields + `}`) }
	shown := func(fields string) string {
		return message(`"android":{"notification":{"title":"t","body":"b","click_action":{"type":3},` + fields + `}}`)
	}
	many := func(n int) string {
		return `{"message":{"data":"x","token":["` + strings.Join(slices.Repeat([]string{token}, n), `","`) + `"]}}`
	}
	for name, c := range map[string]struct{ body, code string }{
		"no JSON":                   {`{`, "80100003"},
		"no message":                {`{}`, "80100003"},
		"an unknown field":          {message(`"data":"x","priority":1`), "80100003"},
		"no target":                 {`{"message":{"data":"x"}}`, "80100003"},
		"two targets":               {message(`"data":"x","topic":"news"`), "80100003"},
		"no token":                  {`{"message":{"data":"x","token":[]}}`, "80300010"},
		"1001 tokens":               {many(1001), "80300010"},
		"no content":                {`{"message":{"token":["` + token + `"]}}`, "80100003"},
		"data that is an object":    {message(`"data":{}`), "80100003"},
		"a category":                {android(`"category":"NEWS"`), "80100003"},
		"a time to live of nothing": {android(`"ttl":"0s"`), "80100004"},
		"more than 15 days":         {android(`"ttl":"1296001s"`), "80100003"},
		"a time to live in minutes": {android(`"ttl":"5m"`), "80100003"},
		"collapse_key 101":          {android(`"collapse_key":101`), "80100013"},
		"collapse_key -2":           {android(`"collapse_key":-2`), "80100013"},
		"a user type":               {android(`"target_user_type":2`), "80100003"},
		"an urgency":                {android(`"urgency":"LOW"`), "80100003"},
		"a long bi_tag":             {android(`"bi_tag":"` + strings.Repeat("x", 65) + `"`), "80100003"},
		"no click_action":           {message(`"android":{"notification":{"title":"t","body":"b"}}`), "80100003"},
		"no title":                  {message(`"android":{"notification":{"body":"b","click_action":{"type":3}}}`), "80100003"},
		"no android.notification":   {message(`"notification":{"title":"t","body":"b"}`), "80100003"},
		"a click without a page":    {message(`"android":{"notification":{"title":"t","body":"b","click_action":{"type":1}}}`), "80100003"},
		"a click on another intent": {message(`"android":{"notification":{"title":"t","body":"b","click_action":{"type":1,"intent":"myapp://x"}}}`), "80100003"},
		"a click without a url":     {message(`"android":{"notification":{"title":"t","body":"b","click_action":{"type":2}}}`), "80100003"},
		"a click on http":           {message(`"android":{"notification":{"title":"t","body":"b","click_action":{"type":2,"url":"http://x"}}}`), "80100003"},
		"an image by http":          {shown(`"image":"http://x"`), "80100003"},
		"style 2":                   {shown(`"style":2`), "80100003"},
		"big text without a text":   {shown(`"style":1,"big_title":"t"`), "80100003"},
		"an inbox without lines":    {shown(`"style":3`), "80100003"},
		"six lines":                 {shown(`"style":3,"inbox_content":["1","2","3","4","5","6"]`), "80100003"},
		"a long line":               {shown(`"style":3,"inbox_content":["` + strings.Repeat("x", 1025) + `"]`), "80100003"},
		"a badge of 100":            {shown(`"badge":{"add_num":100,"class":"c"}`), "80100003"},
		"a badge without a class":   {shown(`"badge":{"add_num":1}`), "80100003"},
		"an importance":             {shown(`"importance":"MAX"`), "80100003"},
		"speech as a notification":  {message(`"android":{"category":"PLAY_VOICE","notification":{"title":"t","body":"b","click_action":{"type":3}}}`), "80100003"},
		"a review of somebody":      {`{"review":[{"reviewer":"me","type":0,"result":{}}],"message":{"token":["` + token + `"],"data":"x"}}`, "80100003"},
		"4097 bytes":                {message(`"data":"` + strings.Repeat("x", 4097-len(message(`"data":""`))+len(token)+2) + `"`), "80300008"},
	} {
		if status, code := l.post("/v1/100000001/messages:send", access, c.body, nil); status != http.StatusBadRequest || code != c.code {
			t.Errorf("%s: %d %s, want %s", name, status, code, c.code)
		}
	}
	if got := l.phone(token).Got; len(got) != 0 {
		t.Errorf("a refused message arrived: %+v", got)
	}
	for name, body := range map[string]string{
		"4096 bytes":  message(`"data":"` + strings.Repeat("x", 4096-len(message(`"data":""`))+len(token)+2) + `"`),
		"1000 tokens": many(1000), "collapse_key": android(`"collapse_key":-1`), "15 days": android(`"ttl":"1296000"`),
	} {
		if status, code := l.post("/v1/100000001/messages:send", access, body, nil); status != http.StatusOK || code != "80000000" {
			t.Errorf("%s: %d %s", name, status, code)
		}
	}
	tests := 0
	for range 501 {
		if status, _ := l.post("/v1/100000001/messages:send", access, android(`"target_user_type":1`), nil); status == http.StatusOK {
			tests++
		}
	}
	if tests != 500 {
		t.Errorf("%d test messages passed", tests)
	}
}

func TestCallsWithoutARightAreRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	access := l.access()
	for name, c := range map[string]struct {
		path, bearer, code string
		status             int
	}{
		"no token":                        {"/v1/100000001/messages:send", "", "80200001", http.StatusUnauthorized},
		"another token":                   {"/v1/100000001/messages:send", "x", "80200001", http.StatusUnauthorized},
		"another app":                     {"/v1/7/messages:send", access, "80200001", http.StatusUnauthorized},
		"another project":                 {"/v2/7/messages:send", access, "80300002", http.StatusBadRequest},
		"an access token for a live view": {"/v3/388421841221/messages:send", access, "80200001", http.StatusUnauthorized},
		"another address":                 {"/v4/100000001/messages:send", access, "", http.StatusNotFound},
	} {
		if status, code := l.post(c.path, c.bearer, `{}`, nil); status != c.status || code != c.code {
			t.Errorf("%s: %d %s", name, status, code)
		}
	}
}
