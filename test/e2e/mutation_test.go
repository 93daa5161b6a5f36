package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// codes are those of the vendor's tables that a caller may be answered with, and 0, the success of flat answers.
var codes = []int{
	0, 1001, 1002, 1003, 1004, 1005, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1020, 1030, 1035, 1105, 2002, 2003, 2004, 2005, 2006, 2007, 2008,
	3001, 3004, 3005, 4001, 4002, 4003, 4004, 4005, 4006, 4007, 7001, 7002, 7004, 7008, 7013, 7015, 7030, 8100, 8101, 8104, 8203,
}

// Calls that clients make, damaged in every way a generator thinks of: never a failure of ours, never a panic, always
// JSON, with a code of the tables if it is a refusal.
func TestDamagedCallsAreRefused(t *testing.T) {
	t.Parallel()
	n := Start(t, nil)
	app := n.NewApp(t)
	d := n.Register(t, app, "android")
	n.Call(t, Credentials{d.RegistrationID, d.Secret}, http.MethodGet, "/device/v1/profile", nil, nil)
	var developer struct {
		Key    string `json:"dev_key"`
		Secret string `json:"dev_secret"`
	}
	n.Admin(t, http.MethodPost, "/developers", map[string]string{"name": "tester"}, &developer)
	push := `{"platform":["android","ios"],"audience":{"registration_id":["` + d.RegistrationID + `"],"tag_not":["x"]},
		"notification":{"alert":"a","android":{"alert":"b","extras":{"k":1},"badge_add_num":1},"ios":{"alert":{"title":"t","body":"b"},"badge":"+1"}},
		"message":{"msg_content":"c","extras":{}},"options":{"time_to_live":60,"sendno":7,"apns_production":false,"third_party_channel":{"xiaomi":{"distribution":"jpush"}}}}`
	calls := []struct{ method, path, body string }{
		{"POST", "/v3/push", push}, {"POST", "/v3/push/validate", push}, {"POST", "/v3/push/file", push},
		{"POST", "/v3/push/batch/regid/single", `{"pushlist":{"` + app.Key + `-1":{"platform":"all","target":"` + d.RegistrationID + `","notification":{"alert":"x"}}}}`},
		{"POST", "/v3/push/batch/alias/single", `{"pushlist":{"` + app.Key + `-2":{"platform":"all","target":"a","notification":{"alert":"x"}}}}`},
		{"POST", "/v3/push/template", `{"id":"tpl","params":[{"audience":{"alias":["a"]},"keys":{"name":"x"},"trace_id":"t"}]}`},
		{"POST", "/v3/push/template/schedule", `{"id":"tpl","schedule_name":"s","trigger":{"single":{"time":"2036-01-01 00:00:00"}},"params":[{"audience":"all"}]}`},
		{"GET", "/v3/push/cid?count=2&type=push", ""}, {"DELETE", "/v3/push/123", ""}, {"GET", "/v3/push/quota", ""},
		{"POST", "/v3/push_plan/create", `{"name":"n","description":"d"}`}, {"PUT", "/v3/push_plan/update", `{"name":"n","description":"e"}`},
		{"GET", "/v3/push_plan/list?page=1&page_size=5&info=x&send_source=0", ""},
		{"POST", "/v3/grouppush", push}, {"GET", "/v3/group/messages/detail?group_msgids=1,2", ""}, {"GET", "/v3/group/users?time_unit=DAY&start=2026-11-01&duration=1", ""},
		{"POST", "/v3/schedules", `{"name":"n","enabled":true,"trigger":{"periodical":{"start":"2026-12-01 00:00:00","end":"2027-06-01 00:00:00","time":"08:30:00","time_unit":"WEEK","frequency":2,"point":["MON"]}},"push":` + push + `}`},
		{"GET", "/v3/schedules?page=1", ""}, {"GET", "/v3/schedules/0d5f7c1a-2b3e-4c5d-8e9f-a1b2c3d4e5f6/msg_ids", ""},
		{"PUT", "/v3/schedules/0d5f7c1a-2b3e-4c5d-8e9f-a1b2c3d4e5f6", `{"enabled":false}`}, {"DELETE", "/v3/schedules/0d5f7c1a-2b3e-4c5d-8e9f-a1b2c3d4e5f6", ""},
		{"POST", "/v3/devices/" + d.RegistrationID, `{"tags":{"add":["a"],"remove":["b"]},"alias":"u","mobile":"13800000000"}`},
		{"POST", "/v3/devices/status", `{"registration_ids":["` + d.RegistrationID + `"]}`}, {"GET", "/v3/aliases/u?platform=android&new_format=true", ""},
		{"POST", "/v3/aliases/u", `{"registration_ids":{"remove":["` + d.RegistrationID + `"]}}`}, {"POST", "/v3/tags/t", `{"registration_ids":{"add":["` + d.RegistrationID + `"]}}`},
		{"GET", "/v3/tags/t/registration_ids/" + d.RegistrationID, ""}, {"POST", "/v3/test/model/add", `{"device_name":"q","registration_id":"` + d.RegistrationID + `"}`},
		{"GET", "/v3/test/model/list?page=1&page_size=5&device_name=q", ""}, {"DELETE", "/v3/test/model/delete/" + d.RegistrationID, ""},
		{"GET", "/v3/received/detail?msg_ids=1,2", ""}, {"GET", "/v3/messages/detail?msg_ids=3", ""}, {"GET", "/v3/users?time_unit=HOUR&start=2026-11-01+09&duration=3", ""},
		{"POST", "/v3/status/message", `{"msg_id":1,"registration_ids":["` + d.RegistrationID + `"],"date":"2026-11-01"}`},
		{"POST", "/v3/files/alias", "--x\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"a.txt\"\r\n\r\nu1\r\n--x--"}, {"GET", "/v3/files", ""},
		{"POST", "/v3/images/byurls", `{"image_type":1,"image_url":"https://img.example.com/a.png"}`}, {"POST", "/v3/images/byfiles", "--x\r\nContent-Disposition: form-data; name=\"image_type\"\r\n\r\n2"},
		{"POST", "/v1/app", `{"app_name":"n","android_package":"com.example.x","group_name":null}`},
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	const rounds = 60
	refusals := 0
	for _, c := range calls {
		for round := range rounds {
			path, body := c.path, c.body
			if round > 0 {
				path, body = damagePath(dice, path), damageBody(dice, body)
			}
			who := app
			if strings.HasPrefix(c.path, "/v1/") {
				who = Credentials{developer.Key, developer.Secret}
			}
			req, err := http.NewRequest(c.method, n.URL+path, strings.NewReader(body))
			if err != nil {
				continue // no client can send it
			}
			req.SetBasicAuth(who.Key, who.Secret)
			req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatalf("%s %s: %v", c.method, path, err)
			}
			answer, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			var found struct {
				Code  int
				Error struct{ Code int }
			}
			// A list or another member of the name is no refusal.
			if jsonErr := json.Unmarshal(answer, &found); err != nil || !json.Valid(answer) || jsonErr != nil && !bytes.HasPrefix(answer, []byte("[")) {
				t.Fatalf("%s %s %q: status %d, %q, %v", c.method, path, body, resp.StatusCode, answer, err)
			}
			if resp.StatusCode >= 300 && resp.StatusCode < 400 || resp.StatusCode >= 500 || !slices.Contains(codes, found.Code) || !slices.Contains(codes, found.Error.Code) {
				t.Fatalf("%s %s %q: status %d, %s", c.method, path, body, resp.StatusCode, answer)
			}
			if resp.StatusCode >= 400 {
				refusals++
				if found.Code == 0 && found.Error.Code == 0 {
					t.Errorf("%s %s %q: a refusal without a code: %s", c.method, path, body, answer)
				}
			}
		}
	}
	if refusals < len(calls)*rounds/4 {
		t.Errorf("only %d of %d calls were refused: the test did not damage much", refusals, len(calls)*rounds)
	}
}

