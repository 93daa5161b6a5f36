package meizu

import (
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
)

const codeOK = "200"

// statusOf is what the code of a whole answer means. Others are Failed: what is not known may pass.
func statusOf(code string) wire.Status {
	switch code {
	case codeOK:
		return wire.Accepted
	case "1005", "110004", "110032":
		return wire.Rejected
	case "201", "1006", "110000", "110001", "110009", "110031", "110033":
		return wire.Denied
	case "518", "110010":
		return wire.Limited
	case "110011", "110019", "110051", "110053":
		return wire.Quota
	case "110002", "110003":
		return wire.Invalid
	}
	return wire.Failed // 300 (moved), 500, 501, 513, 519, 1001, 1003
}

// statusOfToken is what a code means that stands for one token, and what it is called.
func statusOfToken(code string) (status wire.Status, reason string) {
	switch code {
	case "201":
		return wire.Denied, "no right to send to the device"
	case "501", "513":
		return wire.Failed, "the message was not sent"
	case "518":
		return wire.Limited, "over the configured rate"
	case "519":
		return wire.Failed, "the service is overloaded"
	case "520":
		return wire.Limited, "more than 5 messages for the device in a minute"
	case "110002":
		return wire.Invalid, "the push id is not subscribed"
	case "110003":
		return wire.Invalid, "the push id is not valid"
	case "110005", "110010":
		return wire.Silenced, "messages are switched off on the device"
	case "110011":
		return wire.Quota, "the public messages of the day are used up"
	}
	return wire.Failed, "not told"
}

// outcomes are what an answer means for each token.
func (v *Vendor) outcomes(a answer, c *credentials, ids []string, after time.Duration) []wire.Outcome {
	reason := strings.ReplaceAll(a.reason, c.AppSecret, "…")
	for _, id := range ids {
		if id != "" {
			reason = strings.ReplaceAll(reason, id, "…")
		}
	}
	o := v.paused(wire.NewOutcome(statusOf(a.code), a.code, reason), after)
	if o.Status == wire.Accepted {
		o = wire.Outcome{Status: wire.Accepted, VendorID: wire.CutBytes(a.id, 200)}
	}
	out := wire.All(len(ids), o)
	for i, id := range ids {
		if code, bad := a.tokens[id]; bad && o.Status == wire.Accepted {
			status, reason := statusOfToken(code)
			out[i] = v.paused(wire.NewOutcome(status, code, reason), 0)
			out[i].Alone = code != "518" && code != "519" // these two speak of the app and of the service
		}
	}
	return out
}

// paused says how long to wait, if the vendor does not.
func (v *Vendor) paused(o wire.Outcome, after time.Duration) wire.Outcome {
	o.After = after
	switch {
	case after > 0:
	case o.Status == wire.Quota:
		o.After = wire.UntilHour(v.clock.Now(), 0)
	case o.Code == "520":
		o.After = time.Minute
	case o.Status == wire.Limited:
		o.After = time.Second
	}
	return o
}
