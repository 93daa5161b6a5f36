package conformance

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"borealis/test/e2e"
)

// target is an app with one connected device, to which every push of a test is addressed.
type target struct {
	n      *e2e.Node
	app    e2e.Credentials
	rid    string
	device client
}

func newTarget(t testing.TB, n *e2e.Node) *target {
	t.Helper()
	app := n.NewApp(t)
	return (&target{n: n, app: app}).connect(t)
}

// connect registers and connects the device.
func (x *target) connect(t testing.TB) *target {
	t.Helper()
	d := x.n.Register(t, x.app, "android")
	x.rid, x.device = d.RegistrationID, newPaho3(t)
	if code := x.device.connect(t, credentials{url: x.n.MQTT, id: d.RegistrationID, user: x.app.Key, password: d.Secret}); code != 0 {
		t.Fatalf("CONNACK 0x%02X", code)
	}
	return x
}

// untouched checks that since the app was made only those pushes were accepted: the device gets them and then one more
// that is sent now, and the statistics count as many.
func (x *target) untouched(t testing.TB, accepted ...string) {
	t.Helper()
	accepted = append(accepted, push(t, x.n, x.app, alert("last", x.rid)))
	for _, want := range accepted {
		if m := next(t, x.device); idOf(t, m) != want {
			t.Errorf("the device got %s, want message %s", m.payload, want)
		}
	}
	awaitMessages(t, x.n, x.app, len(accepted))
}

