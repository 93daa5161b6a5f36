package wire

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"borealis/internal/kernel/clock"
)

// maxAccounts bounds the access tokens that are remembered.
const maxAccounts = 10_000

// early is the part of an access token's life that is not used, and at most maxEarly: so that none ends on its way.
const (
	early    = 10
	maxEarly = 5 * time.Minute
)

// AccessTokens are what vendors give for credentials for some time, or what is signed with them for as long. One is
// fetched at a time for each account, and everybody who waits gets it. It is safe for concurrent use.
type AccessTokens struct {
	clock  clock.Clock
	flight singleflight.Group

	mu     sync.Mutex
	tokens map[string]accessToken
}

type accessToken struct {
	value string
	until time.Time
}

// NewAccessTokens returns an empty cache.
func NewAccessTokens(c clock.Clock) *AccessTokens {
	return &AccessTokens{clock: c, tokens: make(map[string]accessToken)}
}

// AccountKey names an account for AccessTokens by what its access token is made of: a hash, so that no secret is kept as a name.
func AccountKey(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// Fetch gets a new access token and says how long it is good for. It runs on a context of its own, since others wait for it too.
type Fetch func(ctx context.Context) (token string, life time.Duration, err error)

// Get is the account's token, fetched if there is none that is still good. account must tell apart credentials that
// differ in their secret (AccountKey). The error is that of fetch, or the context's.
func (a *AccessTokens) Get(ctx context.Context, account string, fetch Fetch) (string, error) {
	if token, ok := a.good(account); ok {
		return token, nil
	}
	result := a.flight.DoChan(account, func() (any, error) {
		if token, ok := a.good(account); ok {
			return token, nil // it came while this call was about to start
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		token, life, err := fetch(ctx)
		if err != nil {
			return "", err
		}
		a.put(account, accessToken{token, a.clock.Now().Add(life - min(life/early, maxEarly))})
		return token, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return "", r.Err
		}
		token, _ := r.Val.(string)
		return token, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Use makes a call with the account's token, and once more with a new one if call says that the vendor no longer takes that: it may have been
// revoked before its time. The error is that of Get; then no call was made, or the second was not.
func (a *AccessTokens) Use(ctx context.Context, account string, fetch Fetch, call func(token string) (stale bool)) error {
	for again := false; ; again = true {
		if err := ctx.Err(); err != nil {
			return err
		}
		token, err := a.Get(ctx, account, fetch)
		if err != nil || !call(token) {
			return err
		}
		a.Drop(account, token)
		if again {
			return nil
		}
	}
}

// Drop forgets a token that the vendor refused. Another one that came meanwhile stays.
func (a *AccessTokens) Drop(account, token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tokens[account].value == token {
		delete(a.tokens, account)
	}
}

func (a *AccessTokens) good(account string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.tokens[account]
	return t.value, ok && a.clock.Now().Before(t.until)
}

func (a *AccessTokens) put(account string, t accessToken) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.tokens) >= maxAccounts {
		for k := range a.tokens { // any one: it is fetched again when it is needed
			delete(a.tokens, k)
			break
		}
	}
	a.tokens[account] = t
}
