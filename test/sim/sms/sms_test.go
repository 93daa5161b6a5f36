package sms_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	provider "borealis/internal/engine/channel/sms"
	"borealis/internal/engine/channel/sms/generic"
	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/phone"
	"borealis/test/sim/sms"
)

// service is what the three have in common.
type service interface {
	phone.Simulator
	SetBalance(int)
}

type world struct {
	sim      service
	phones   *phone.Network
	faults   *phone.Faults
	clock    *clock.Fake
	url      string
	provider smswire.Provider
	creds    smswire.Credentials
}

var names = []string{provider.Aliyun, provider.Tencent, provider.Generic}

func newWorld(t *testing.T, name string) *world {
	t.Helper()
	now := clock.NewFake(time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC))
	w := &world{phones: phone.NewNetwork(now), faults: new(phone.Faults), clock: now}
	d := phone.Deps{Phones: w.phones, Faults: w.faults, Clock: now}
	gateway := sms.NewGateway(d)
	w.sim = map[string]service{provider.Aliyun: sms.NewAliyun(d), provider.Tencent: sms.NewTencent(d), provider.Generic: gateway}[name]
	server := httptest.NewServer(w.sim)
	t.Cleanup(server.Close)
	w.url = server.URL
	var description generic.Config
	if err := json.Unmarshal(gateway.Description(server.URL), &description); err != nil {
		t.Fatal(err)
	}
	var err error
	w.provider, err = provider.New(name, provider.Deps{Deps: wire.Deps{BaseURL: server.URL, Clock: now}, Gateway: &description})
	if err != nil {
		t.Fatal(err)
	}
	if w.creds, err = w.provider.Parse(w.sim.Credentials()); err != nil {
		t.Fatal(err)
	}
	if w.sim.Channel() != "sms_"+name {
		t.Fatalf("channel %s", w.sim.Channel())
	}
	return w
}

func code(id, mobile string) smswire.Message {
	return smswire.Message{ID: id, Mobile: mobile, Template: 1, Parameters: map[string]string{"code": "4711 & 中", "minutes": "5"}}
}

func news(id, mobile string) smswire.Message {
	return smswire.Message{ID: id, Mobile: mobile, Template: 2}
}

// send makes as many Sends as the provider's batch needs.
func (w *world) send(t *testing.T, messages ...smswire.Message) []wire.Outcome {
	t.Helper()
	var outcomes []wire.Outcome
	for some := range slices.Chunk(messages, w.provider.Traits().Batch) {
		outcomes = append(outcomes, w.provider.Send(t.Context(), w.creds, some)...)
	}
	return outcomes
}

func (w *world) got(number string) []phone.Notification {
	p, _ := w.phones.Find("sms", number)
	return p.Got
}

func TestEverythingTheProvidersSendIsTakenAndArrives(t *testing.T) {
	t.Parallel()
	for _, name := range names {
		w := newWorld(t, name)
		numbers := []string{"+8613800138000", "+8613800138001", "+85291234567", "+13105550123", "+4915112345678"}
		for _, n := range numbers {
			w.phones.Add("sms", n)
		}
		check := func(step, id, body, data string, outcomes []wire.Outcome, numbers ...string) {
			for i, n := range numbers {
				got := w.got(n)
				if outcomes[i].Status != wire.Accepted || outcomes[i].VendorID == "" || len(got) == 0 {
					t.Errorf("%s, %s: %s: %+v, got %v", name, step, n, outcomes[i], got)
					continue
				}
				last := got[len(got)-1]
				if last.Body != body || (data != "") != strings.Contains(string(last.Data), `"4711`) || id != "" && last.ID != id {
					t.Errorf("%s, %s: %s got %+v", name, step, n, last)
				}
			}
		}
		const text = "您的验证码是4711 & 中,5分钟内有效。"
		check("one with parameters", "1", text, "yes", w.send(t, code("1", numbers[0])), numbers[0])
		w.clock.Advance(2 * time.Hour)
		check("one without", "2", "您有一条新消息。", "", w.send(t, news("2", numbers[0])), numbers[0])
		w.clock.Advance(2 * time.Hour)
		all := make([]smswire.Message, len(numbers))
		for i, n := range numbers {
			all[i] = code("3", n)
		}
		check("many", "", text, "yes", w.send(t, all...), numbers...)
		w.clock.Advance(2 * time.Hour)
		other := news("4", numbers[0])
		other.Sign = 1
		check("another signature", "4", "您有一条新消息。", "", w.send(t, other), numbers[0])
		if got := w.got(numbers[0]); got[len(got)-1].Title != "另一个" || got[0].Title != "仿真" {
			t.Errorf("%s: signatures %+v", name, got)
		}
		if o := w.send(t, news("5", "+8613800138009")); o[0].Status != wire.Accepted {
			t.Errorf("%s: a number without a phone: %+v", name, o)
		}
	}
}