// Pushes that are refused. None of them leaves a trace.
func TestRefusedPushes(t *testing.T) {
	n := start(t)
	x := newTarget(t, n)
	stranger := newTarget(t, n)
	change := func(name string, value any) request { return request{body: pushBody(x.rid, with(name, value))} }
	audience := func(name string, value any) request { return change("audience", with(name, value)) }
	option := func(name string, value any) request { return change("options", with(name, value)) }
	notify := func(platform, name string, value any) request {
		return change("notification", with(platform, with(name, value)))
	}
	text := func(s string) request { return request{body: s} }
	valid := `{"platform":"all","audience":{"registration_id":["` + x.rid + `"]},"notification":{"alert":"must not arrive"}}`
	long := strings.Repeat("x", 4001)

	t.Run("1002", func(t *testing.T) {
		refuse(t, n, x.app, map[string]refusal{
			"no body":                  {text(""), 400, 1002},
			"null":                     {text("null"), 400, 1002},
			"empty object":             {text("{}"), 400, 1002},
			"no platform":              {change("platform", nil), 400, 1002},
			"no audience":              {change("audience", nil), 400, 1002},
			"empty audience":           {change("audience", map[string]any{}), 400, 1002},
			"audience of empty lists":  {audience("tag", []string{}), 400, 1002},
			"no content":               {change("notification", nil), 400, 1002},
			"message without content":  {request{body: pushBody(x.rid, map[string]any{"notification": nil, "message": with("title", "t")})}, 400, 1002},
			"missing before unknown":   {text(`{"nonsense":1}`), 400, 1002},
			"validate without content": {request{path: "/v3/push/validate", body: pushBody(x.rid, with("notification", nil))}, 400, 1002},
		})
	})
	t.Run("1003 JSON", func(t *testing.T) {
		refuse(t, n, x.app, map[string]refusal{
			"truncated":            {text(valid[:len(valid)-1]), 400, 1003},
			"truncated in a text":  {text(valid[:len(valid)-6]), 400, 1003},
			"two documents":        {text(valid + valid), 400, 1003},
			"no JSON":              {text("platform=all&audience=all"), 400, 1003},
			"an array":             {text("[1]"), 400, 1003},
			"a number":             {text("5"), 400, 1003},
			"a text":               {text(`"all"`), 400, 1003},
			"invalid UTF-8":        {text(strings.Replace(valid, "must", "m\xffst", 1)), 400, 1003},
			"UTF-8 of a surrogate": {text(strings.Replace(valid, "must", "m\xed\xa0\x80st", 1)), 400, 1003},
			"half a surrogate":     {text(strings.Replace(valid, "must", `m\ud800st`, 1)), 400, 1003},
			"bare control":         {text(strings.Replace(valid, "must", "m\x01st", 1)), 400, 1003},
			"nested without end":   {text(strings.Repeat(`{"platform":`, 50_000)), 400, 1003},
			"nested deeply":        {text(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)), 400, 1003},
		})
	})
	t.Run("1003 types and values", func(t *testing.T) {
		refuse(t, n, x.app, map[string]refusal{
			"platform a number":           {change("platform", 7), 400, 1003},
			"platform unknown":            {change("platform", "symbian"), 400, 1003},
			"platform partly unknown":     {change("platform", []string{"android", "symbian"}), 400, 1003},
			"audience another text":       {change("audience", "everybody"), 400, 1003},
			"audience a number":           {change("audience", 5), 400, 1003},
			"audience a list":             {change("audience", []string{x.rid}), 400, 1003},
			"tag a text":                  {audience("tag", "a"), 400, 1003},
			"tag a number":                {audience("tag", []int{1}), 400, 1003},
			"tag empty":                   {audience("tag", []string{""}), 400, 1003},
			"tag of 41 bytes":             {audience("tag", []string{strings.Repeat("a", 41)}), 400, 1003},
			"tag with a space":            {audience("tag", []string{"a b"}), 400, 1003},
			"21 tags":                     {audience("tag", many(21)), 400, 1003},
			"21 tag_and":                  {audience("tag_and", many(21)), 400, 1003},
			"21 tag_not":                  {audience("tag_not", many(21)), 400, 1003},
			"1,001 aliases":               {audience("alias", many(1001)), 400, 1003},
			"1,001 registration ids":      {audience("registration_id", many(1001)), 400, 1003},
			"malformed registration id":   {audience("registration_id", []string{"zzz"}), 400, 1003},
			"two segments":                {audience("segment", []string{"a", "b"}), 400, 1003},
			"live activity and a tag":     {change("audience", map[string]any{"live_activity_id": "x", "tag": []string{"a"}}), 400, 1003},
			"notification a text":         {change("notification", "hello"), 400, 1003},
			"alert a number":              {change("notification", with("alert", 5)), 400, 1003},
			"android a text":              {change("notification", with("android", "hello")), 400, 1003},
			"extras a text":               {notify("android", "extras", "x"), 400, 1003},
			"priority a text":             {notify("android", "priority", "high"), 400, 1003},
			"message a text":              {change("message", "hello"), 400, 1003},
			"options a number":            {change("options", 5), 400, 1003},
			"negative time_to_live":       {option("time_to_live", -1), 400, 1003},
			"time_to_live a word":         {option("time_to_live", "soon"), 400, 1003},
			"time_to_live a fraction":     {option("time_to_live", 1.5), 400, 1003},
			"time_to_live an object":      {option("time_to_live", map[string]any{"a": 1}), 400, 1003},
			"sendno a word":               {option("sendno", "first"), 400, 1003},
			"override of nothing":         {option("override_msg_id", 1), 400, 1003},
			"override a word":             {option("override_msg_id", "abc"), 400, 1003},
			"big_push_duration too long":  {option("big_push_duration", 1401), 400, 1003},
			"apns_production a word":      {option("apns_production", "maybe"), 400, 1003},
			"apns_collapse_id too long":   {option("apns_collapse_id", strings.Repeat("x", 65)), 400, 1003},
			"cid of another app":          {change("cid", stranger.app.Key+"-1"), 400, 1003},
			"cid without a dash":          {change("cid", x.app.Key), 400, 1003},
			"cid a number":                {change("cid", 5), 400, 1003},
			"notification_3rd alone":      {change("notification_3rd", with("content", "x")), 400, 1003},
			"live activity, notification": {change("live_activity", with("ios", map[string]any{"event": "update", "content-state": with("a", 1)})), 400, 1003},
			"type before missing":         {text(`{"audience":5}`), 400, 1003},
		})
	})
	t.Run("1005", func(t *testing.T) {
		refuse(t, n, x.app, map[string]refusal{
			"android":                {notify("android", "alert", long), 400, 1005},
			"general alert":          {change("notification", with("alert", long)), 400, 1005},
			"message":                {change("message", with("msg_content", long)), 400, 1005},
			"android with message":   {request{body: pushBody(x.rid, map[string]any{"notification": with("alert", long[:2500]), "message": with("msg_content", long[:2500])})}, 400, 1005},
			"ios":                    {notify("ios", "alert", long[:3600]), 400, 1005},
			"body of 1 MiB and more": {text(`{"platform":"` + strings.Repeat("x", 1<<20) + `"}`), 400, 1005},
			"body of 5 MiB":          {text(`{"platform":"` + strings.Repeat("x", 5<<20) + `"}`), 400, 1005},
			"body of unknown length": {request{body: `{"platform":"` + strings.Repeat("x", 3<<20) + `"}`, chunked: true}, 400, 1005},
		})
	})
	t.Run("1009", func(t *testing.T) {
		refuse(t, n, x.app, map[string]refusal{
			"in the push":         {change("notifications", map[string]any{}), 400, 1009},
			"in the audience":     {change("audience", map[string]any{"registration_id": []string{x.rid}, "tags": []string{"a"}}), 400, 1009},
			"in the notification": {change("notification", map[string]any{"alert": "x", "adnroid": map[string]any{}}), 400, 1009},
			"in android":          {change("notification", with("android", map[string]any{"alert": "x", "build_id": 1})), 400, 1009},
			"in ios":              {change("notification", map[string]any{"alert": "x", "ios": with("content_available", true)}), 400, 1009},
			"in the message":      {change("message", map[string]any{"msg_content": "x", "content": "y"}), 400, 1009},
			"before the size":     {request{body: pushBody(x.rid, map[string]any{"nonsense": 1, "message": with("msg_content", long)})}, 400, 1009},
		})
	})
	t.Run("1011", func(t *testing.T) {
		refuse(t, n, x.app, map[string]refusal{
			"unknown alias":           {audience("alias", []string{"nobody"}), 400, 1011},
			"unknown tag":             {audience("tag", []string{"nothing"}), 400, 1011},
			"unknown registration id": {audience("registration_id", []string{strings.Repeat("0", 20)}), 400, 1011},
			"another app's device":    {audience("registration_id", []string{stranger.rid}), 400, 1011},
			"unknown segment":         {audience("segment", []string{"1"}), 400, 1011},
			"another platform":        {change("platform", []string{"ios"}), 400, 1011},
			"validate":                {request{path: "/v3/push/validate", body: pushBody("", with("audience", with("alias", []string{"nobody"})))}, 400, 1011},
		})
	})
	t.Run("1035", func(t *testing.T) {
		refuse(t, n, x.app, map[string]refusal{
			"active_push with a message": {request{body: pushBody(x.rid, map[string]any{"message": with("msg_content", "x"), "options": with("active_push", true)})}, 400, 1035},
		})
	})
	t.Run("cid call", func(t *testing.T) {
		for _, query := range []string{"count=0", "count=1001", "count=-1", "count=x", "type=other"} {
			refuse(t, n, x.app, map[string]refusal{query: {request{method: http.MethodGet, path: "/v3/push/cid?" + query}, 400, 1003}})
		}
	})
	x.untouched(t)
	stranger.untouched(t)
}

