package borealis

import (
	"context"
	"fmt"
	"slices"
)

// maxFailures is how often a message is handed over that OnMessage does not take.
const maxFailures = 3

// verdict is what to do with a message.
type verdict int

const (
	show    verdict = iota
	drop            // remember and acknowledge
	known           // acknowledge
	removal         // take another message off the screen
)

// handle takes one PUBLISH: hands it over, remembers it, and only then acknowledges it.
func (c *Client) handle(ctx context.Context, s *session, p published) {
	c.handling.Lock() // a message of an earlier connection may still be with OnMessage
	defer c.handling.Unlock()
	if s.ended() {
		return // it comes again
	}
	if p.topic != topicPush {
		s.acknowledge(p)
		return
	}
	m, err := parseMessage(p.payload)
	if err != nil {
		c.trouble(err)
		s.acknowledge(p)
		return
	}
	switch c.judge(&m) {
	case show:
		if c.o.OnMessage != nil {
			err = c.o.OnMessage(ctx, m)
		}
		if err != nil && !c.givenUp(&m) {
			c.trouble(fmt.Errorf("message %s was not taken: %w", m.ID, err))
			return
		}
	case removal:
		if c.o.OnWithdraw != nil {
			c.o.OnWithdraw(ctx, m.withdraw)
		}
	case known:
		s.acknowledge(p)
		return
	case drop:
	}
	if err := c.remember(&m, s); err != nil {
		c.trouble(err)
		return
	}
	s.acknowledge(p)
}

func (s *session) acknowledge(p published) {
	if p.id != 0 {
		s.write(pubackPacket(p.id))
	}
}

// judge decides about a message and sets Silent.
func (c *Client) judge(m *Message) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, words := &c.state.seen, &c.state.words
	switch {
	case slices.Contains(seen.Messages, m.key()):
		return known
	case m.Type == typeWithdraw:
		return removal
	case slices.Contains(seen.Gone, m.ID), words.Off, m.ExpiresAt > 0 && m.ExpiresAt <= c.serverNowLocked().UnixMilli():
		return drop
	}
	m.Silent = words.Silence.covers(c.o.Now())
	return show
}

// remember stores that the message need not come again.
func (c *Client) remember(m *Message, s *session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.identity.InstallID != s.id.InstallID {
		return nil // the device has ended meanwhile
	}
	next := c.state.seen
	next.Messages = bounded(next.Messages, m.key(), maxSeen)
	for _, id := range [...]string{m.withdraw, m.Override} {
		if id != "" {
			next.Gone = bounded(next.Gone, id, maxSeen)
		}
	}
	delete(c.failed, m.key())
	err := put(c.o.Storage, docSeen, next)
	// Also when it could not be stored: this life does not show it again, and acknowledges it when it comes again.
	c.state.seen = next
	return err
}

// givenUp counts a failure of OnMessage and reports whether it was the last.
func (c *Client) givenUp(m *Message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failed) >= maxSeen {
		clear(c.failed)
	}
	c.failed[m.key()]++
	return c.failed[m.key()] >= maxFailures
}
