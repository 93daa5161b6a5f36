package edge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// backoff is the pause between attempts: it doubles from 20 ms to 1 s and is spread by a quarter, so that edges that
// lost the same core node do not come back in step.
type backoff struct{ next time.Duration }

const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

func newBackoff() *backoff { return &backoff{next: firstPause} }

// wait pauses; the error is that of ctx.
func (b *backoff) wait(ctx context.Context) error {
	d := b.next - b.next/4 + rand.N(b.next/2)
	b.next = min(2*b.next, lastPause)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// askOnce sends one request to the core and waits requestTimeout for the answer.
func (e *Edge) askOnce(ctx context.Context, subject string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return e.bus.Request(ctx, subject, in, out)
}

// errNoCore says that no core node answered in time.
var errNoCore = errors.New("edge: no core node answered")

// ask repeats a request for Limits.CoreWait: a partition without owner finds a new one within seconds.
func (e *Edge) ask(ctx context.Context, subject string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, e.limits.CoreWait)
	defer cancel()
	pause := newBackoff()
	for {
		err := e.askOnce(ctx, subject, in, out)
		if err == nil {
			return nil
		}
		if pause.wait(ctx) != nil {
			return fmt.Errorf("%w %s: %w", errNoCore, subject, err)
		}
	}
}