// Calls without credentials, or with wrong ones, in the codes of the API that is called.
func TestRefusedCredentials(t *testing.T) {
	n := start(t)
	x := newTarget(t, n)
	other := n.NewApp(t)
	encode := base64.StdEncoding.EncodeToString
	type codes struct{ absent, unknown, unknownStatus, wrong int }
	for name, family := range map[string]struct {
		codes
		calls []request
	}{
		"push": {codes{1004, 1008, 400, 1004}, []request{
			{body: pushBody(x.rid, nil)},
			{body: "{"}, // before the body is looked at
			{path: "/v3/push/validate", body: pushBody(x.rid, nil)},
			{method: http.MethodGet, path: "/v3/push/cid"},
			{method: http.MethodGet, path: "/v3/push/quota"},
			// These four have the flat envelope.
			{path: "/v3/push/template", body: with("id", "t")},
			{path: "/v3/push/template/schedule/", body: "{"},
			{path: "/v3/push_plan/create", body: with("name", "n")},
			{method: http.MethodGet, path: "/v3/push_plan/list"},
		}},
		"device": {codes{7001, 7008, 400, 7004}, []request{
			{method: http.MethodGet, path: "/v3/devices/" + x.rid},
			{path: "/v3/devices/" + x.rid, body: with("alias", "a")},
			{path: "/v3/devices/status", body: with("registration_ids", []string{x.rid})},
			{method: http.MethodGet, path: "/v3/tags"},
			{method: http.MethodGet, path: "/v3/tags/a/registration_ids/" + x.rid},
			{path: "/v3/tags/a", body: with("registration_ids", with("add", []string{x.rid}))},
			{method: http.MethodDelete, path: "/v3/tags/a"},
			{method: http.MethodGet, path: "/v3/aliases/a"},
			{path: "/v3/aliases/a", body: with("registration_ids", with("remove", []string{x.rid}))},
			{method: http.MethodDelete, path: "/v3/aliases/a"},
		}},
		"report": {codes{3001, 3001, 401, 3001}, []request{
			{method: http.MethodGet, path: "/v3/received?msg_ids=1"},
			{method: http.MethodGet, path: "/v3/received/detail?msg_ids=1"},
			{path: "/v3/status/message", body: map[string]any{"msg_id": 1, "registration_ids": []string{x.rid}}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for authorization, want := range map[string]struct{ status, code int }{
				"":                                    {401, family.absent},
				"Bearer token":                        {401, family.absent},
				"Basic !!!":                           {401, family.absent},
				"Basic " + encode([]byte("no colon")): {401, family.absent},
				basic(e2e.Credentials{Key: strings.Repeat("x", 24)}):               {family.unknownStatus, family.unknown},
				basic(e2e.Credentials{Key: "x", Secret: x.app.Secret}):             {family.unknownStatus, family.unknown},
				basic(e2e.Credentials{Key: x.app.Key}):                             {401, family.wrong},
				basic(e2e.Credentials{Key: x.app.Key, Secret: other.Secret}):       {401, family.wrong},
				basic(e2e.Credentials{Key: x.app.Key, Secret: x.app.Secret + "x"}): {401, family.wrong},
				basic(e2e.Credentials{Key: x.app.Key, Secret: x.app.Key}):          {401, family.wrong},
				basic(e2e.Credentials{Key: x.app.Secret, Secret: x.app.Key}):       {family.unknownStatus, family.unknown},
			} {
				for _, call := range family.calls {
					call.header = map[string]string{"Authorization": authorization}
					if a := send(t, n, x.app, call); a.status != want.status || a.code != want.code {
						t.Errorf("%s %s as %q: status %d, %s; want status %d, code %d",
							call.method, cmp.Or(call.path, "/v3/push"), authorization, a.status, a.body, want.status, want.code)
					}
				}
			}
		})
	}
	if profile := send(t, n, x.app, request{method: http.MethodGet, path: "/v3/devices/" + x.rid}).object(t); profile["alias"] != "" {
		t.Errorf("a refused call changed the device: %v", profile)
	}
	x.untouched(t)
}

// Report calls that are refused.
func TestRefusedReports(t *testing.T) {
	n := start(t)
	x := newTarget(t, n)
	cases := map[string]refusal{
		"status of no message":    {request{path: "/v3/status/message", body: with("registration_ids", []string{x.rid})}, 400, 1002},
		"status of no device":     {request{path: "/v3/status/message", body: with("msg_id", 1)}, 400, 1002},
		"status without a body":   {request{path: "/v3/status/message"}, 400, 1002},
		"status of 1,001 devices": {request{path: "/v3/status/message", body: map[string]any{"msg_id": 1, "registration_ids": many(1001)}}, 400, 1003},
		"status of a word":        {request{path: "/v3/status/message", body: map[string]any{"msg_id": "abc", "registration_ids": []string{x.rid}}}, 400, 1003},
		"status with a bad date":  {request{path: "/v3/status/message", body: map[string]any{"msg_id": 1, "registration_ids": []string{x.rid}, "date": "yesterday"}}, 400, 1003},
		"status truncated":        {request{path: "/v3/status/message", body: `{"msg_id":1`}, 400, 1003},
	}
	for _, path := range []string{"/v3/received", "/v3/received/detail"} {
		cases[path+" of nothing"] = refusal{request{method: http.MethodGet, path: path}, 400, 1002}
		cases[path+" of a word"] = refusal{request{method: http.MethodGet, path: path + "?msg_ids=1,abc"}, 400, 1003}
		cases[path+" of 101"] = refusal{request{method: http.MethodGet, path: path + "?msg_ids=" + strings.Repeat("1,", 100) + "1"}, 400, 1003}
	}
	refuse(t, n, x.app, cases)
	for _, path := range []string{"/v3/received", "/v3/received/detail"} {
		a := send(t, n, x.app, request{method: http.MethodGet, path: path + "?msg_ids=1,99999999999999999999"})
		if a.status != http.StatusOK || string(a.body) != "[]" {
			t.Errorf("%s of messages nobody has: status %d, %s", path, a.status, a.body)
		}
	}
}

// A registration that is refused stores nothing. Its answers are problem documents.
func TestRefusedRegistrations(t *testing.T) {
	n := start(t)
	app := n.NewApp(t)
	body := func(change map[string]any) map[string]any {
		out := map[string]any{"app_key": app.Key, "platform": "android", "install_id": "0f8fad5b-d9cb-469f-a165-70867728950e"}
		for name, value := range change {
			out[name] = value
			if value == nil {
				delete(out, name)
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		body     any
		statuses []int
	}{
		"unknown AppKey":       {body(with("app_key", strings.Repeat("x", 24))), []int{404}},
		"no AppKey":            {body(with("app_key", nil)), []int{404, 422}},
		"no platform":          {body(with("platform", nil)), []int{422}},
		"unknown platform":     {body(with("platform", "symbian")), []int{422}},
		"platform a number":    {body(with("platform", 1)), []int{422}},
		"install_id too short": {body(with("install_id", "x")), []int{422}},
		"identity not its own": {body(map[string]any{"registration_id": strings.Repeat("0", 20), "secret": "x"}), []int{401}},
		"truncated":            {`{"app_key":"` + app.Key, []int{400, 422}},
		"invalid UTF-8":        {`{"app_key":"` + app.Key + `","platform":"android","package":"` + "\xff" + `"}`, []int{400, 422}},
		"no body":              {"", []int{400, 422}},
		"an array":             {"[]", []int{400, 422}},
		"too large":            {body(with("package", strings.Repeat("x", 2<<20))), []int{413, 422}},
	} {
		t.Run(name, func(t *testing.T) {
			var problem struct {
				Status int    `json:"status"`
				Title  string `json:"title"`
			}
			status := n.Call(t, e2e.Credentials{}, http.MethodPost, "/device/v1/register", c.body, &problem)
			for _, want := range c.statuses {
				if status == want && problem.Status == want && problem.Title != "" {
					return
				}
			}
			t.Errorf("status %d, problem %+v, want %v", status, problem, c.statuses)
		})
	}
	n.Register(t, app, "android")
	e2e.Eventually(t, "the device is counted", func() error {
		if counts(t, n, app).Devices == 0 {
			return errors.New("none is")
		}
		return nil
	})
	if got := counts(t, n, app).Devices; got != 1 {
		t.Errorf("%d devices are counted, one registered", got)
	}
}
