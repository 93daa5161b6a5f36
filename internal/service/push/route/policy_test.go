package route

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/service/push/payload"
)

// drawPolicy is any policy, also with words that nobody knows.
func drawPolicy(t *rapid.T) policy {
	mode := rapid.SampledFrom([]mode{"", own, second, first, only, "nonsense"})
	p := policy{
		byDefault: mode.Draw(t, "default"), vendors: make(map[wire.Name]vendorPolicy), message: rapid.Bool().Draw(t, "message"), third: rapid.Bool().Draw(t, "third"),
		fcm: rapid.SampledFrom([]fcmMode{"", fcmOwn, fcmFirst, makerFirst, fcmWhenAway, makerWhenAway, "nonsense"}).Draw(t, "fcm"),
	}
	for _, name := range drawNames(t, "named") {
		p.vendors[name] = vendorPolicy{Distribution: mode.Draw(t, "distribution"), DistributionCustomize: mode.Draw(t, "customize")}
	}
	return p
}

func drawNames(t *rapid.T, label string) []wire.Name {
	return rapid.SliceOfDistinct(rapid.SampledFrom(order[:]), func(n wire.Name) wire.Name { return n }).Draw(t, label)
}

// A device goes down its list of channels and never back, whatever is configured meanwhile: each list of what comes after a channel is the end of
// the one before, so it ends.
func TestADeviceOnlyGoesDownItsList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, configured, have := drawPolicy(t), drawNames(t, "configured"), drawNames(t, "have")
		list := p.candidates(configured, have)
		for _, name := range list {
			if !slices.Contains(configured, name) || !slices.Contains(have, name) || p.mode(name) == own {
				t.Fatalf("%s is no channel for the device", name)
			}
		}
		if sorted := slices.Clone(list); len(slices.Compact(sorted)) != len(list) {
			t.Fatalf("%v names a channel twice", list)
		}
		for i, name := range list {
			if got := p.after(name, configured, have); !slices.Equal(got, list[i+1:]) {
				t.Fatalf("after %s of %v: %v", name, list, got)
			}
			// Its token was forgotten, and perhaps its channel removed.
			without := func(names []wire.Name) []wire.Name {
				return slices.DeleteFunc(slices.Clone(names), func(n wire.Name) bool { return n == name })
			}
			if got := p.after(name, without(configured), without(have)); !slices.Equal(got, list[i+1:]) {
				t.Fatalf("after a forgotten token of %s of %v: %v", name, list, got)
			}
		}
	})
}

// However tokens and channels come and go between the steps, no channel is tried twice.
func TestNoChannelIsTriedTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		list := p.candidates(drawNames(t, "configured"), drawNames(t, "have"))
		var tried []wire.Name
		for len(list) > 0 {
			if slices.Contains(tried, list[0]) {
				t.Fatalf("%s again after %v", list[0], tried)
			}
			if tried = append(tried, list[0]); len(tried) > len(order) {
				t.Fatal("no end")
			}
			list = p.after(list[0], drawNames(t, "configured then"), drawNames(t, "have then"))
		}
	})
}

// The channel that goes first decides whether our own connections wait, and then the message was held when it was accepted.
func TestWhatGoesFirstWasHeld(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, configured := drawPolicy(t), drawNames(t, "configured")
		list := p.candidates(configured, drawNames(t, "have"))
		if len(list) > 0 && p.goesFirst(list) && !p.before(configured) {
			t.Fatalf("%v goes first and was not held", list)
		}
	})
}

func TestPolicyOfAPush(t *testing.T) {
	t.Parallel()
	push := func(text string) *payload.Push {
		var p payload.Push
		p.Raw, p.HasNotification = []byte(text), true
		var whole struct {
			Options struct {
				Third json.RawMessage `json:"third_party_channel"`
			} `json:"options"`
		}
		if err := json.Unmarshal(p.Raw, &whole); err != nil {
			t.Fatal(err)
		}
		p.Options.ThirdPartyChannel = whole.Options.Third
		return &p
	}
	for name, c := range map[string]struct {
		push   string
		vendor wire.Name
		mode   mode
		class  wire.Class
	}{
		"nothing said":                  {`{}`, wire.Huawei, second, wire.Marketing},
		"of the vendor":                 {`{"options":{"third_party_channel":{"huawei":{"distribution":"ospush","classification":1}}}}`, wire.Huawei, only, wire.System},
		"of another vendor":             {`{"options":{"third_party_channel":{"oppo":{"distribution":"ospush","classification":1}}}}`, wire.Huawei, second, wire.Marketing},
		"the push is stronger":          {`{"options":{"classification":0,"third_party_channel":{"huawei":{"classification":1}}}}`, wire.Huawei, second, wire.Marketing},
		"a word that nobody knows":      {`{"options":{"third_party_channel":{"huawei":{"distribution":"fast"}}}}`, wire.Huawei, second, wire.Marketing},
		"a field of another type":       {`{"options":{"third_party_channel":{"huawei":{"distribution":7}}}}`, wire.Huawei, second, wire.Marketing},
		"an object that is none at all": {`{"options":{"third_party_channel":[]}}`, wire.Huawei, second, wire.Marketing},
	} {
		p := policyOf(push(c.push), string(second))
		if got := p.mode(c.vendor); got != c.mode {
			t.Errorf("%s: %s", name, got)
		}
		if got := p.class(c.vendor); got != c.class {
			t.Errorf("%s: class %d", name, got)
		}
	}
}
