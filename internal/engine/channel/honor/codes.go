package honor

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
)

// answer is HONOR's to a message.
type answer struct {
	code, reason, id string
	sent             bool
	failed, expired  map[string]bool
}

// readAnswer reads an answer; false if it is none of HONOR's.
func readAnswer(body []byte) (answer, bool) {
	var raw struct {
		Code    json.RawMessage `json:"code"`
		Message string          `json:"message"`
		Msg     string          `json:"msg"`
		Data    struct {
			SendResult   *bool    `json:"sendResult"`
			RequestID    string   `json:"requestId"`
			FailTokens   []string `json:"failTokens"`
			ExpireTokens []string `json:"expireTokens"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &raw) != nil {
		return answer{}, false
	}
	code := strings.Trim(string(raw.Code), `" `)
	if code == "" || strings.Trim(code, "0123456789") != "" {
		return answer{}, false
	}
	return answer{
		code: code, reason: cmp.Or(raw.Message, raw.Msg), id: raw.Data.RequestID,
		sent:   raw.Data.SendResult == nil || *raw.Data.SendResult,
		failed: set(raw.Data.FailTokens), expired: set(raw.Data.ExpireTokens),
	}, true
}

func set(list []string) map[string]bool {
	out := make(map[string]bool, len(list))
	for _, s := range list {
		out[s] = true
	}
	return out
}

// status of the codes that are known: those of HTTP that HONOR repeats in the body, and the family of codes that it shares with Huawei.
// Others are Failed: what is not known may pass.
func status(code string) wire.Status {
	switch code {
	case "200", "80000000", "80100000": // the last one: for some of the tokens
		return wire.Accepted
	case "400", "404", "405", "413", "80100001", "80100003", "80100004", "80100013", "80100016", "80100017", "80100018",
		"80300008", "80300010", "80300011", "80300013":
		return wire.Rejected
	case "401", "403", "80200001", "80200003", "80300002", "80600003":
		return wire.Denied
	case "429":
		return wire.Limited
	case "80300007":
		return wire.Invalid
	}
	return wire.Failed
}

// outcomes are what an answer means for each token.
func (a *answer) outcomes(c *credentials, tokens []string, got wire.Answer) []wire.Outcome {
	reason := strings.ReplaceAll(a.reason, c.ClientSecret, "…")
	for _, t := range tokens {
		reason = strings.ReplaceAll(reason, t, "…")
	}
	o := wire.NewOutcome(status(a.code), a.code, reason)
	o.After = got.After
	switch {
	case o.Status == wire.Limited && o.After == 0:
		o.After = time.Second
	case o.Status == wire.Accepted && !a.sent && len(a.failed)+len(a.expired) == 0:
		o = wire.NewOutcome(wire.Failed, a.code, cmp.Or(reason, "sendResult is false"))
	case o.Status == wire.Accepted:
		o = wire.Outcome{Status: wire.Accepted, VendorID: wire.CutBytes(a.id, 200)}
	}
	out := wire.All(len(tokens), o)
	for i, t := range tokens {
		switch {
		case a.expired[t]:
			out[i] = wire.NewOutcome(wire.Invalid, a.code, "expireTokens")
		case a.failed[t] && o.Status == wire.Accepted:
			// not told why; the token may be good, and the service is well
			out[i] = wire.NewOutcome(wire.Failed, a.code, "failTokens")
			out[i].Alone = true
		}
	}
	return out
}
