package xiaomi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// Paths of the API.
const (
	pathSend   = "/v3/message/regid"
	pathRevoke = "/v1/message/regid/revoke"
	pathProbe  = "/v1/channel/list"
)

// batch is the most regids of a call.
const batch = 1000

// Vendor is Xiaomi's push service. It is safe for concurrent use.
type Vendor struct {
	caller *wire.Caller
	clock  clock.Clock
}

// New returns the vendor.
func New(d wire.Deps) *Vendor { return &Vendor{caller: wire.NewCaller(d), clock: d.Clock} }

// Traits of Xiaomi. The rate is that of an app with fewer than 100,000 devices online on a day.
func (v *Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name:       wire.Xiaomi,
		Batch:      batch,
		Parallel:   32,
		Rate:       wire.Rate{PerSecond: 500, Unit: wire.Requests},
		Idempotent: true,
		Kinds:      []wire.Kind{wire.Notification, wire.Data, wire.VoIP, wire.Live},
		MaxTTL:     maxPrivateTTL,
		Marketing:  5,
	}
}

// Send hands a message to Xiaomi for devices.
func (v *Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(len(tokens))
	}
	f, err := form(creds, m)
	if err != nil {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", err.Error()))
	}
	return v.each(tokens, func(regids []string) []wire.Outcome {
		f.Set("registration_id", strings.Join(regids, ","))
		return v.call(ctx, creds, pathSend, f, regids)
	})
}

// Retract takes the notification of a message off the screens.
func (v *Vendor) Retract(ctx context.Context, c wire.Credentials, tokens []wire.Token, id string) []wire.Outcome {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(len(tokens))
	}
	m := wire.Message{ID: id}
	f := url.Values{}
	f.Set("restricted_package_name", creds.PackageName)
	f.Set("notify_id", itoa(m.NotifyID()))
	return v.each(tokens, func(regids []string) []wire.Outcome {
		f.Set("registration_ids", strings.Join(regids, ","))
		return v.call(ctx, creds, pathRevoke, f, regids)
	})
}

// each makes one call for the tokens that can be regids and puts the outcomes in the order of all.
func (v *Vendor) each(tokens []wire.Token, call func(regids []string) []wire.Outcome) []wire.Outcome {
	if len(tokens) > batch {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", "more than 1000 tokens"))
	}
	out := wire.All(len(tokens), wire.NewOutcome(wire.Invalid, "", "no regid has this form"))
	regids, places := make([]string, 0, len(tokens)), make([]int, 0, len(tokens))
	for i, t := range tokens {
		if t.Value != "" && !strings.ContainsAny(t.Value, ", \t\r\n") {
			regids, places = append(regids, t.Value), append(places, i)
		}
	}
	if len(regids) == 0 {
		return out
	}
	for i, o := range call(regids) {
		out[places[i]] = o
	}
	return out
}

// call makes a call and says what became of each regid.
func (v *Vendor) call(ctx context.Context, c *credentials, path string, f url.Values, regids []string) []wire.Outcome {
	a, err := v.caller.Post(ctx, hosts[c.Region]+path, header(c), []byte(f.Encode()))
	if err != nil {
		return wire.All(len(regids), wire.Undelivered(err))
	}
	answer, ok := readAnswer(a.Body)
	if !ok || answer.code == "0" && a.Status >= http.StatusBadRequest {
		return wire.All(len(regids), a.Refused())
	}
	o := v.outcome(answer, c, regids)
	o.After = max(o.After, a.After)
	out := wire.All(len(regids), o)
	for i, r := range regids {
		if answer.bad[r] {
			out[i] = wire.NewOutcome(wire.Invalid, answer.code, "bad_regids")
		}
	}
	return out
}

func header(c *credentials) http.Header {
	return http.Header{
		"Authorization": {"key=" + c.AppSecret},
		"Content-Type":  {"application/x-www-form-urlencoded;charset=UTF-8"},
	}
}

// Probe asks for the app's notification channels.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.ErrForeign
	}
	a, err := v.caller.Do(ctx, http.MethodGet, hosts[creds.Region]+pathProbe, header(creds), nil)
	if err != nil {
		return err
	}
	answer, ok := readAnswer(a.Body)
	if !ok {
		o := a.Refused()
		if o.Status == wire.Denied {
			return &wire.FieldError{Field: "app_secret", Reason: "is refused by Xiaomi: HTTP " + o.Code}
		}
		return &wire.RefusalError{Outcome: o}
	}
	o := v.outcome(answer, creds, nil)
	switch o.Status {
	case wire.Accepted:
		return nil
	case wire.Denied:
		field := "app_secret"
		if o.Code == "22022" {
			field = "package_name"
		}
		return &wire.FieldError{Field: field, Reason: "is refused by Xiaomi: " + o.Code + " " + o.Reason}
	}
	return &wire.RefusalError{Outcome: o}
}

// answer is one of the API's, in its common shape.
type answer struct {
	code, reason, id string
	bad              map[string]bool
}

// readAnswer reads an answer; false if it is none of Xiaomi's.
func readAnswer(body []byte) (answer, bool) {
	var raw struct {
		Code        json.RawMessage `json:"code"`
		Data        json.RawMessage `json:"data"`
		Reason      string          `json:"reason"`
		Description string          `json:"description"`
		TraceID     string          `json:"trace_id"`
	}
	if json.Unmarshal(body, &raw) != nil {
		return answer{}, false
	}
	code := strings.Trim(string(raw.Code), `" `)
	if code == "" || strings.Trim(code, "-0123456789") != "" {
		return answer{}, false
	}
	// data is an object, documented also as a text that holds one
	var text string
	if json.Unmarshal(raw.Data, &text) == nil {
		raw.Data = json.RawMessage(text)
	}
	var data struct {
		ID  string `json:"id"`
		Bad string `json:"bad_regids"`
	}
	_ = json.Unmarshal(raw.Data, &data) // without it there are no ids to tell
	a := answer{code: code, reason: cmp.Or(raw.Reason, raw.Description), id: cmp.Or(data.ID, raw.TraceID), bad: map[string]bool{}}
	for r := range strings.SplitSeq(data.Bad, ",") {
		if r = strings.TrimSpace(r); r != "" {
			a.bad[r] = true
		}
	}
	return a, true
}