func TestNumbersOfABatchFailAlone(t *testing.T) {
	t.Parallel()
	for _, name := range names {
		w := newWorld(t, name)
		a, b, silent := w.phones.Add("sms", "+8613800138000"), w.phones.Add("sms", "+8613800138001"), w.phones.Add("sms", "+8613800138002")
		w.phones.SetState("sms", silent, phone.Silent)
		if o := w.send(t, news("1", a)); o[0].Status != wire.Accepted {
			t.Fatalf("%s: %+v", name, o)
		}
		o := w.send(t, news("2", a), news("2", b), news("2", silent), news("2", "123"))
		want := []wire.Status{wire.Quota, wire.Accepted, wire.Silenced, wire.Invalid}
		if name == provider.Aliyun { // which does not say whose owner wants none
			want[2] = wire.Accepted
		}
		for i := range o {
			if o[i].Status != want[i] {
				t.Errorf("%s, number %d: %+v", name, i, o[i])
			}
		}
		if len(w.got(b)) != 1 {
			t.Errorf("%s: %d arrived", name, len(w.got(b)))
		}
	}
}

func TestFlowLimitsEndWhenTheOutcomeSaysSo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{provider.Aliyun, provider.Tencent} {
		w := newWorld(t, name)
		a := w.phones.Add("sms", "+8613800138000")
		refused := 0
		for len(w.got(a)) < 11 {
			o := w.send(t, news("1", a))[0]
			if o.Status == wire.Accepted {
				continue
			}
			if refused++; o.Status != wire.Quota || o.After <= 0 || refused > 30 {
				t.Fatalf("%s: %+v", name, o)
			}
			w.clock.Advance(o.After)
		}
		if w.clock.Now().Before(time.Date(2026, 3, 5, 16, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: eleven on one day", name)
		}
	}
}

func TestAnEmptyBalanceIsTheAccountsFault(t *testing.T) {
	t.Parallel()
	for _, name := range names {
		w := newWorld(t, name)
		w.sim.SetBalance(0)
		for i, o := range w.send(t, news("1", "+8613800138000"), news("1", "+8613800138001")) {
			if o.Status != wire.Denied {
				t.Errorf("%s, number %d: %+v", name, i, o)
			}
		}
	}
}

func TestTheGatewayDropsARepetitionOnlyOfWhatItTook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, provider.Generic)
	a := w.phones.Add("sms", "+8613800138000")
	w.sim.SetBalance(0)
	w.send(t, news("1", a))
	w.sim.SetBalance(9)
	for range 3 {
		if o := w.send(t, news("1", a)); o[0].Status != wire.Accepted {
			t.Fatalf("%+v", o)
		}
	}
	if len(w.got(a)) != 1 {
		t.Errorf("%d arrived", len(w.got(a)))
	}
}

