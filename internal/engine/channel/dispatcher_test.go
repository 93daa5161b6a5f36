package channel_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/engine/channel"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// fake is a vendor that answers what it is told to.
type fake struct {
	traits  wire.Traits
	answer  func(tokens []wire.Token) []wire.Outcome
	calls   atomic.Int64
	now     atomic.Int64
	mu      sync.Mutex
	highest int64
}

type account string

func (a account) ID() string { return string(a) }

func (f *fake) Traits() wire.Traits                           { return f.traits }
func (f *fake) Parse([]byte) (wire.Credentials, error)        { return account("a"), nil }
func (f *fake) Probe(context.Context, wire.Credentials) error { return nil }

func (f *fake) Send(_ context.Context, _ wire.Credentials, tokens []wire.Token, _ *wire.Message) []wire.Outcome {
	f.calls.Add(1)
	n := f.now.Add(1)
	defer f.now.Add(-1)
	f.mu.Lock()
	f.highest = max(f.highest, n)
	f.mu.Unlock()
	return f.answer(tokens)
}

func accept(tokens []wire.Token) []wire.Outcome {
	out := make([]wire.Outcome, len(tokens))
	for i, t := range tokens {
		out[i] = wire.Outcome{Status: wire.Accepted, VendorID: t.Value}
	}
	return out
}

func tokens(n int) []wire.Token {
	out := make([]wire.Token, n)
	for i := range out {
		out[i].Value = strconv.Itoa(i)
	}
	return out
}

func TestTokensAreSentInBatchesAndAnsweredInOrder(t *testing.T) {
	t.Parallel()
	f := &fake{traits: wire.Traits{Name: wire.Huawei, Batch: 100, Parallel: 2}, answer: accept}
	d := channel.New(clock.System{}, f)
	got := d.Send(t.Context(), 1, wire.Huawei, account("a"), tokens(250), &wire.Message{})
	if len(got) != 250 || f.calls.Load() != 3 {
		t.Fatalf("%d outcomes of %d calls", len(got), f.calls.Load())
	}
	for i, o := range got {
		if o.VendorID != strconv.Itoa(i) {
			t.Fatalf("outcome %d is that of %s", i, o.VendorID)
		}
	}
}

func TestAnAccountMakesNoMoreCallsAtOnceThanItMay(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	f := &fake{traits: wire.Traits{Name: wire.Huawei, Batch: 1, Parallel: 3}, answer: func(ts []wire.Token) []wire.Outcome { <-gate; return accept(ts) }}
	d := channel.New(clock.System{}, f)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { d.Send(t.Context(), 1, wire.Huawei, account("a"), tokens(1), &wire.Message{}) })
	}
	for range 20 {
		gate <- struct{}{}
	}
	wg.Wait()
	if f.highest > 3 || f.calls.Load() != 20 {
		t.Fatalf("%d at once, %d calls", f.highest, f.calls.Load())
	}
}

func TestTheRateIsCountedInTheVendorsUnit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit wire.Unit
		want int // calls of 50 tokens that pass at one moment, of 100 a second and the waiting time
	}{{wire.Messages, 2}, {wire.Requests, 100}} {
		now := clock.NewFake(time.Unix(1_800_000_000, 0))
		f := &fake{traits: wire.Traits{Name: wire.Xiaomi, Batch: 50, Parallel: 1, Rate: wire.Rate{PerSecond: 100, Unit: c.unit}}, answer: accept}
		d := channel.New(now, f)
		passed := 0
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if d.Send(ctx, 1, wire.Xiaomi, account("a"), tokens(50), &wire.Message{})[0].Status == wire.Accepted {
				passed++
			}
			cancel()
		}
		if passed != c.want {
			t.Errorf("unit %d: %d calls passed, want %d", c.unit, passed, c.want)
		}
	}
}

