package webpush

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/netguard"
)

// maxTTL is what the push services of browsers keep a message at most (Google: four weeks).
const maxTTL = 28 * 24 * time.Hour

const (
	// streams and strangeStreams are how many calls of one Send are under way at once: to the services of browser makers, and to others.
	streams        = 32
	strangeStreams = 16
	// strangeCall and strangeSend bound one call to a service that nobody knows, and all of them together.
	strangeCall = 5 * time.Second
	strangeSend = 15 * time.Second
)

// Vendor sends Web Push. It is safe for concurrent use.
type Vendor struct {
	clock  clock.Clock
	caller *wire.Caller
	tokens *wire.AccessTokens
	base   string // of the simulator, without a slash at its end

	strangeCall, strangeSend time.Duration
}

// New returns the sender. A Transport of d is used as it is: whoever gives one guards the addresses.
func New(d wire.Deps) *Vendor {
	v := &Vendor{clock: d.Clock, tokens: wire.NewAccessTokens(d.Clock), base: strings.TrimRight(d.BaseURL, "/"), strangeCall: strangeCall, strangeSend: strangeSend}
	transport := d.Transport
	if transport == nil && v.base == "" {
		transport = newGuarded(d.Allow, nil)
	}
	// Endpoints are whole addresses; what is below BaseURL is checked here.
	v.caller = wire.NewCaller(wire.Deps{Transport: transport, Clock: d.Clock})
	return v
}

// Traits of Web Push. The services publish no rate; they answer 429.
func (*Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name: wire.WebPush, Batch: 1000, Parallel: 8, Rate: wire.Rate{PerSecond: 1000, Unit: wire.Messages}, Idempotent: true,
		Kinds: []wire.Kind{wire.Notification, wire.Data}, MaxTTL: maxTTL,
	}
}

// Probe signs with the credentials. There is no service to ask: each learns of a key from browsers.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	own, ok := c.(*credentials)
	if !ok {
		return errCredentials
	}
	_, err := v.authorization(ctx, own, "https://push.example.net")
	return err
}

var errCredentials = errors.New("the credentials are not those of web push")

// Send sends the message to each of the subscriptions. Those at the services of browser makers and all others go side by side,
// so that an endpoint that somebody made up, and that does not answer, holds up none that is real.
func (v *Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	own, ok := c.(*credentials)
	if !ok {
		return wire.All(len(tokens), wire.NewOutcome(wire.Denied, "", errCredentials.Error()))
	}
	p, err := v.prepare(m)
	if err != nil {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", err.Error()))
	}
	out := make([]wire.Outcome, len(tokens))
	var known, strange []call
	for i, token := range tokens {
		to, reason := parseSubscription(token.Value, v.clock.Now())
		switch {
		case reason != "":
			out[i] = wire.NewOutcome(wire.Invalid, "", "the subscription "+reason)
		case !v.within(to.endpoint):
			out[i] = wire.NewOutcome(wire.Rejected, "", "the endpoint is not below the simulator's address")
		case v.believed(to.endpoint):
			known = append(known, call{to, &out[i]})
		default:
			strange = append(strange, call{to, &out[i]})
		}
	}
	var both sync.WaitGroup
	both.Go(func() {
		each(ctx, known, streams, func(call call) { *call.outcome = v.send(ctx, own, call.to, p, true) })
	})
	both.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, v.strangeSend)
		defer cancel()
		// In another order each time: who comes behind too many that do not answer has more luck when it is repeated.
		rand.Shuffle(len(strange), func(i, j int) { strange[i], strange[j] = strange[j], strange[i] })
		each(ctx, strange, strangeStreams, func(call call) {
			ctx, cancel := context.WithTimeout(ctx, v.strangeCall)
			defer cancel()
			*call.outcome = v.send(ctx, own, call.to, p, false)
		})
	})
	both.Wait()
	return out
}

// call is what is to be made for one token.
type call struct {
	to      *subscription
	outcome *wire.Outcome
}

// each makes calls, n at a time. What is not begun when ctx ends has Failed.
func each(ctx context.Context, calls []call, n int, do func(call)) {
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range min(n, len(calls)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(calls)); i = next.Add(1) - 1 {
				if ctx.Err() != nil {
					*calls[i].outcome = wire.NewOutcome(wire.Failed, "", "no time was left to send it")
					calls[i].outcome.Alone = true
					continue
				}
				do(calls[i])
			}
		})
	}
	wg.Wait()
}

// prepared is a message in the terms of Web Push, the same for all subscriptions.
type prepared struct {
	text                []byte
	ttl, urgency, topic string
}

func (v *Vendor) prepare(m *wire.Message) (*prepared, error) {
	if m.Kind != wire.Notification && m.Kind != wire.Data {
		return nil, errors.New("web push carries no messages of this kind")
	}
	o, err := parseOptions(m.Options)
	if err != nil {
		return nil, err
	}
	text, err := v.text(m, o)
	if err != nil {
		return nil, err
	}
	ttl := min(max(m.TTL, time.Second), maxTTL)
	return &prepared{text: text, ttl: strconv.FormatInt(int64(ttl/time.Second), 10), urgency: o.urgency(m), topic: o.topic(m)}, nil
}

// send makes one call; believed: to a service of a browser's maker.
func (v *Vendor) send(ctx context.Context, c *credentials, to *subscription, p *prepared, believed bool) wire.Outcome {
	body, err := encrypt(to, p.text)
	if err != nil {
		return wire.NewOutcome(wire.Rejected, "", err.Error())
	}
	authorization, err := v.authorization(ctx, c, origin(to.endpoint))
	if err != nil {
		return wire.NewOutcome(wire.Failed, "", err.Error())
	}
	header := http.Header{
		"Authorization": {authorization}, "Content-Encoding": {"aes128gcm"}, "Content-Type": {"application/octet-stream"},
		"Ttl": {p.ttl}, "Urgency": {p.urgency},
	}
	if p.topic != "" {
		header.Set("Topic", p.topic)
	}
	answer, err := v.caller.Post(ctx, to.endpoint.String(), header, body)
	switch {
	case errors.Is(err, netguard.ErrAddress):
		return wire.NewOutcome(wire.Rejected, "", netguard.ErrAddress.Error())
	case err != nil:
		o := wire.Undelivered(err)
		o.Alone = true
		return o
	}
	return outcome(&answer, believed)
}

// within tells whether an endpoint may be called at all, as far as its text says.
func (v *Vendor) within(endpoint *url.URL) bool {
	return v.base == "" || strings.HasPrefix(endpoint.String(), v.base+"/") && endpoint.EscapedPath() == cleaned(endpoint.EscapedPath())
}

// cleaned is a path without dots that lead elsewhere.
func cleaned(path string) string {
	for part := range strings.SplitSeq(strings.ToLower(path), "/") {
		if part = strings.ReplaceAll(part, "%2e", "."); part == "." || part == ".." {
			return ""
		}
	}
	return path
}