func TestEveryFaultIsUnderstood(t *testing.T) {
	t.Parallel()
	both := map[string]wire.Status{"cut": wire.Unknown, "html": wire.Unknown, "http_500": wire.Failed, "http_503": wire.Failed}
	for name, want := range map[string]map[string]wire.Status{
		provider.Aliyun: {
			"throttled": wire.Limited, "arrears": wire.Denied, "balance": wire.Denied, "template": wire.Rejected, "signature": wire.Rejected, "number": wire.Invalid,
			"minute": wire.Quota, "day": wire.Quota, "permission": wire.Denied, "system": wire.Failed, "key": wire.Denied, "nonce": wire.Failed,
			"unavailable": wire.Failed,
		},
		provider.Tencent: {
			"throttled": wire.Limited, "expired": wire.Denied, "secret": wire.Denied, "permission": wire.Denied, "internal": wire.Failed, "app": wire.Denied,
			"balance": wire.Denied, "template": wire.Rejected, "signature": wire.Rejected, "blacklist": wire.Silenced, "night": wire.Quota,
			"sensitive": wire.Rejected, "number": wire.Invalid, "frequency": wire.Limited, "half_minute": wire.Quota, "same_content": wire.Quota,
			"app_day": wire.Quota, "timeout": wire.Failed,
		},
		provider.Generic: {
			"bad_number": wire.Invalid, "bad_key": wire.Denied, "no_credit": wire.Denied, "too_many": wire.Quota, "slow_down": wire.Limited,
			"opted_out": wire.Silenced, "bad_template": wire.Rejected, "down": wire.Failed,
		},
	} {
		w := newWorld(t, name)
		faults := w.sim.FaultNames()
		if len(faults) != len(want)+len(both) {
			t.Errorf("%s: %d faults, %d are tried", name, len(faults), len(want)+len(both))
		}
		for _, fault := range faults {
			status, known := want[fault]
			if !known {
				status = both[fault]
			}
			w.faults.Next(fault)
			if o := w.send(t, news("1", "+8613800138000")); o[0].Status != status {
				t.Errorf("%s, %s: %+v, want %v", name, fault, o[0], status)
			}
		}
	}
}

// recorded is a transport that keeps the last request and sends it on.
type recorded struct {
	request *http.Request
	body    string
}

func (r *recorded) RoundTrip(request *http.Request) (*http.Response, error) {
	body := ""
	if request.Body != nil {
		text, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		body = string(text)
		request.Body = io.NopCloser(strings.NewReader(body))
	}
	r.request, r.body = request.Clone(request.Context()), body
	return http.DefaultTransport.RoundTrip(request)
}

// again sends the recorded request once more, with a change, and has its answer.
func (r *recorded) again(t *testing.T, change func(*http.Request, *string)) string {
	t.Helper()
	request, body := r.request.Clone(t.Context()), r.body
	request.RequestURI = ""
	change(request, &body)
	request.Body, request.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	resp, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func record(t *testing.T, w *world, m smswire.Message) *recorded {
	t.Helper()
	var r recorded
	p, err := provider.New(w.provider.Traits().Name, provider.Deps{Deps: wire.Deps{BaseURL: w.url, Clock: w.clock, Transport: &r}})
	if err != nil {
		t.Fatal(err)
	}
	if o := p.Send(t.Context(), w.creds, []smswire.Message{m}); o[0].Status != wire.Accepted {
		t.Fatalf("%+v", o)
	}
	return &r
}

func header(name, value string) func(*http.Request, *string) {
	return func(r *http.Request, _ *string) { r.Header.Set(name, value) }
}

func replace(name, old, with string) func(*http.Request, *string) {
	return func(r *http.Request, _ *string) {
		r.Header.Set(name, strings.Replace(r.Header.Get(name), old, with, 1))
	}
}

func TestAliyunRefusesWhatIsNotSignedOrNotNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, provider.Aliyun)
	r := record(t, w, news("1", "+8613800138000"))
	for code, changes := range map[string][]func(*http.Request, *string){
		"SignatureNonceUsed": {func(*http.Request, *string) {}},
		"SignatureDoesNotMatch": {
			header("X-Acs-Signature-Nonce", "other"), func(r *http.Request, _ *string) { r.URL.RawQuery += "&OutId2=7" },
			func(_ *http.Request, body *string) { *body = "x" }, replace("Authorization", "x-acs-date;", ""),
		},
		"IncompleteSignature":         {header("Authorization", "Basic x"), header("X-Acs-Signature-Nonce", "")},
		"InvalidAccessKeyId.NotFound": {replace("Authorization", "simAliyunKeyId", "other")},
		"InvalidTimeStamp.Format":     {header("X-Acs-Date", "today")},
		"InvalidTimeStamp.Expired":    {header("X-Acs-Date", "2026-03-05T09:14:59Z"), header("X-Acs-Date", "2026-03-05T09:45:01Z")},
		"InvalidVersion":              {header("X-Acs-Version", "2018-05-01")},
		"InvalidAction.NotFound":      {header("X-Acs-Action", "SendMessageToGlobe"), func(r *http.Request, _ *string) { r.Method = http.MethodGet }},
	} {
		for i, change := range changes {
			if got := r.again(t, change); !strings.Contains(got, `"`+code+`"`) {
				t.Errorf("%s, change %d: %s", code, i, got)
			}
		}
	}
}