func TestAVendorThatFailsIsLeftAloneAndTriedAgain(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Unix(1_800_000_000, 0))
	failing := true
	f := &fake{traits: wire.Traits{Name: wire.Meizu, Batch: 10, Parallel: 1}, answer: func(ts []wire.Token) []wire.Outcome {
		if failing {
			return wire.All(len(ts), wire.Outcome{Status: wire.Failed})
		}
		return accept(ts)
	}}
	d := channel.New(now, f)
	send := func(app int64) wire.Outcome {
		return d.Send(t.Context(), app, wire.Meizu, account("a"), tokens(1), &wire.Message{})[0]
	}
	for range 10 {
		send(1)
	}
	if f.calls.Load() != 3 {
		t.Fatalf("%d calls to a vendor that failed three times", f.calls.Load())
	}
	if o := send(1); o.Status != wire.Failed || o.After != 2*time.Second {
		t.Fatalf("outcome %+v", o)
	}
	if send(2); f.calls.Load() != 4 {
		t.Fatal("another app was held back")
	}
	now.Advance(2 * time.Second)
	send(1)
	send(1)
	if f.calls.Load() != 5 {
		t.Fatalf("%d calls after the pause, want one more", f.calls.Load()-4)
	}
	failing = false
	now.Advance(4 * time.Second)
	for range 5 {
		if o := send(1); o.Status != wire.Accepted {
			t.Fatalf("outcome %+v after the vendor came back", o)
		}
	}
}

func TestRefusedCredentialsStopTheAppUntilTheyAreNew(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Unix(1_800_000_000, 0))
	f := &fake{traits: wire.Traits{Name: wire.Vivo, Batch: 10, Parallel: 1}, answer: func(ts []wire.Token) []wire.Outcome {
		return wire.All(len(ts), wire.NewOutcome(wire.Denied, "10001", "bad key"))
	}}
	d := channel.New(now, f)
	for range 3 {
		if o := d.Send(t.Context(), 1, wire.Vivo, account("a"), tokens(1), &wire.Message{})[0]; o.Status != wire.Denied || o.Code != "10001" {
			t.Fatalf("outcome %+v", o)
		}
	}
	if f.calls.Load() != 1 {
		t.Fatalf("%d calls with refused credentials", f.calls.Load())
	}
	d.Reset(1, wire.Vivo)
	d.Send(t.Context(), 1, wire.Vivo, account("a"), tokens(1), &wire.Message{})
	if f.calls.Load() != 2 {
		t.Fatal("new credentials were not tried")
	}
}

// While the app waits, everybody hears why: not what one token alone was told.
func TestThePauseTellsOfTheRefusal(t *testing.T) {
	t.Parallel()
	f := &fake{traits: wire.Traits{Name: wire.Vivo, Batch: 10, Parallel: 1}, answer: func([]wire.Token) []wire.Outcome {
		return []wire.Outcome{{Status: wire.Limited, Alone: true}, {Status: wire.Failed}, {Status: wire.Denied, Code: "10001"}}
	}}
	d := channel.New(clock.NewFake(time.Unix(1_800_000_000, 0)), f)
	for range 2 {
		d.Send(t.Context(), 1, wire.Vivo, account("a"), tokens(3), &wire.Message{})
	}
	if o := d.Send(t.Context(), 1, wire.Vivo, account("a"), tokens(1), &wire.Message{})[0]; f.calls.Load() != 1 || o.Status != wire.Denied || o.Code != "10001" {
		t.Errorf("%d calls, then %+v", f.calls.Load(), o)
	}
}

func TestAVendorWithoutAnswerForSomeIsUnknownForThem(t *testing.T) {
	t.Parallel()
	f := &fake{traits: wire.Traits{Name: wire.OPPO, Batch: 10, Parallel: 1}, answer: func(ts []wire.Token) []wire.Outcome { return accept(ts[:1]) }}
	got := channel.New(clock.System{}, f).Send(t.Context(), 1, wire.OPPO, account("a"), tokens(3), &wire.Message{})
	if len(got) != 3 || got[0].Status != wire.Accepted || got[2].Status != wire.Unknown {
		t.Fatalf("outcomes %+v", got)
	}
	if o := channel.New(clock.System{}).Send(t.Context(), 1, wire.OPPO, account("a"), tokens(1), &wire.Message{}); o[0].Status != wire.Rejected {
		t.Fatalf("unknown channel: %+v", o)
	}
}