// oddities are what mutations put in.
var oddities = []string{
	"null", "true", "0", "-1", "1e400", "99999999999999999999", `""`, `" "`, "[]", "{}", "[[]]", `{"a":{"b":[null]}}`, `"\u0000"`, `"\ud800"`, "\xff", `"` + strings.Repeat("y", 5000) + `"`,
	"极光", "{", "}", "[", "]", ",", ":", `"`, "\\", "\x00", "\r\n", "--x--", "%00", "'", "9223372036854775808", `"2026-02-30 25:61:61"`,
}

// damageBody replaces, drops, doubles or inserts parts of a body.
func damageBody(dice *rand.Rand, body string) string {
	for range 1 + dice.IntN(3) {
		if body == "" {
			return oddities[dice.IntN(len(oddities))]
		}
		from := dice.IntN(len(body))
		to := min(from+dice.IntN(20), len(body))
		odd := oddities[dice.IntN(len(oddities))]
		switch dice.IntN(5) {
		case 0:
			body = body[:from] + body[to:]
		case 1:
			body = body[:from] + odd + body[to:]
		case 2:
			body = body[:to] + body[from:]
		case 3: // the value after a colon
			if at := strings.IndexByte(body[from:], ':'); at >= 0 {
				at += from + 1
				end := at + len(strings.TrimRight(strings.SplitN(body[at:], ",", 2)[0], "}] \n"))
				body = body[:at] + odd + body[end:]
			}
		default:
			body = body[:from] + string(rune(dice.IntN(0x3000))) + body[from:]
		}
	}
	return body
}

// damagePath damages the query or the last segment of a path, in ways that can be sent.
func damagePath(dice *rand.Rand, path string) string {
	odd := []string{"", "%00", "%FF", "a%2Fb", "..", strings.Repeat("z", 300), "%E6%9E%81", "-1", "0", "99999999999999999999", "&new_format=true", "%20"}[dice.IntN(12)]
	switch dice.IntN(4) {
	case 0:
		if at := strings.LastIndexAny(path, "=/"); at > len("/v3/") {
			return path[:at+1] + odd
		}
	case 1:
		if at := strings.IndexByte(path, '='); at > 0 {
			return fmt.Sprintf("%s=%s&%s", path[:at], odd, path[at+1:])
		}
	}
	return path
}
