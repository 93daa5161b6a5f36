package borealis

import (
	"encoding/json"
	"fmt"
	"time"
)

// What a device sends up, each kind one at a time.
const (
	upProfile = iota
	upToken
	upReceipts
	upKinds
)

var (
	upTopics = [upKinds]string{topicProfile, topicTokens, topicEvents}
	upNames  = [upKinds]string{WhatProfile, WhatToken, WhatEvents}
)

// up is what is under way of one kind.
type up struct {
	id        uint16 // of the PUBLISH that is not acknowledged; 0: none
	failures  int    // in a row
	notBefore time.Time
}

// send sends what there is to send until the connection ends.
func (s *session) send() {
	var pings <-chan time.Time
	if s.keepAlive > 0 {
		t := time.NewTicker(s.keepAlive)
		defer t.Stop()
		pings = t.C
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if wait := s.sendDue(); wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-s.done:
			return
		case <-s.c.changed:
		case a := <-s.acks:
			s.answered(a)
		case <-pings:
			s.write(pingPacket())
		case <-timer.C:
		}
	}
}

// sendDue sends what may be sent now, and returns how long until more may be; 0: until something happens.
func (s *session) sendDue() (wait time.Duration) {
	for kind := range s.ups {
		u := &s.ups[kind]
		if u.id != 0 {
			continue
		}
		if left := time.Until(u.notBefore); left > 0 {
			wait = sooner(wait, left)
			continue
		}
		body, left := s.next(kind)
		if body == nil {
			wait = sooner(wait, left)
			continue
		}
		payload, err := json.Marshal(body)
		if err != nil {
			s.end(fmt.Errorf("encode %s: %w", upTopics[kind], err))
			return 0
		}
		if s.nextID++; s.nextID == 0 {
			s.nextID = 1
		}
		u.id = s.nextID
		s.write(publishPacket(upTopics[kind], u.id, payload))
	}
	return wait
}

func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// next takes the next of a kind into flight; without one, left says how long until there is one.
func (s *session) next(kind int) (body any, left time.Duration) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != s || c.state.identity.RegistrationID != s.id.RegistrationID {
		return nil, 0
	}
	w := &c.state.words
	switch kind {
	case upProfile:
		if w.Pending.empty() {
			c.apart = false
			return nil, 0
		}
		p, rest := w.Pending, profile{}
		if c.apart {
			p, rest = p.first()
		}
		c.flight.profile, w.Pending = &p, rest
		return p, 0
	case upToken:
		for _, t := range w.PendingTokens {
			c.flight.token = &t
			return t, 0
		}
		return nil, 0
	}
	n := min(len(c.state.receipts), batchSize)
	if n == 0 {
		s.due = time.Time{}
		return nil, 0
	}
	if s.due.IsZero() {
		s.due = time.Now().Add(c.o.scaled(lingering))
	}
	if left := time.Until(s.due); left > 0 && n < batchSize {
		return nil, left
	}
	s.due = time.Time{}
	c.flight.receipts = n
	return map[string]any{"events": c.state.receipts[:n:n]}, 0
}

// answered takes a PUBACK.
func (s *session) answered(a answered) {
	for kind := range s.ups {
		u := &s.ups[kind]
		if a.id == 0 || u.id != a.id {
			continue
		}
		u.id = 0
		final := a.code < 0x80
		if a.code == codeNotAuthorized || a.code == codeQuota || a.code == codeInvalidPayload {
			if final = kind != upProfile || !s.c.sendApart(); !final {
				u.notBefore = time.Time{}
				continue
			}
			s.c.emit(Event{Kind: Refused, Err: &RefusedError{What: upNames[kind], Code: a.code, Reason: a.reason}})
		}
		if final {
			u.failures, u.notBefore = 0, time.Time{}
		} else {
			u.failures++
			u.notBefore = time.Now().Add(s.c.o.scaled(Backoff(u.failures, s.c.o.Random(), 0)))
		}
		if err := s.c.landed(s, kind, final); err != nil {
			s.c.trouble(err)
		}
	}
}

// sendApart makes a profile that was refused wait again, member by member; false if it has only one.
func (c *Client) sendApart() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.flight.profile
	if p == nil || p.single() {
		return false
	}
	c.flight.profile, c.apart = nil, true
	c.state.words.Pending = p.then(c.state.words.Pending)
	return true
}

// landed ends the flight of a kind: what is final is forgotten, the rest waits again.
func (c *Client) landed(s *session, kind int, final bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != s || c.state.identity.RegistrationID != s.id.RegistrationID {
		return nil
	}
	w := c.state.words.clone()
	switch kind {
	case upProfile:
		p := c.flight.profile
		c.flight.profile = nil
		if p == nil || !final {
			if p != nil {
				c.state.words.Pending = p.then(c.state.words.Pending)
			}
			return nil
		}
		return c.storeWordsLocked(w)
	case upToken:
		t := c.flight.token
		c.flight.token = nil
		if t == nil || !final || w.PendingTokens[t.Channel] != *t {
			return nil
		}
		delete(w.PendingTokens, t.Channel)
		return c.storeWordsLocked(w)
	}
	n := c.flight.receipts
	c.flight.receipts = 0
	if !final || n == 0 {
		return nil
	}
	left := c.state.receipts[n:]
	c.state.receipts = left
	return put(c.o.Storage, docReceipts, left)
}
