package e2e

import (
	"fmt"
	"testing"
	"time"
)

// A server that is killed again and again while vendors fail brings every message to every phone, and no phone shows one twice.
func TestVendorSendsSurviveKills(t *testing.T) {
	t.Parallel()
	const phones, rounds, each = 10, 4, 10
	v := newVendors(t)
	p := NewProcess(t, t.TempDir(), "--vendor-url", v.URL)
	p.Start(t)
	c := p.NewApp(t)
	tokens := make(map[string][]string)
	for channel, faults := range passing {
		v.account(t, &p.Node, c, channel, v.Credentials(channel))
		for range phones {
			_, token := v.phoneOf(t, &p.Node, c, channel)
			tokens[channel] = append(tokens[channel], token)
		}
		v.Faults(channel).Sometimes(0.1, 7, faults...)
	}
	var sent []string
	for round := range rounds {
		for i := range each {
			sent = append(sent, p.push(t, c, map[string]any{
				"platform": "all", "audience": "all",
				"notification": map[string]any{"alert": fmt.Sprintf("第 %d 件快递已经送达", round*each+i), "android": map[string]any{"title": "快递通知"}},
				"options": map[string]any{"classification": 1, "third_party_channel": map[string]any{
					"huawei": map[string]any{"category": "IM"}, "oppo": map[string]any{"category": "IM"}, "vivo": map[string]any{"category": "IM"}}},
			}))
		}
		p.Kill() // with parts that wait, are claimed, or were answered a moment ago
		p.Start(t)
	}
	await(t, 2*time.Minute, "every phone shows every message", func() error {
		if n := v.shown(t, tokens, sent); n != len(sent)*phones*len(passing) {
			return fmt.Errorf("%d shown of %d", n, len(sent)*phones*len(passing))
		}
		return nil
	})
	for _, msg := range sent {
		await(t, time.Minute, "and it is counted", func() error {
			if f := p.funnel(t, c, msg); f.Total.Vendor != f.Total.Targets {
				return fmt.Errorf("%+v", f)
			}
			return nil
		})
	}
}
