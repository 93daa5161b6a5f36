package route

import (
	"encoding/json"
	"slices"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/service/push/payload"
)

// sms is the channel of short messages, beside those of vendors.
const sms wire.Name = "sms"

// mode says how our own connections and a vendor's channel share the devices of a push: third_party_channel.*.distribution.
type mode string

const (
	// own: our own connections alone.
	own mode = "jpush"
	// second: the vendor when the device is away or does not acknowledge.
	second mode = "secondary_push"
	// first: the vendor, our own connections when it cannot.
	first mode = "first_ospush"
	// only: the vendor alone.
	only mode = "ospush"
)

// order of channels for a device that has several, best first. FCM comes before the makers' own unless the push says otherwise.
var order = [...]wire.Name{wire.APNs, wire.HMOS, wire.FCM, wire.Huawei, wire.Honor, wire.Xiaomi, wire.OPPO, wire.Vivo, wire.Meizu, wire.WebPush}

// policy is what a push and its app say about channels.
type policy struct {
	// byDefault holds for vendors of which the push says nothing.
	byDefault mode
	vendors   map[wire.Name]vendorPolicy
	// fcm says how devices with FCM and the channel of a phone maker are reached: one of the values of distribution_fcm.
	fcm fcmMode
	// message: the push has no notification; channels carry it only if they are asked to.
	message bool
	// third: it has a notification for vendors beside its message.
	third bool
	sms   *payload.SMS
	// classification of the push, nil if it says nothing: stronger than that of a vendor.
	classification *int
}

// fcmMode is distribution_fcm. The zero value is that of the free tier: FCM, then the maker, when the device is away.
type fcmMode string

const (
	fcmOwn        fcmMode = "jpush"              // our own connections alone
	fcmFirst      fcmMode = "fcm"                // FCM before our own connections
	makerFirst    fcmMode = "pns"                // the maker before our own connections
	fcmWhenAway   fcmMode = "secondary_fcm_push" // FCM when the device is away
	makerWhenAway fcmMode = "secondary_pns_push" // the maker when the device is away
)

// vendorPolicy is what a push says of one vendor.
type vendorPolicy struct {
	Distribution          mode    `json:"distribution"`
	DistributionFCM       fcmMode `json:"distribution_fcm"`
	DistributionCustomize mode    `json:"distribution_customize"`
	Classification        *int    `json:"classification"`
	raw                   json.RawMessage
}

// policyOf reads a push. byDefault is the app's setting.
func policyOf(p *payload.Push, byDefault string) policy {
	out := policy{byDefault: mode(byDefault), vendors: make(map[wire.Name]vendorPolicy), sms: p.SMS, third: len(p.Notification3rd()) > 0}
	out.message = !p.HasNotification && len(p.LiveActivity()) == 0
	var whole struct {
		Options struct {
			Classification *int `json:"classification"`
		} `json:"options"`
	}
	if json.Unmarshal(p.Raw, &whole) == nil {
		out.classification = whole.Options.Classification
	}
	var raw map[wire.Name]json.RawMessage
	if json.Unmarshal(p.Options.ThirdPartyChannel, &raw) != nil {
		return out
	}
	for name, text := range raw {
		v := vendorPolicy{raw: text}
		if json.Unmarshal(text, &v) != nil {
			continue // a field of another type than the vendor documents: its default holds
		}
		v.raw = text
		out.vendors[name] = v
		if v.DistributionFCM != "" {
			out.fcm = v.DistributionFCM
		}
	}
	return out
}

// mode of a channel. An unknown word is the default.
func (p *policy) mode(name wire.Name) mode {
	if p.message && !p.third {
		return p.customize(name)
	}
	return known(p.vendors[name].Distribution, p.byDefault)
}

// customize is the mode of a custom message: there is nothing to show, so a channel carries it only on demand.
func (p *policy) customize(name wire.Name) mode {
	if name != wire.Huawei && name != wire.Honor {
		return own
	}
	return known(p.vendors[name].DistributionCustomize, own)
}

func known(m, otherwise mode) mode {
	if slices.Contains([]mode{own, second, first, only}, m) {
		return m
	}
	return otherwise
}

// before tells whether any of the channels is to be tried before our own connections.
func (p *policy) before(configured []wire.Name) bool {
	if p.fcm == fcmFirst || p.fcm == makerFirst {
		return true
	}
	return slices.ContainsFunc(configured, func(name wire.Name) bool { m := p.mode(name); return m == first || m == only })
}

// candidates are the channels of a device that a message may take, best first: those in have that are configured.
func (p *policy) candidates(configured, have []wire.Name) []wire.Name {
	var out []wire.Name
	for _, name := range order {
		if slices.Contains(have, name) && slices.Contains(configured, name) && p.mode(name) != own {
			out = append(out, name)
		}
	}
	if p.fcm == fcmOwn && choice(out) {
		return nil
	}
	slices.SortFunc(out, func(a, b wire.Name) int { return p.rank(a) - p.rank(b) })
	return out
}

// rank orders the channels for one push, best first. It does not depend on what a device has, so that a device whose tokens come and go moves
// on and never back.
func (p *policy) rank(name wire.Name) int {
	if name == wire.FCM && (p.fcm == makerFirst || p.fcm == makerWhenAway) {
		return 2*slices.Index(order[:], wire.Meizu) + 1 // behind the last of the makers
	}
	return 2 * slices.Index(order[:], name)
}

// choice tells whether a device can be reached through FCM and through the maker of the phone.
func choice(have []wire.Name) bool {
	return slices.Contains(have, wire.FCM) && slices.ContainsFunc(have, maker)
}

// maker tells whether a channel is that of an Android phone's maker.
func maker(name wire.Name) bool {
	switch name {
	case wire.Huawei, wire.Honor, wire.Xiaomi, wire.OPPO, wire.Vivo, wire.Meizu:
		return true
	}
	return false
}

// goesFirst tells whether a device with these candidates is to be reached by a channel before our own connections.
func (p *policy) goesFirst(candidates []wire.Name) bool {
	if choice(candidates) && p.fcm != "" {
		return p.fcm == fcmFirst || p.fcm == makerFirst
	}
	m := p.mode(candidates[0])
	return m == first || m == only
}

// after are the candidates of a device that come after a channel, which it may no longer have.
func (p *policy) after(name wire.Name, configured, have []wire.Name) []wire.Name {
	return slices.DeleteFunc(p.candidates(configured, have), func(n wire.Name) bool { return p.rank(n) <= p.rank(name) })
}

// class of a message on a channel.
func (p *policy) class(name wire.Name) wire.Class {
	c := p.classification
	if c == nil {
		c = p.vendors[name].Classification
	}
	if c != nil && *c == 1 {
		return wire.System
	}
	return wire.Marketing
}
