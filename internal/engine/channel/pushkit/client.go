package pushkit

import (
	"context"
	"net/http"
	"sync"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

const (
	// Origin is where messages go.
	Origin = "https://push-api.cloud.huawei.com"
	// Batch is the most tokens of a call.
	Batch = 1000
	// MaxBody is the most that a call may have without its device tokens, in bytes.
	MaxBody = 4096
	// MaxTTL is the longest time to live, in seconds.
	MaxTTL = 15 * 24 * 3600
	// Marketing is how many marketing messages a device of an app is shown on a day; news apps have 5.
	Marketing = 2
	// parallel is how many parts of one Send are under way at once.
	parallel = 10
)

// Auth is how calls of an account are authorised. Name tells accounts apart that differ in their secret.
type Auth struct {
	Name  string
	Fetch wire.Fetch
}

// Client makes calls. It is safe for concurrent use.
type Client struct {
	Caller *wire.Caller
	clock  clock.Clock
	access *wire.AccessTokens
}

// NewClient returns a client without tokens.
func NewClient(d wire.Deps) *Client {
	return &Client{Caller: wire.NewCaller(d), clock: d.Clock, access: wire.NewAccessTokens(d.Clock)}
}

// Token is a token of the account, or a *wire.RefusalError or what prevented the answer.
func (c *Client) Token(ctx context.Context, a Auth) (string, error) {
	return c.access.Get(ctx, a.Name, a.Fetch)
}

// Post makes one call for device tokens and says what became of each.
func (c *Client) Post(ctx context.Context, a Auth, address string, header http.Header, body []byte, tokens []wire.Token) (out []wire.Outcome) {
	h := header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	h.Set("Content-Type", "application/json;charset=UTF-8")
	err := c.access.Use(ctx, a.Name, a.Fetch, func(access string) (expired bool) {
		h.Set("Authorization", "Bearer "+access)
		answer, err := c.Caller.Post(ctx, address, h, body)
		if err != nil {
			out = wire.All(len(tokens), wire.Undelivered(err))
			return false
		}
		out, expired = Read(answer, tokens)
		return expired
	})
	if err != nil {
		return wire.All(len(tokens), wire.Unauthorized(err))
	}
	return out
}

// Each sends in parts of at most size tokens, several at once, and puts the outcomes in the order of the tokens.
func Each(tokens []wire.Token, size int, send func(part []wire.Token) []wire.Outcome) []wire.Outcome {
	if len(tokens) <= size {
		return send(tokens)
	}
	out := make([]wire.Outcome, len(tokens))
	places := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for from := 0; from < len(tokens); from += size {
		to := min(from+size, len(tokens))
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			copy(out[from:to], send(tokens[from:to]))
		})
	}
	wg.Wait()
	return out
}

// Values are the texts of tokens.
func Values(tokens []wire.Token) []string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		out[i] = t.Value
	}
	return out
}
