package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/netguard"
)

// settleTimeout bounds how long a settled attempt waits for the database; after it the lease ends by itself.
const settleTimeout = 10 * time.Second

// retries are the pauses after the first, second, … failed attempt; after the last pause comes the last attempt.
func retries() []time.Duration {
	return []time.Duration{50 * time.Second, 3 * time.Minute, time.Hour}
}

// outcome of an attempt.
type outcome struct {
	status int    // of the last answer, 0 if there was none
	why    string // there is no answer, or it does not count
	result string // as metrics name it
	// cut: the node ended the attempt itself.
	cut bool
}

// send makes one attempt and stores what became of it.
func (s *Service) send(ctx context.Context, c *claim) error {
	began := s.clock.Now()
	o := s.attempt(ctx, c)
	if !o.cut {
		s.metrics.attempts.WithLabelValues(o.result).Inc()
		s.metrics.took.Observe(s.clock.Now().Sub(began).Seconds())
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return s.settle(ctx, c, o)
}

func (s *Service) attempt(ctx context.Context, c *claim) outcome {
	failed := func(why string) outcome { return outcome{why: why, result: resultFailed, cut: ctx.Err() != nil} }
	to, err := ParseURL(c.URL)
	if err != nil {
		return failed(err.Error())
	}
	source := s.sources[c.Kind]
	if source == nil {
		return failed("this node does not know the kind of the delivery")
	}
	with, err := source(ctx, c.Delivery)
	if err != nil {
		s.log.Warn("no credentials for a delivery", "delivery", c.ID, "err", err)
		return failed("the credentials are not available")
	}
	if c.Body, err = queryBody(ctx, s.db, c.ID); err != nil {
		s.log.Warn("no body of a delivery", "delivery", c.ID, "err", err)
		return outcome{cut: true} // our own trouble, not the receiver's
	}
	status, _, err := s.client.do(ctx, request{
		method: http.MethodPost, to: to, header: s.headers(c, with.Secret), body: c.Body, user: with.User, password: with.Password,
	})
	switch {
	case errors.Is(err, netguard.ErrAddress):
		return outcome{why: reason(err), result: resultRefused}
	case err != nil:
		return failed(reason(err))
	case status != http.StatusOK:
		return outcome{status: status, why: fmt.Sprintf("the receiver answered %d", status), result: resultFailed}
	}
	return outcome{status: status, result: resultDelivered}
}

func (s *Service) headers(c *claim, secret string) http.Header {
	timestamp, nonce := strconv.FormatInt(s.clock.Now().Unix(), 10), newNonce()
	h := make(http.Header)
	h.Set("Content-Type", "application/json")
	h.Set(HeaderID, c.ID)
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderNonce, nonce)
	h.Set(HeaderSignature, Sign(secret, timestamp, nonce, c.Body))
	return h
}

// settle stores the outcome of an attempt, unless somebody else has the delivery now.
func (s *Service) settle(ctx context.Context, c *claim, o outcome) error {
	now := s.clock.Now()
	died := false
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		died = false
		switch {
		case o.cut:
			return release(ctx, tx, c, clock.Millis(now))
		case o.result == resultDelivered:
			return deleteDelivered(ctx, tx, c)
		}
		state, due := Dead, now
		if pauses := retries(); c.attempts < len(pauses) {
			state, due = Pending, now.Add(pauses[c.attempts])
		}
		held, err := updateFailed(ctx, tx, c, state, clock.Millis(due), clock.Millis(now), o.status, o.why)
		died = held && state == Dead
		return err
	})
	if err == nil && died {
		s.metrics.dead.Inc()
	}
	return err
}
