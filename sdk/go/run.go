package borealis

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errReset ends a session whose identity is gone.
var errReset = errors.New("the registration was ended")

// disconnectError is a DISCONNECT of the server.
type disconnectError struct{ answered }

func (e *disconnectError) Error() string {
	return (&RefusedError{What: "connection", Code: e.code, Reason: e.reason}).Error()
}

// Run keeps the device registered and connected, as soon as there is consent, until ctx ends; then it returns nil. It
// returns ErrTakenOver when another connection of this identity replaced this one: calling Run again takes it back.
func (c *Client) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.running {
		c.mu.Unlock()
		return ErrRunning
	}
	c.running = true
	c.mu.Unlock()
	var workers sync.WaitGroup
	defer func() {
		workers.Wait()
		c.mu.Lock()
		c.running = false
		c.mu.Unlock()
	}()
	t := trial{c: c, workers: &workers}
	for ctx.Err() == nil {
		delay, err := t.step(ctx)
		if err != nil {
			return err
		}
		if delay > 0 {
			_ = pause(ctx, c.o.scaled(delay), c.hurry) // cut short by the end of ctx only
		}
	}
	return nil
}

// trial is where Run stands.
type trial struct {
	c        *Client
	workers  *sync.WaitGroup
	failures int    // in a row
	voids    int    // refusals of the credentials in a row
	address  int    // of the next attempt
	other    string // the server to go to instead
}

// step does the next thing; delay is how long to wait after it. err ends Run.
func (t *trial) step(ctx context.Context) (delay time.Duration, err error) {
	c := t.c
	c.mu.Lock()
	id := c.state.identity
	c.mu.Unlock()
	switch {
	case id.Ending != nil:
		return t.after(ctx, c.tellEnd(ctx)), nil
	case id.Consent == nil:
		c.emit(Event{Kind: Waiting})
		for id.Consent == nil && id.Ending == nil && pause(ctx, time.Hour, c.changed) == nil {
			c.mu.Lock()
			id = c.state.identity
			c.mu.Unlock()
		}
		return 0, nil
	case id.RegistrationID == "":
		return t.after(ctx, c.register(ctx, id)), nil
	}
	addresses := usable(id.MQTT, c.o.Transport)
	if len(addresses) == 0 {
		return t.after(ctx, &RefusedError{What: WhatConnect, Reason: "the server told no address this SDK can use"}), c.forget(id.RegistrationID)
	}
	address := addresses[t.address%len(addresses)]
	if t.other != "" {
		address, t.other = t.other, ""
	}
	s := newSession(c, id)
	lasted, err := s.run(ctx, address, t.workers)
	if lasted > 0 {
		t.voids = 0
	}
	if lasted >= c.o.scaled(settled) {
		t.failures = 0
	}
	if lasted == 0 {
		t.address++
	}
	switch ended, _ := errors.AsType[*disconnectError](err); {
	case ctx.Err() != nil, errors.Is(err, errReset):
		return 0, nil //nolint:nilerr // Run was ended, or the registration: the next step sees it
	case ended != nil && ended.code == codeTakenOver:
		c.emit(Event{Kind: TakenOver})
		return 0, ErrTakenOver
	case ended != nil && (ended.code == codeUseAnotherServer || ended.code == codeServerMoved):
		t.other = moved(address, ended.reference)
	}
	if lasted > 0 {
		c.emit(Event{Kind: Disconnected, Err: err})
	}
	if refused, _ := errors.AsType[*RefusedError](err); refused != nil && (refused.Code == codeBadCredentials || refused.Code == codeIdentifierInvalid) {
		if err := c.forget(id.RegistrationID); err != nil {
			c.trouble(err)
		}
		if t.voids++; t.voids == 1 {
			return 0, nil
		}
		return t.failed(0), nil
	}
	return t.after(ctx, err), nil
}

// after is how long to wait after err.
func (t *trial) after(ctx context.Context, err error) time.Duration {
	if err == nil || ctx.Err() != nil {
		return 0
	}
	later, _ := errors.AsType[*laterError](err)
	refused, _ := errors.AsType[*RefusedError](err)
	switch {
	case later != nil:
		t.c.trouble(err)
		return t.failed(later.after)
	case refused != nil && (refused.What == WhatRegister || refused.Code == codeNotAuthorized || refused.Code == 0):
		t.c.emit(Event{Kind: Refused, Err: refused})
		t.failures++
		return longBackoff(t.c.o.Random())
	}
	t.c.trouble(err)
	return t.failed(0)
}

func (t *trial) failed(retryAfter time.Duration) time.Duration {
	t.failures++
	return Backoff(t.failures, t.c.o.Random(), retryAfter)
}
