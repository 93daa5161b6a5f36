package xiaomi

import (
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
)

// statuses of the codes that Xiaomi documents. Others are Failed: what is not known may pass.
var statuses = map[string]wire.Status{
	"-1": wire.Failed, "1": wire.Failed, "10001": wire.Failed, "10002": wire.Failed, "10003": wire.Failed,
	"10009": wire.Failed, "10010": wire.Failed, "10011": wire.Failed, "10037": wire.Failed, "20607": wire.Failed,
	"22102": wire.Failed, "26003": wire.Failed, "65029": wire.Failed, "65030": wire.Failed,

	"100": wire.Rejected, "10008": wire.Rejected, "10012": wire.Rejected, "10016": wire.Rejected, "10017": wire.Rejected,
	"10018": wire.Rejected, "10025": wire.Rejected, "21305": wire.Rejected, "22100": wire.Rejected, "22103": wire.Rejected,
	"26006": wire.Rejected, "27001": wire.Rejected, "65009": wire.Rejected, "65011": wire.Rejected, "65014": wire.Rejected,
	"65015": wire.Rejected, "65028": wire.Rejected, "65036": wire.Rejected, "65037": wire.Rejected, "65038": wire.Rejected,

	"10004": wire.Denied, "10005": wire.Denied, "10006": wire.Denied, "10013": wire.Denied, "10014": wire.Denied,
	"10026": wire.Denied, "10031": wire.Denied, "10033": wire.Denied, "10036": wire.Denied, "10038": wire.Denied,
	"21301": wire.Denied, "21302": wire.Denied, "21303": wire.Denied, "22000": wire.Denied, "22001": wire.Denied,
	"22002": wire.Denied, "22006": wire.Denied, "22007": wire.Denied, "22008": wire.Denied, "22022": wire.Denied,

	"10022": wire.Limited, "10023": wire.Limited, "10024": wire.Limited, "10027": wire.Limited, "10028": wire.Limited,
	"10039": wire.Limited, "22101": wire.Limited, "26004": wire.Limited,

	"10034": wire.Quota, "200001": wire.Quota,
	"10029": wire.Invalid,
	"65003": wire.Silenced,
	"20301": wire.Failed,
}

// noTargets is the reason that comes with 20301 when none of the regids is good.
const noTargets = "no valid targets"

// outcome is what an answer means for all regids.
func (v *Vendor) outcome(a answer, c *credentials, regids []string) wire.Outcome {
	if a.code == "0" {
		return wire.Outcome{Status: wire.Accepted, VendorID: wire.CutBytes(a.id, 200)}
	}
	reason := strings.ReplaceAll(a.reason, c.AppSecret, "…")
	for _, r := range regids {
		reason = strings.ReplaceAll(reason, r, "…")
	}
	status, known := statuses[a.code]
	if !known {
		status = wire.Failed
	}
	if a.code == "20301" && strings.Contains(strings.ToLower(reason), noTargets) {
		status = wire.Invalid
	}
	o := wire.NewOutcome(status, a.code, reason)
	switch status {
	case wire.Quota:
		o.After = wire.UntilHour(v.clock.Now(), 0)
	case wire.Limited:
		o.After = time.Second
	}
	return o
}

func itoa(n int32) string { return strconv.FormatInt(int64(n), 10) }
