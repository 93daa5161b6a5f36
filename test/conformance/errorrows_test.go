package conformance

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"borealis/internal/app"
	"borealis/internal/platform/account/apns/apnstest"
	"borealis/test/e2e"
)

// errorTarget is what the rows of the table call: an app of a developer, with a device, in a group.
type errorTarget struct {
	n   *e2e.Node
	app e2e.Credentials
	rid string
	// developer owns app, of package com.example.a; others is another developer.
	developer, others, group e2e.Credentials
}

func newErrorTarget(t *testing.T) *errorTarget {
	t.Helper()
	x := &errorTarget{n: start(t)}
	developer := func(name string) e2e.Credentials {
		var d app.AdminDeveloper
		x.n.Admin(t, http.MethodPost, "/developers", with("name", name), &d)
		return e2e.Credentials{Key: d.DevKey, Secret: d.DevSecret}
	}
	x.developer, x.others = developer("one"), developer("two")
	x.app = x.newApp(t, "a")
	var group app.AdminGroup
	x.n.Admin(t, http.MethodPost, "/groups", app.AdminGroupRequest{DevKey: x.developer.Key, Name: "group", Apps: []string{x.app.Key}}, &group)
	x.group = e2e.Credentials{Key: "group-" + group.GroupKey, Secret: group.MasterSecret}
	d := x.n.Register(t, x.app, "android")
	join(t, x.n, x.app, d)
	x.rid = d.RegistrationID
	return x
}

// newApp makes an app of the developer, by the package of its name.
func (x *errorTarget) newApp(t *testing.T, name string) e2e.Credentials {
	t.Helper()
	made := send(t, x.n, x.developer, request{path: "/v1/app", body: map[string]any{"app_name": name, "android_package": "com.example." + name}}).object(t)
	key, _ := made["app_key"].(string)
	secret, _ := made["master_secret"].(string)
	return e2e.Credentials{Key: key, Secret: secret}
}

// errorRows are the rows of the table, by API and code.
func errorRows(t *testing.T) map[string]map[int]row {
	x, broken := newErrorTarget(t), newErrorTarget(t)
	broken.n.Damage(t, "push_message", "device_device", "push_schedule_app", "account_app")
	return map[string]map[int]row{
		"push": x.pushRows(t, broken), "device": x.deviceRows(broken), "report": x.reportRows(broken), "schedule": x.scheduleRows(broken),
		"admin": x.adminRows(t, broken),
	}
}

// row is a call as the app.
func (x *errorTarget) row(r request) row { return row{request: r, n: x.n, as: x.app} }

func get(path string) request { return request{method: http.MethodGet, path: path} }

// wrong are the credentials c with another secret.
func wrong(c e2e.Credentials) e2e.Credentials {
	return e2e.Credentials{Key: c.Key, Secret: strings.Repeat("x", 24)}
}

var stranger = e2e.Credentials{Key: strings.Repeat("x", 24), Secret: strings.Repeat("x", 24)}

// under is the row with settings of the app for the time of the call.
func (r row) under(name, value string) row {
	r.set = map[string]string{name: value}
	return r
}

// by is the row with other credentials.
func (r row) by(c e2e.Credentials) row {
	r.as = c
	return r
}

// after is the row with something to be done before.
func (r row) after(prepare func(t *testing.T)) row {
	r.prepare = prepare
	return r
}

func (x *errorTarget) pushRows(t *testing.T, broken *errorTarget) map[int]row {
	push := func(change map[string]any) row { return x.row(request{body: pushBody(x.rid, change)}) }
	option := func(name string, value any) row { return push(with("options", with(name, value))) }
	all := push(with("audience", "all"))
	// The 21st at a time: the app and its device are there for no other row.
	paced := x.newApp(t, "paced")
	d := x.n.Register(t, paced, "android")
	join(t, x.n, paced, d)
	slow := request{body: pushBody(d.RegistrationID, with("options", with("big_push_duration", 1400)))}
	return map[int]row{
		1000: broken.row(request{body: pushBody(broken.rid, nil)}),
		1001: x.row(request{method: http.MethodPut, body: pushBody(x.rid, nil)}),
		1002: push(with("platform", nil)),
		1003: option("time_to_live", -1),
		1004: push(nil).by(wrong(x.app)),
		1005: push(with("message", with("msg_content", strings.Repeat("x", 4001)))),
		1008: push(nil).by(stranger),
		1009: push(with("nonsense", 1)),
		1011: push(with("audience", with("alias", []string{"nobody"}))),
		1012: x.row(slow).by(paced).after(func(t *testing.T) {
			for range 20 {
				send(t, x.n, paced, slow).object(t)
			}
		}),
		1020: x.row(request{path: "/v3/nothing", body: pushBody(x.rid, nil)}),
		1030: {why: "a full disk, or a time limit of ours", file: "internal/service/push/recovery_test.go", test: "TestFullDiskRefusesPushes"},
		1035: push(map[string]any{"options": with("active_push", true), "message": with("msg_content", "x")}),
		1105: x.row(get("/v3/files")).by(x.developer),
		2002: push(nil).under("push_rate", "1").after(func(t *testing.T) { send(t, x.n, x.app, request{body: pushBody(x.rid, nil)}).object(t) }),
		2003: push(nil).under("state", "disabled"),
		2004: push(nil).under("ip_allow", "10.0.0.0/8"),
		2005: {why: "an app has 5,000 images first", file: "internal/service/push/image/image_test.go", test: "TestAnAppHasSoManyImages"},
		2006: x.row(get("/v3/messages?msg_ids=1")).under("paid_calls", "false"),
		2007: x.row(request{path: "/v3/grouppush/file", body: pushBody("", with("audience", with("file", with("file_id", "f"))))}).by(x.group),
		2008: all.under("broadcast_cap", "1").after(func(t *testing.T) { send(t, x.n, x.app, all.request).object(t) }),
	}
}

