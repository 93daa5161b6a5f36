package apns

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"borealis/internal/engine/channel/wire"
)

const (
	// tokenStep is the distance of the times that provider tokens are dated with, so that several servers with one key present tokens
	// of the same date; tokenAge the age up to which one is used. Apple allows 20 minutes at least between two, and 60 at most.
	tokenStep = 30 * time.Minute
	tokenAge  = 40 * time.Minute
	// minRenewal is the least time between tokens that take the place of refused ones.
	minRenewal = 20 * time.Minute
)

// Addresses of Apple. The environment for development has hosts of its own.
const (
	hostProduction       = "https://api.push.apple.com"
	hostSandbox          = "https://api.sandbox.push.apple.com"
	hostManageProduction = "https://api-manage-broadcast.push.apple.com:2196"
	hostManageSandbox    = "https://api-manage-broadcast.sandbox.push.apple.com:2195"
)

func host(sandbox bool) string {
	if sandbox {
		return hostSandbox
	}
	return hostProduction
}

func manageHost(sandbox bool) string {
	if sandbox {
		return hostManageSandbox
	}
	return hostManageProduction
}

// refusal is what Apple says in the body of an answer that is not a success.
type refusal struct {
	Reason    string          `json:"reason"`
	Timestamp json.RawMessage `json:"timestamp"` // Unix milliseconds, of dead tokens
}

func readRefusal(body []byte) refusal {
	var r refusal
	if json.Unmarshal(body, &r) != nil {
		return refusal{}
	}
	return r
}

// call makes a request as the app, and once more with a new provider token if Apple does not take the one it had.
func (v *Vendor) call(ctx context.Context, c *credentials, sandbox bool, method, address string, header http.Header, body []byte) (wire.Answer, error) {
	id := c.identity(sandbox)
	l := v.lines.get(c.bundle, id)
	header = maps.Clone(header)
	if id.key == nil {
		answer, err := l.caller(sandbox).Do(ctx, method, address, header, body)
		v.cut(l, id, answer, err)
		return answer, err
	}
	for again := false; ; again = true {
		token, err := v.tokens.Get(ctx, l.account, func(context.Context) (string, time.Duration, error) {
			now := v.deps.Clock.Now()
			at := l.issued(now)
			token, err := id.sign(at)
			return token, at.Add(tokenAge).Sub(now), err
		})
		if err != nil {
			return wire.Answer{}, &unsignedError{err}
		}
		header.Set("Authorization", "bearer "+token)
		answer, err := l.caller(sandbox).Do(ctx, method, address, header, body)
		if err == nil && !again && stale(answer) && l.mayRenew(token, v.deps.Clock.Now()) {
			v.tokens.Drop(l.account, token)
			continue
		}
		v.cut(l, id, answer, err)
		return answer, err
	}
}

// unsignedError is a request that was not made for want of a provider token.
type unsignedError struct{ error }

func stale(a wire.Answer) bool {
	reason := readRefusal(a.Body).Reason
	return a.Status == http.StatusForbidden && (reason == "ExpiredProviderToken" || reason == "InvalidProviderToken")
}

// cut gives a connection up that Apple tied to rights which are not those of the app (any more): new rights count on new connections.
func (v *Vendor) cut(l *line, id *identity, a wire.Answer, err error) {
	if err != nil || a.Status < http.StatusBadRequest {
		return
	}
	if reasons[readRefusal(a.Body).Reason].reconnect {
		v.lines.drop(l, id)
	}
}