func TestTencentRefusesWhatIsNotSignedOrNotNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, provider.Tencent)
	r := record(t, w, news("1", "+8613800138000"))
	for code, changes := range map[string][]func(*http.Request, *string){
		"LimitExceeded.PhoneNumberThirtySecondLimit": {func(*http.Request, *string) {}},
		"AuthFailure.SignatureFailure": {
			func(_ *http.Request, body *string) { *body += " " }, header("Content-Type", "application/json"), replace("Authorization", "/sms/", "/cvm/"),
			header("X-Tc-Timestamp", "1772703001"), replace("Authorization", "content-type;", ""),
		},
		"AuthFailure.InvalidAuthorization": {header("Authorization", "Basic x"), header("X-Tc-Timestamp", "now")},
		"AuthFailure.SignatureExpire":      {header("X-Tc-Timestamp", "1772702699"), header("X-Tc-Timestamp", "1772703301")},
		"AuthFailure.SecretIdNotFound":     {replace("Authorization", "simTencentSecretId", "other")},
		"NoSuchVersion":                    {header("X-Tc-Version", "2019-07-11")},
		"InvalidAction":                    {header("X-Tc-Action", "PullSmsSendStatus")},
		"UnsupportedRegion":                {header("X-Tc-Region", "mars")},
		"InvalidParameter":                 {header("Content-Type", "text/plain")},
	} {
		for i, change := range changes {
			if got := r.again(t, change); !strings.Contains(got, `"`+code+`"`) {
				t.Errorf("%s, change %d: %s", code, i, got)
			}
		}
	}
}

func TestBrokenMessagesAreRefusedWithTheServicesCodes(t *testing.T) {
	t.Parallel()
	const n = "+8613800138000"
	for name, cases := range map[string]map[string]string{ // codes by credentials
		provider.Aliyun: {
			`{"templates":{"2":"SMS_9"},"signs":{"0":"仿真"}}`:    "isv.SMS_TEMPLATE_ILLEGAL",
			`{"templates":{"2":"SMS_1001"},"signs":{"0":"仿真"}}`: "isv.TEMPLATE_MISSING_PARAMETERS",
			`{"templates":{"2":"SMS_1002"},"signs":{"0":"x"}}`:  "isv.SMS_SIGNATURE_ILLEGAL",
		},
		provider.Tencent: {
			`{"templates":{"2":"9"},"signs":{"0":"仿真"}}`:                            "FailedOperation.TemplateIncorrectOrUnapproved",
			`{"templates":{"2":"2001"},"signs":{"0":"仿真"}}`:                         "FailedOperation.TemplateParamSetNotMatchApprovedTemplate",
			`{"templates":{"2":"2002"},"signs":{"0":"x"}}`:                          "FailedOperation.SignatureIncorrectOrUnapproved",
			`{"sdk_app_id":"7","templates":{"2":"2002"},"signs":{"0":"仿真"}}`:        "UnauthorizedOperation.SmsSdkAppIdVerifyFail",
			`{"secret_key":"other","templates":{"2":"2002"},"signs":{"0":"仿真"}}`:    "AuthFailure.SignatureFailure",
			`{"region":"ap-singapore","templates":{"2":"2002"},"signs":{"0":"仿真"}}`: "",
		},
		provider.Generic: {
			`{"templates":{"2":"x"}}`:    "bad_template",
			`{"templates":{"2":"code"}}`: "bad_template",
		},
	} {
		for changed, want := range cases {
			w := newWorld(t, name)
			whole := make(map[string]json.RawMessage)
			for _, text := range []string{string(w.sim.Credentials()), changed} {
				if err := json.Unmarshal([]byte(text), &whole); err != nil {
					t.Fatal(err)
				}
			}
			text, err := json.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			creds, err := w.provider.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if o := w.provider.Send(t.Context(), creds, []smswire.Message{news("1", n)}); o[0].Code != want {
				t.Errorf("%s, %s: %+v, want %s", name, changed, o[0], want)
			}
		}
	}
}
