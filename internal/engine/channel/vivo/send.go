package vivo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

const (
	host = "https://api-push.vivo.com.cn"
	// maxTTL and minTTL are how long vivo keeps a message.
	maxTTL = 7 * 24 * time.Hour
	minTTL = time.Minute
	// tokenLife of an access token, which vivo asks to be renewed after one or two of its 24 hours.
	tokenLife = 2 * time.Hour
)

// Vendor is vivo Push.
type Vendor struct {
	caller *wire.Caller
	tokens *wire.AccessTokens
	clock  clock.Clock
}

var (
	_ wire.Vendor   = (*Vendor)(nil)
	_ wire.Receiver = (*Vendor)(nil)
)

// New returns the vendor.
func New(d wire.Deps) *Vendor {
	return &Vendor{caller: wire.NewCaller(d), tokens: wire.NewAccessTokens(d.Clock), clock: d.Clock}
}

// Traits of vivo. The rate is that of apps with less than 5 million users.
func (v *Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name: wire.Vivo, Batch: 1000, Parallel: 8, Rate: wire.Rate{PerSecond: 3000, Unit: wire.Messages},
		Idempotent: true, Kinds: []wire.Kind{wire.Notification, wire.Live}, MaxTTL: maxTTL, Marketing: 2,
	}
}

// liveCalls are made at once for the devices of one live message.
const liveCalls = 8

// Send hands the message to vivo.
func (v *Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	n := len(tokens)
	if n == 0 {
		return nil
	}
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(n)
	}
	p, refused := build(creds, m)
	if refused != nil {
		return wire.All(n, refused.Outcome)
	}
	if p.LiveMessage == nil {
		return v.withToken(ctx, creds, n, func(token string) ([]wire.Outcome, bool) { return v.push(ctx, token, *p, tokens, m.ID) })
	}
	outcomes := make([]wire.Outcome, n)
	var wg sync.WaitGroup
	free := make(chan struct{}, liveCalls)
	for i := range tokens {
		free <- struct{}{}
		wg.Go(func() {
			outcomes[i] = v.withToken(ctx, creds, 1, func(token string) ([]wire.Outcome, bool) {
				return v.single(ctx, "/livemessage/send", token, *p, tokens[i], m.ID)
			})[0]
			<-free
		})
	}
	wg.Wait()
	return outcomes
}

// push makes the calls for one access token and says whether vivo no longer takes that.
func (v *Vendor) push(ctx context.Context, token string, p payload, to []wire.Token, id string) ([]wire.Outcome, bool) {
	if len(to) == 1 {
		return v.single(ctx, "/message/send", token, p, to[0], id)
	}
	return v.list(ctx, token, p, to, id)
}

func (v *Vendor) single(ctx context.Context, path, token string, p payload, to wire.Token, id string) ([]wire.Outcome, bool) {
	p.RegID, p.RequestID = to.Value, requestID(path, id, to.Value)
	a, err := v.call(ctx, path, token, &p)
	if err != nil {
		return wire.All(1, wire.Undelivered(err)), false
	}
	o := v.outcome(*a.Result, a.Desc)
	if o.Status == wire.Accepted {
		o.VendorID = wire.CutBytes(a.TaskID, 128)
	}
	for _, u := range append(a.InvalidUsers, a.InvalidUser...) {
		if *a.Result == codeSuccess && (u.UserID == to.Value || u.UserID == "") && u.Status != 0 {
			o = missed(u.Status)
		}
	}
	return []wire.Outcome{o}, *a.Result == codeUnauthorized
}

func (v *Vendor) list(ctx context.Context, token string, p payload, to []wire.Token, id string) ([]wire.Outcome, bool) {
	regIDs := make([]string, len(to))
	for i := range to {
		regIDs[i] = to[i].Value
	}
	p.RequestID = requestID("save", append([]string{id}, regIDs...)...)
	saved, err := v.call(ctx, "/message/saveListPayload", token, &p)
	if err != nil {
		outcomes := wire.All(len(to), wire.Undelivered(err))
		for i := range outcomes {
			if outcomes[i].Status == wire.Unknown { // saved or not, it was sent to nobody
				outcomes[i].Status = wire.Failed
			}
		}
		return outcomes, false
	}
	if *saved.Result != codeSuccess {
		return wire.All(len(to), v.outcome(*saved.Result, saved.Desc)), *saved.Result == codeUnauthorized
	}
	if saved.TaskID == "" {
		return wire.All(len(to), wire.NewOutcome(wire.Failed, "0", "no taskId in the answer")), false
	}
	body := map[string]any{"appId": p.AppID, "regIds": regIDs, "taskId": saved.TaskID, "requestId": requestID("list", append([]string{id}, regIDs...)...)}
	if p.PushMode != 0 {
		body["pushMode"] = p.PushMode
	}
	a, err := v.call(ctx, "/message/pushToList", token, body)
	if err != nil {
		return wire.All(len(to), wire.Undelivered(err)), false
	}
	o := v.outcome(*a.Result, a.Desc)
	switch o.Status {
	case wire.Accepted:
		o.VendorID = wire.CutBytes(saved.TaskID, 128)
	case wire.Invalid: // of whom? only the list below says it
		o.Status = wire.Rejected
	}
	outcomes := wire.All(len(to), o)
	bad := make(map[string]int)
	for _, u := range append(a.InvalidUsers, a.InvalidUser...) {
		bad[u.UserID] = u.Status
	}
	for i := range to {
		if status, ok := bad[to[i].Value]; ok {
			outcomes[i] = missed(status)
		}
	}
	return outcomes, *a.Result == codeUnauthorized
}

// requestID has 64 characters: it is the same for the same message, devices and call, and for nothing else.
func requestID(call string, parts ...string) string {
	h := sha256.New()
	_, _ = h.Write([]byte(call))
	for _, part := range parts {
		_, _ = h.Write([]byte("\x00" + part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Probe asks for an access token.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.ErrForeign
	}
	_, _, err := v.authenticate(ctx, creds)
	return err
}
