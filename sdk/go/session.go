package borealis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	writeTimeout = 10 * time.Second
	// lingering is how long receipts wait for others.
	lingering = time.Second
)

// session is one connection from its CONNECT to its end.
type session struct {
	c    *Client
	id   identity
	conn net.Conn
	in   chan published
	acks chan answered
	done chan struct{} // closed at the end

	writing sync.Mutex
	once    sync.Once
	cause   error // why it ended; valid when done is closed

	nextID    uint16
	keepAlive time.Duration // 0: none
	ups       [upKinds]up
	due       time.Time // when the receipts that wait are to be sent; zero: none wait
}

func newSession(c *Client, id identity) *session {
	return &session{c: c, id: id, in: make(chan published, receiveMaximum), acks: make(chan answered, upKinds), done: make(chan struct{})}
}

// end closes the connection; the first reason stays.
func (s *session) end(cause error) {
	s.once.Do(func() {
		s.cause = cause
		close(s.done)
		if s.conn != nil {
			_ = s.conn.Close()
		}
	})
}

func (s *session) write(p []byte) {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = s.conn.Write(p)
	}
	if err != nil {
		s.end(err)
	}
}

// run connects and serves the connection until it ends. lasted is 0 if the server did not accept it. Messages may still be
// handled afterwards; workers tells.
func (s *session) run(ctx context.Context, address string, workers *sync.WaitGroup) (lasted time.Duration, err error) {
	in, err := s.connect(ctx, address)
	if err != nil {
		return 0, err
	}
	defer s.end(errReset)
	began := time.Now()
	c := s.c
	c.mu.Lock()
	reset := c.state.identity.RegistrationID != s.id.RegistrationID // ended while it connected
	if !reset {
		c.session = s
	}
	c.mu.Unlock()
	if reset {
		return 0, errReset
	}
	defer func() {
		c.mu.Lock()
		c.session = nil
		if c.flight.profile != nil {
			c.state.words.Pending = c.flight.profile.then(c.state.words.Pending)
		}
		c.flight = flight{}
		c.mu.Unlock()
	}()
	stop := context.AfterFunc(ctx, func() {
		s.write(disconnectPacket())
		s.end(ctx.Err())
	})
	defer stop()
	c.emit(Event{Kind: Connected})
	workers.Go(func() { s.work(ctx) })
	var reader sync.WaitGroup
	reader.Go(func() { s.end(s.read(in)) })
	defer reader.Wait()
	s.send()
	return max(time.Since(began), 1), s.cause
}

// connect opens the connection and sees the server accept it.
func (s *session) connect(ctx context.Context, address string) (*bufio.Reader, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := s.c.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	s.conn = conn
	stop := context.AfterFunc(ctx, func() { s.end(ctx.Err()) })
	defer stop()
	in := bufio.NewReader(conn)
	a, err := s.greet(in)
	if err != nil {
		s.end(err)
		return nil, err
	}
	told := s.id.KeepAlive
	if a.keepAlive >= 0 {
		told = a.keepAlive
	}
	s.keepAlive = time.Duration(told) * time.Second
	if at, err := strconv.ParseInt(a.user[serverTimeProperty], 10, 64); err == nil {
		s.c.setOffset(at)
	}
	if !stop() {
		return nil, ctx.Err()
	}
	return in, conn.SetDeadline(time.Time{})
}

func (s *session) greet(in *bufio.Reader) (answered, error) {
	s.write(connectPacket(s.id.RegistrationID, s.c.o.AppKey, s.id.Secret, min(max(s.id.KeepAlive, 0), 1<<16-1)))
	p, err := readPacket(in)
	if err != nil {
		return answered{}, err
	}
	if p.kind != typeConnack {
		return answered{}, fmt.Errorf("%w: type %d instead of CONNACK", errMalformed, p.kind)
	}
	a, err := p.answer()
	switch {
	case err != nil:
		return a, err
	case a.code == codeUseAnotherServer, a.code == codeServerMoved:
		return a, &disconnectError{a}
	case a.code != 0:
		return a, &RefusedError{What: WhatConnect, Code: a.code, Reason: a.reason}
	}
	return a, nil
}

// read takes packets until the connection ends.
func (s *session) read(in *bufio.Reader) error {
	for {
		if s.keepAlive > 0 {
			if err := s.conn.SetReadDeadline(time.Now().Add(s.keepAlive * 3 / 2)); err != nil {
				return err
			}
		}
		p, err := readPacket(in)
		if err != nil {
			return err
		}
		if err := s.take(p); err != nil {
			return err
		}
	}
}

func (s *session) take(p packet) error {
	switch p.kind {
	case typePublish:
		m, err := p.published()
		if err != nil {
			return err
		}
		select {
		case s.in <- m:
		case <-s.done:
		}
	case typePuback:
		a, err := p.answer()
		if err != nil {
			return err
		}
		select {
		case s.acks <- a:
		case <-s.done:
		}
	case typePingresp:
	case typeDisconnect:
		a, err := p.answer()
		if err != nil {
			return err
		}
		return &disconnectError{a}
	default:
		return fmt.Errorf("%w: type %d", errMalformed, p.kind)
	}
	return nil
}

// work handles messages one after another.
func (s *session) work(ctx context.Context) {
	for {
		select {
		case <-s.done:
			return
		case m := <-s.in:
			s.c.handle(ctx, s, m)
		}
	}
}

// ended reports whether the connection has ended.
func (s *session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// ErrNotTaken can be returned by OnMessage for a message that shall come again.
var ErrNotTaken = errors.New("borealis: the message was not taken")
