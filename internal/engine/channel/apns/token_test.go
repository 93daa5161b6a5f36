package apns_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/wire"
)

// seen are the provider tokens of requests, in the order of their first use.
type seen struct {
	mu     sync.Mutex
	tokens []string
}

func (s *seen) add(r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tokens) == 0 || s.tokens[len(s.tokens)-1] != token {
		s.tokens = append(s.tokens, token)
	}
}

// issued is when each token says that it was made.
func (s *seen) issued(t *testing.T) []time.Time {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]time.Time, 0, len(s.tokens))
	for _, token := range s.tokens {
		parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		at, err := parsed.Claims.GetIssuedAt()
		issuer, _ := parsed.Claims.GetIssuer()
		if err != nil || at == nil || issuer != "TEAM123456" || parsed.Header["kid"] != "KEY1234567" || parsed.Header["alg"] != "ES256" {
			t.Fatalf("token %v, %v", parsed.Header, parsed.Claims)
		}
		out = append(out, at.UTC())
	}
	return out
}

func TestFiftySendsAtOnceShareOneProviderToken(t *testing.T) {
	t.Parallel()
	var got seen
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { got.add(r); accept(w, r) })
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	c := parse(t, v, credentials(t))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for _, o := range v.Send(t.Context(), c, devices(3), hello()) {
				if o.Status != wire.Accepted {
					t.Errorf("%+v", o)
				}
			}
		})
	}
	wg.Wait()
	if len(got.issued(t)) != 1 {
		t.Errorf("%d tokens", len(got.tokens))
	}
}

// Apple wants a token to be used for 20 minutes at least and 60 at most.
func TestProviderTokensAreReplacedInTime(t *testing.T) {
	t.Parallel()
	var got seen
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { got.add(r); accept(w, r) })
	timer := fake()
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: timer})
	c := parse(t, v, credentials(t))
	for range 4 * 60 {
		v.Send(t.Context(), c, devices(1), hello())
		used := got.issued(t)
		if age := timer.Now().Sub(used[len(used)-1]); age < 0 || age > 45*time.Minute {
			t.Fatalf("a token of the age %s was used", age)
		}
		timer.Advance(time.Minute)
	}
	used := got.issued(t)
	if len(used) < 6 || len(used) > 9 {
		t.Errorf("%d tokens in four hours", len(used))
	}
	for i, at := range used {
		if i > 0 && at.Sub(used[i-1]) < 20*time.Minute {
			t.Errorf("tokens of %s and %s", used[i-1], at)
		}
	}
}

// Another server with the same key, or this one after a start, dates its token alike.
func TestServersDateTheirTokensAlike(t *testing.T) {
	t.Parallel()
	var got seen
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { got.add(r); accept(w, r) })
	fields := credentials(t)
	for _, later := range []time.Duration{0, 7 * time.Minute, 19 * time.Minute} {
		timer := fake()
		timer.Advance(later)
		v := apns.New(wire.Deps{BaseURL: s.URL, Clock: timer})
		v.Send(t.Context(), parse(t, v, fields), devices(1), hello())
	}
	for _, at := range got.issued(t) {
		if want := time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC); !at.Equal(want) {
			t.Errorf("a token of %s", at)
		}
	}
}

func TestARefusedTokenIsReplacedOnceInTwentyMinutes(t *testing.T) {
	t.Parallel()
	var (
		got   seen
		calls atomic.Int64
	)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got.add(r)
		calls.Add(1)
		refuse(w, http.StatusForbidden, "InvalidProviderToken")
	})
	timer := fake()
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: timer})
	c := parse(t, v, credentials(t))
	send := func(want int64) {
		t.Helper()
		calls.Store(0)
		if o := v.Send(t.Context(), c, devices(1), hello())[0]; o.Status != wire.Denied || o.Reason != "InvalidProviderToken" {
			t.Errorf("%+v", o)
		}
		if calls.Load() != want {
			t.Errorf("%d calls, want %d", calls.Load(), want)
		}
	}
	send(2)
	send(1)
	timer.Advance(19 * time.Minute)
	send(1)
	timer.Advance(time.Minute)
	send(2)
	used := got.issued(t)
	if len(used) != 3 || !used[1].Equal(now) || !used[2].Equal(now.Add(20*time.Minute)) {
		t.Errorf("tokens of %v", used)
	}
}

// All streams that meet the same refusal share what comes in place of the token.
func TestManyStreamsReplaceARefusedTokenTogether(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		first string
		used  = map[string]int{}
	)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("Authorization")
		mu.Lock()
		if first == "" {
			first = token
		}
		used[token]++
		stale := token == first
		mu.Unlock()
		if stale {
			refuse(w, http.StatusForbidden, "ExpiredProviderToken")
			return
		}
		accept(w, r)
	})
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	for i, o := range v.Send(t.Context(), parse(t, v, credentials(t)), devices(200), hello()) {
		if o.Status != wire.Accepted {
			t.Fatalf("token %d: %+v", i, o)
		}
	}
	if len(used) != 2 {
		t.Errorf("%d provider tokens: %v", len(used), used)
	}
}