func (x *errorTarget) deviceRows(broken *errorTarget) map[int]row {
	device := x.row(request{path: "/v3/devices/" + x.rid, body: with("alias", "ann")})
	return map[int]row{
		2002: device.under("device_rate", "1").after(func(t *testing.T) { send(t, x.n, x.app, get("/v3/tags")).object(t) }),
		2003: device.under("state", "disabled"),
		7000: broken.row(get("/v3/devices/" + broken.rid)),
		7001: device.by(e2e.Credentials{}).headed("Authorization", ""),
		7002: x.row(request{path: "/v3/devices/nobody", body: with("alias", "ann")}),
		7004: device.by(wrong(x.app)),
		7008: device.by(stranger),
		7013: x.row(request{path: "/v3/tags/beta", body: with("registration_ids", with("add", []string{x.rid, "nobody"}))}),
		7015: device.under("alias_devices", "1").after(func(t *testing.T) {
			d := x.n.Register(t, x.app, "android")
			send(t, x.n, x.app, request{path: "/v3/devices/" + d.RegistrationID, body: with("alias", "ann")}).object(t)
		}),
		7030: {why: "a time limit of the caller's, or a server that is going down", file: "internal/engine/device/compat_test.go", test: "TestBusyIsToldInTheVendorsCode"},
	}
}

func (x *errorTarget) reportRows(broken *errorTarget) map[int]row {
	report := x.row(get("/v3/received?msg_ids=1"))
	return map[int]row{
		10:   broken.row(report.request),
		2003: report.under("state", "suspended"),
		3001: report.by(wrong(x.app)),
		3004: x.row(get("/v3/users?time_unit=DAY&start=2026-01&duration=1")),
		3005: x.row(get("/v3/users?time_unit=DAY&start=2020-01-01&duration=1")),
	}
}

func (x *errorTarget) scheduleRows(broken *errorTarget) map[int]row {
	const path = "/v3/schedules"
	plan := func(trigger any) map[string]any {
		return map[string]any{"name": "n", "enabled": true, "trigger": trigger, "push": pushBody(x.rid, nil)}
	}
	past := with("single", with("time", "2020-01-01 00:00:00"))
	return map[int]row{
		8100: x.row(request{path: path, body: plan(past)}),
		8101: x.row(request{path: path, body: plan(past)}).by(wrong(x.app)),
		8104: x.row(request{method: http.MethodPut, path: path + "/0d5f7c1a-2b3e-4c5d-8e9f-a1b2c3d4e5f6", body: with("enabled", false)}),
		8200: broken.row(get(path)),
		8203: {why: "a time limit of the caller's, or a server that is going down", file: "internal/service/push/schedule/compat_test.go", test: "TestTimeoutIsToldInTheVendorsCode"},
	}
}

func (x *errorTarget) adminRows(t *testing.T, broken *errorTarget) map[int]row {
	admin := func(path string, body any) row { return x.row(request{path: path, body: body}).by(x.developer) }
	create := admin("/v1/app", map[string]any{"app_name": "n", "android_package": "com.example.n"})
	certificate := apnstest.File(t, apnstest.Options{Topic: "com.example.a", NotAfter: time.Now().Add(time.Hour)}, "secret")
	upload := func(file []byte) row {
		kind, body := certificateForm(t, file)
		return admin("/v1/app/"+x.app.Key+"/certificate", body).headed("Content-Type", kind)
	}
	sanctioned := x.newApp(t, "sanctioned")
	return map[int]row{
		10:   broken.row(create.request).by(broken.developer),
		1010: upload(certificate).after(func(t *testing.T) { send(t, x.n, x.developer, upload(certificate).request).object(t) }),
		1012: upload([]byte("no certificate")),
		1013: admin("/v1/app/"+strings.Repeat("x", 24)+"/delete", nil),
		1014: upload(nil),
		1015: admin("/v1/app/"+sanctioned.Key+"/delete", nil).after(func(t *testing.T) {
			(&target{n: x.n, app: sanctioned}).set(t, "state", "suspended")
		}),
		4001: x.row(get("/v1/app")).by(x.developer),
		4002: admin("/v1/app", map[string]any{"app_name": "", "android_package": "com.example.n"}),
		4003: admin("/v1/app", map[string]any{"app_name": "n", "android_package": "no package"}),
		4004: create.by(stranger),
		4005: create.by(wrong(x.developer)),
		4006: create.headed("Authorization", "Basic !!!"),
		4007: admin("/v1/app/"+x.app.Key+"/delete", nil).by(x.others),
	}
}

// headed is the row with a header.
func (r row) headed(name, value string) row {
	r.header = map[string]string{name: value}
	return r
}

// certificateForm is an upload of a certificate, nil: of none.
func certificateForm(t *testing.T, file []byte) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	err := form.WriteField("devCertificatePassword", "secret")
	if err == nil && file != nil {
		part, partErr := form.CreateFormFile("devCertificateFile", "dev.p12")
		if err = partErr; err == nil {
			_, err = part.Write(file)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return form.FormDataContentType(), b.String()
}
