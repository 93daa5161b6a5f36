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

// Modes are the values of the app's setting, for its documentation.
func Modes() []string { return []string{string(own), string(second), string(first), string(only)} }

// order of channels for a device that has several, best first. FCM comes before the makers' own unless the push says otherwise.
var order = [...]wire.Name{wire.APNs, wire.HMOS, wire.FCM, wire.Huawei, wire.Honor, wire.Xiaomi, wire.OPPO, wire.Vivo, wire.Meizu, wire.WebPush}

// policy is what a push and its app say about channels.
type policy struct {
	// byDefault holds for vendors of which the push says nothing.
	byDefault mode
	vendors   map[wire.Name]vendorPolicy
	// makersFirst: the phone maker's channel goes before FCM.
	makersFirst bool
	// message: the push has no notification; channels carry it only if they are asked to.
	message bool
	// third: it has a notification for vendors beside its message.
	third bool
	sms   *payload.SMS
	// classification of the push, nil if it says nothing: stronger than that of a vendor.
	classification *int
}

// vendorPolicy is what a push says of one vendor.
type vendorPolicy struct {
	Distribution          mode   `json:"distribution"`
	DistributionFCM       string `json:"distribution_fcm"`
	DistributionCustomize mode   `json:"distribution_customize"`
	Classification        *int   `json:"classification"`
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
		if v.DistributionFCM == "pns" || v.DistributionFCM == "secondary_pns_push" {
			out.makersFirst = true
		}
	}
	return out
}

// mode of a channel. An unknown word is the default.
func (p *policy) mode(name wire.Name) mode {
	v := p.vendors[name]
	if p.message && !p.third { // a custom message: nothing to show, so a channel carries it only on demand
		if name == wire.Huawei || name == wire.Honor {
			return known(v.DistributionCustomize, own)
		}
		return own
	}
	return known(v.Distribution, p.byDefault)
}

func known(m, otherwise mode) mode {
	if slices.Contains([]mode{own, second, first, only}, m) {
		return m
	}
	return otherwise
}

// before tells whether any of the channels is to be tried before our own connections.
func (p *policy) before(configured []wire.Name) bool {
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
	if at := slices.Index(out, wire.FCM); at >= 0 && p.makersFirst {
		out = append(slices.Delete(out, at, at+1), wire.FCM)
	}
	return out
}

// after are the candidates of a device that come after a channel, which it may no longer have.
func (p *policy) after(name wire.Name, configured, have []wire.Name) []wire.Name {
	all := p.candidates(append(slices.Clone(configured), name), append(slices.Clone(have), name))
	return slices.DeleteFunc(all[slices.Index(all, name)+1:], func(n wire.Name) bool { return !slices.Contains(configured, n) })
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
