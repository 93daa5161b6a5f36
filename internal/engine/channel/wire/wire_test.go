package wire_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

func TestAnAccessTokenIsFetchedOnceForAllWhoWait(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Unix(1_800_000_000, 0))
	tokens := wire.NewAccessTokens(now)
	var fetched atomic.Int64
	fetch := func(context.Context) (string, time.Duration, error) {
		n := fetched.Add(1)
		return strings.Repeat("t", int(n)), time.Hour, nil
	}
	all := func() {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := tokens.Get(t.Context(), "a", fetch); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	all()
	if fetched.Load() != 1 {
		t.Fatalf("fetched %d times", fetched.Load())
	}
	now.Advance(54 * time.Minute)
	all()
	if fetched.Load() != 1 {
		t.Fatal("fetched again while it was good")
	}
	now.Advance(time.Minute)
	all()
	if fetched.Load() != 2 {
		t.Fatalf("fetched %d times in two lives", fetched.Load())
	}
	tokens.Drop("a", "another")
	tokens.Drop("a", "tt")
	all()
	if fetched.Load() != 3 {
		t.Fatalf("fetched %d times after the vendor refused one", fetched.Load())
	}
}

func TestAFailedFetchIsNotRemembered(t *testing.T) {
	t.Parallel()
	tokens := wire.NewAccessTokens(clock.System{})
	broken := errors.New("broken")
	if _, err := tokens.Get(t.Context(), "a", func(context.Context) (string, time.Duration, error) { return "", 0, broken }); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	got, err := tokens.Get(t.Context(), "a", func(context.Context) (string, time.Duration, error) { return "x", time.Hour, nil })
	if got != "x" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestACallerBoundsAnswersAndFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/sim/large":
			_, _ = w.Write(make([]byte, 2<<20))
		case "/sim/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/sim/busy":
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/sim/cut":
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	c := wire.NewCaller(wire.Deps{BaseURL: server.URL + "/sim/", Clock: clock.System{}})
	if _, err := c.Post(t.Context(), "https://vendor.example/large", nil, nil); err == nil {
		t.Error("a large answer was read")
	}
	if a, err := c.Post(t.Context(), "https://vendor.example/moved?x=1", nil, nil); err != nil || a.Status != http.StatusFound {
		t.Errorf("redirect: %+v, %v", a, err)
	}
	if a, err := c.Post(t.Context(), "https://vendor.example/busy", nil, nil); err != nil || a.After != 90*time.Second {
		t.Errorf("busy: %+v, %v", a, err)
	}
	_, err := c.Post(t.Context(), "https://vendor.example/cut?token=secret", nil, nil)
	var call *wire.CallError
	if !errors.As(err, &call) || strings.Contains(err.Error(), "secret") {
		t.Errorf("cut: %v", err)
	}
}

func TestACallThatWasNeverWrittenIsToldFromOneWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, protocols := range map[string]func(*http.Protocols){
		"HTTP/1.1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"HTTP/2":   func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		var chosen http.Protocols
		protocols(&chosen)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		server.Config.Protocols = &chosen
		server.Start()
		transport := wire.NewTransport()
		transport.Protocols = &chosen
		c := wire.NewCaller(wire.Deps{BaseURL: server.URL, Transport: transport, Clock: clock.System{}})
		unsent := func(ctx context.Context) bool {
			_, err := c.Post(ctx, "https://vendor.example/send", nil, []byte("x"))
			var call *wire.CallError
			if !errors.As(err, &call) {
				t.Fatalf("%s: error %v", name, err)
			}
			return call.Unsent()
		}
		if unsent(t.Context()) {
			t.Errorf("%s: the server read the call and closed the connection", name)
		}
		server.Close()
		transport.CloseIdleConnections()
		if !unsent(t.Context()) {
			t.Errorf("%s: nobody listens", name)
		}
	}
	silent := wire.NewCaller(wire.Deps{Transport: broken{}, Clock: clock.System{}})
	_, err := silent.Post(t.Context(), "https://vendor.example/send", nil, nil)
	var call *wire.CallError
	if !errors.As(err, &call) || call.Unsent() {
		t.Errorf("a transport that says nothing: %v", err)
	}
}

// broken is a transport that fails and does not say how far it came.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("broken") }

func TestRetryAfterIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "x": 0, "-5": 0, "30": 30 * time.Second, "9999999": time.Hour, "99999999999999999999": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:00:05 GMT": 0,
	} {
		if got := wire.RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestTextsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	if got := wire.CutBytes("极光推送", 7); got != "极光" {
		t.Errorf("bytes: %q", got)
	}
	if got := wire.CutRunes("极光推送", 3); got != "极光推" {
		t.Errorf("characters: %q", got)
	}
	if got := wire.CutRunes("ab", 3); got != "ab" {
		t.Errorf("short: %q", got)
	}
}

func TestTextOfOthersIsPrintable(t *testing.T) {
	t.Parallel()
	o := wire.NewOutcome(wire.Failed, "5\x0000", "a\x00b\r\nc\xffd\u0085é")
	if o.Code != "5 00" || o.Reason != "a b  c\uFFFDd é" {
		t.Errorf("%q %q", o.Code, o.Reason)
	}
}
