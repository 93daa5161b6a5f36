package meizu

import (
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
	pathSend  = "/garcia/api/server/push/varnished/pushByPushId"
	pathProbe = "/garcia/api/server/push/statistics/dailyPushStatics"
)

// batch is the most push ids of a call.
const batch = 100

// Vendor is Meizu's push service. It is safe for concurrent use.
type Vendor struct {
	caller *wire.Caller
	clock  clock.Clock
}

// New returns the vendor.
func New(d wire.Deps) *Vendor { return &Vendor{caller: wire.NewCaller(d), clock: d.Clock} }

// Traits of Meizu. Data is no longer taken from new apps.
func (v *Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name:       wire.Meizu,
		Batch:      batch,
		Parallel:   16,
		Rate:       wire.Rate{PerSecond: 200, Unit: wire.Requests},
		Idempotent: true,
		Kinds:      []wire.Kind{wire.Notification},
		MaxTTL:     maxTTL,
		Marketing:  3,
	}
}

// Send hands a message to Meizu for devices.
func (v *Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(len(tokens))
	}
	if len(tokens) > batch {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", "more than 100 tokens"))
	}
	out := wire.All(len(tokens), wire.NewOutcome(wire.Invalid, "", "no push id has this form"))
	ids, places := make([]string, 0, len(tokens)), make([]int, 0, len(tokens))
	for i, t := range tokens {
		if t.Value != "" && !strings.ContainsAny(t.Value, ", \t\r\n") {
			ids, places = append(ids, t.Value), append(places, i)
		}
	}
	message, err := read(creds, m)
	text := ""
	if err == nil {
		text, err = message.encode()
	}
	if err != nil {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", err.Error()))
	}
	if len(ids) == 0 {
		return out
	}
	for i, o := range v.send(ctx, creds, ids, text) {
		out[places[i]] = o
	}
	return out
}

func (v *Vendor) send(ctx context.Context, c *credentials, ids []string, text string) []wire.Outcome {
	f := url.Values{"appId": {c.AppID}, "pushIds": {strings.Join(ids, ",")}, "messageJson": {text}}
	sign(f, c.AppSecret)
	a, err := v.caller.Post(ctx, c.host()+pathSend, header(), []byte(f.Encode()))
	if err != nil {
		return wire.All(len(ids), wire.Undelivered(err))
	}
	answer, known := readAnswer(a.Body)
	if !known || a.Status >= http.StatusBadRequest && answer.code == codeOK {
		return wire.All(len(ids), a.Refused())
	}
	return v.outcomes(answer, c, ids, a.After)
}

func header() http.Header {
	return http.Header{"Content-Type": {"application/x-www-form-urlencoded;charset=UTF-8"}}
}

// Probe asks for the statistics of the day.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.ErrForeign
	}
	day := wire.Shanghai(v.clock.Now()).Format("20060102")
	f := url.Values{"appId": {creds.AppID}, "startTime": {day}, "endTime": {day}}
	sign(f, creds.AppSecret)
	a, err := v.caller.Do(ctx, http.MethodGet, creds.host()+pathProbe+"?"+f.Encode(), header(), nil)
	if err != nil {
		return err
	}
	answer, known := readAnswer(a.Body)
	o := a.Refused()
	if known && a.Status == http.StatusOK {
		o = v.outcomes(answer, creds, []string{""}, 0)[0]
	}
	switch {
	case o.Status == wire.Accepted:
		return nil
	case o.Status == wire.Denied && (o.Code == "1006" || o.Code == "110033"):
		return &wire.FieldError{Field: "app_secret", Reason: "is refused by Meizu: " + o.Code + " " + o.Reason}
	case o.Status == wire.Denied:
		return &wire.FieldError{Field: "app_id", Reason: "is refused by Meizu: " + o.Code + " " + o.Reason}
	}
	return &wire.RefusalError{Outcome: o}
}

// answer is one of the API's.
type answer struct {
	code, reason, id string
	// tokens that were not taken, with the code for it.
	tokens map[string]string
}

// readAnswer reads an answer; false if it is none of Meizu's.
func readAnswer(body []byte) (answer, bool) {
	var raw struct {
		Code    json.RawMessage `json:"code"`
		Message string          `json:"message"`
		ID      string          `json:"msgId"`
		Value   json.RawMessage `json:"value"`
	}
	if json.Unmarshal(body, &raw) != nil {
		return answer{}, false
	}
	code := strings.Trim(string(raw.Code), `" `)
	if code == "" || strings.Trim(code, "0123456789") != "" {
		return answer{}, false
	}
	a := answer{code: code, reason: raw.Message, id: raw.ID, tokens: make(map[string]string)}
	var value map[string]json.RawMessage
	_ = json.Unmarshal(raw.Value, &value) // without tokens it is an empty text
	for code, list := range value {
		var tokens []string
		if json.Unmarshal(list, &tokens) != nil {
			continue
		}
		for _, t := range tokens {
			a.tokens[t] = code
		}
	}
	return a, true
}
