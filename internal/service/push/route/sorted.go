package route

import (
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
)

// sorted are the devices of a part by what becomes of them.
type sorted struct {
	accepted, again, onward *roaring.Bitmap
	after                   time.Duration
	failed                  bool // of those that are sent again, some failed; else they were only too fast
	dead                    []device.DeviceToken
	renewed                 map[uint32]device.Token
	results                 []*result
	problem                 string
	news                    bool // the problem was not known before
	quotas                  int
}

func (t *task) sort() *sorted {
	out := &sorted{accepted: roaring.New(), again: roaring.New(), onward: roaring.New(), renewed: make(map[uint32]device.Token)}
	type answer struct {
		status           wire.Status
		code, reason, id string
	}
	byAnswer := make(map[answer]*result)
	now := t.s.now()
	note := func(o wire.Outcome, ordinal uint32) {
		a := answer{o.Status, o.Code, o.Reason, ""}
		if len(t.ordinals) == 1 {
			a.id = o.VendorID // of many, each has its own, and nobody asks for them
		}
		r := byAnswer[a]
		if r == nil {
			r = &result{part: t.part.id, msg: t.part.msg, name: t.part.name, status: o.Status, code: o.Code, reason: o.Reason, vendorID: a.id, at: now, devices: roaring.New()}
			byAnswer[a] = r
			out.results = append(out.results, r)
		}
		r.devices.Add(ordinal)
	}
	missing := t.part.devices.Clone()
	for i, ordinal := range t.ordinals {
		missing.Remove(ordinal)
		o := t.outcomes[i]
		note(o, ordinal)
		if o.Token != "" && t.tokens != nil {
			out.renewed[ordinal] = device.Token{Channel: string(t.part.name), Token: o.Token, Environment: device.EnvironmentOf(t.tokens[i].Sandbox)}
		}
		switch o.Status {
		case wire.Accepted:
			out.accepted.Add(ordinal)
		case wire.Failed, wire.Unknown, wire.Limited:
			if t.part.name == sms && o.Status == wire.Unknown {
				continue // it may be on its way, and nobody wants to read it twice
			}
			out.failed = out.failed || o.Status != wire.Limited
			out.after = max(out.after, o.After)
			if o.Status != wire.Limited && t.part.tries >= maxTries {
				out.onward.Add(ordinal)
				continue
			}
			out.again.Add(ordinal)
		default:
			switch {
			case o.Status == wire.Invalid && t.tokens != nil && (o.Since == 0 || t.broughtAt[i] <= o.Since):
				out.dead = append(out.dead, device.DeviceToken{Ordinal: ordinal, Token: device.Token{Channel: string(t.part.name), Token: t.tokens[i].Value}})
			case o.Status == wire.Denied:
				out.problem = strings.TrimPrefix(o.Code+": "+o.Reason, ": ")
			case o.Status == wire.Quota && !o.Alone:
				out.quotas++
			}
			out.onward.Add(ordinal)
		}
	}
	if len(out.dead) >= wholesale && len(out.dead) == len(t.ordinals) {
		out.problem = out.results[0].code + ": every token of a call was refused: are these the credentials of this app?"
		out.dead = nil
	}
	if !missing.IsEmpty() {
		for it := missing.Iterator(); it.HasNext(); {
			note(wire.Outcome{Status: wire.Silenced, Code: "gone", Reason: "the device has no token of the channel, or no number that the app's server gave"}, it.Next())
		}
		out.onward.Or(missing)
	}
	return out
}
