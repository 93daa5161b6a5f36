package apns

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"

	"borealis/internal/engine/channel/wire"
)

// maxToken bounds device tokens, in hexadecimal digits. Today's have 64 and those of live activities about 160; Apple promises no length.
const maxToken = 1024

// Send makes one request for each token, up to 100 at once.
func (v *Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(len(tokens))
	}
	r, err := newRequest(creds, m, v.deps.Clock.Now())
	if err != nil {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", err.Error()))
	}
	out := make([]wire.Outcome, len(tokens))
	var (
		wg    sync.WaitGroup
		slots = make(chan struct{}, streams)
	)
	for i, token := range tokens {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			out[i] = v.push(ctx, creds, token, m.ID, r)
		})
	}
	wg.Wait()
	return out
}

// push makes the request for one token.
func (v *Vendor) push(ctx context.Context, c *credentials, token wire.Token, message string, r *request) wire.Outcome {
	if err := ctx.Err(); err != nil {
		return wire.NewOutcome(wire.Failed, "", "not sent: "+err.Error())
	}
	if !isToken(token.Value) {
		return wire.NewOutcome(wire.Invalid, "", "BadDeviceToken: not hexadecimal digits")
	}
	id := c.identity(token.Sandbox)
	if id.expired(v.deps.Clock.Now()) {
		return wire.NewOutcome(wire.Denied, "", "the certificate has expired")
	}
	if r.keyOnly && id.key == nil {
		return wire.NewOutcome(wire.Rejected, "", "live activities need a signing key: Apple does not take them from a certificate")
	}
	header := maps.Clone(r.header)
	if message != "" {
		header.Set("Apns-Id", requestID(message, token.Value))
	}
	answer, err := v.call(ctx, c, token.Sandbox, http.MethodPost, host(token.Sandbox)+"/3/device/"+token.Value, header, r.body)
	if err != nil {
		return undelivered(err)
	}
	return judge(answer, r.ownTopic)
}

// undelivered is the outcome of a request without an answer: Failed if surely nothing of it was sent.
func undelivered(err error) wire.Outcome {
	o := wire.Undelivered(err)
	var (
		call     *wire.CallError
		unsigned *unsignedError
	)
	if errors.As(err, &unsigned) || errors.As(err, &call) && call.Unsent() {
		o.Status = wire.Failed
	}
	return o
}

func isToken(text string) bool {
	return text != "" && len(text) <= maxToken && len(text)%2 == 0 && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}
