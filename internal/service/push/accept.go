package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/service/push/file"
	"borealis/internal/service/push/payload"
)

const (
	// cidLife is how long an idempotency key answers with its first result.
	cidLife = 24 * time.Hour
	// overrideLife is how old a message may be that another one replaces.
	overrideLife = 24 * time.Hour
	// acceptTimeout is well below rescanSlack: a message is committed soon after the time it carries, or not at all.
	acceptTimeout = rescanSlack / 2
)

// Accepted is the answer to a push.
type Accepted struct {
	Msg    int64
	SendNo int64
}

// Result is what became of one push of several.
type Result struct {
	Accepted
	// Err is a *compat.Error, or what prevented all of them; nil if it was accepted.
	Err error
}

func rules(app *gate.App) payload.Rules {
	return payload.Rules{
		StrictKeys: app.Settings.StrictKeys, AppKey: app.Key,
		MaxTTL: time.Duration(app.Settings.MaxTTL) * time.Second, DefaultTTL: time.Duration(app.Settings.DefaultTTL) * time.Second,
	}
}

// Parse reads a push object under the rules of the app. The error is a *compat.Error.
func (s *Service) Parse(app *gate.App, body []byte) (*payload.Push, error) {
	return payload.Parse(body, rules(app))
}

// ParseScheduled is Parse for a push that is kept to be sent later, or made by the server: a cid in it is ignored.
func (s *Service) ParseScheduled(app *gate.App, body []byte) (*payload.Push, error) {
	r := rules(app)
	r.IgnoreCID = true
	return payload.Parse(body, r)
}

// Accept takes a push: it finds the targets and commits message, targets, cid and event in one transaction before it
// returns, then hands the message to the edges. Refusals are *compat.Error with the vendor's code.
func (s *Service) Accept(ctx context.Context, app *gate.App, p *payload.Push) (Accepted, error) {
	return s.acceptAs(ctx, app, p, ofCaller(app, p))
}

// Fire accepts a push and runs also in the transaction that stores it. After an error nothing was stored.
func (s *Service) Fire(ctx context.Context, app *gate.App, p *payload.Push, also Also) (int64, error) {
	accepted, err := s.acceptAs(ctx, app, p, terms{also: also, files: file.Owner{App: app.ID}})
	return accepted.Msg, err
}

// acceptAs is Accept under terms of the caller's choice.
func (s *Service) acceptAs(ctx context.Context, app *gate.App, p *payload.Push, terms terms) (Accepted, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()
	now := clock.Millis(s.clock.Now())
	if terms.cid != "" {
		if first, err := queryCID(ctx, s.db, app.ID, terms.cid, now); err != nil {
			return Accepted{}, err
		} else if first != nil {
			return *first, nil
		}
	}
	o, err := s.prepare(ctx, app, p, now, terms)
	if err != nil {
		return Accepted{}, err
	}
	if err := errors.Join(s.commit(ctx, o), o.err); err != nil {
		return Accepted{}, err
	}
	return o.accepted, nil
}

// AcceptAll accepts pushes of one app, each on its own: the results are in their order.
func (s *Service) AcceptAll(ctx context.Context, app *gate.App, pushes []*payload.Push) []Result {
	ctx, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()
	now := clock.Millis(s.clock.Now())
	results := make([]Result, len(pushes))
	orders := make([]*order, 0, len(pushes))
	at := make([]int, 0, len(pushes)) // place of each order in results
	for i, p := range pushes {
		if p.CID != "" {
			first, err := queryCID(ctx, s.db, app.ID, p.CID, now)
			if err != nil || first != nil {
				if results[i].Err = err; err == nil {
					results[i].Accepted = *first
				}
				continue
			}
		}
		o, err := s.prepare(ctx, app, p, now, ofCaller(app, p))
		if err != nil {
			results[i].Err = err
			continue
		}
		orders, at = append(orders, o), append(at, i)
	}
	var group errgroup.Group
	group.SetLimit(parallelCommits)
	for chunk := range slices.Chunk(orders, ordersPerTx) {
		group.Go(func() error {
			if err := s.commit(ctx, chunk...); err != nil {
				for _, o := range chunk {
					o.err = err
				}
			}
			return nil
		})
	}
	_ = group.Wait() // errors are in the orders
	for i, o := range orders {
		if results[at[i]].Err = o.err; o.err == nil {
			results[at[i]].Accepted = o.accepted
		}
	}
	return results
}

// parallelCommits is how many transactions of one batch wait for the group commit together.
const parallelCommits = 32

// Validate does everything Accept does, short of keeping and sending.
func (s *Service) Validate(ctx context.Context, app *gate.App, p *payload.Push) (Accepted, error) {
	o, err := s.prepare(ctx, app, p, clock.Millis(s.clock.Now()), ofCaller(app, p))
	if err != nil {
		return Accepted{}, err
	}
	return o.accepted, s.countLimits(ctx, s.db, o)
}

// notice is what the owner of the partition learns of a new message.
type notice struct {
	App      int64    `cbor:"1,keyasint"`
	Msg      int64    `cbor:"2,keyasint"`
	Wide     bool     `cbor:"3,keyasint"`
	Ordinals []uint32 `cbor:"4,keyasint,omitempty"`
	Expires  int64    `cbor:"5,keyasint"`
	Override int64    `cbor:"6,keyasint,omitempty"`
	Kind     kind     `cbor:"7,keyasint,omitempty"`
	Callback bool     `cbor:"8,keyasint,omitempty"`
	// Routed: channels of vendors may carry it.
	Routed bool `cbor:"9,keyasint,omitempty"`
}

// subjectAccepted is where the owner of the app's partition listens for notices.
func subjectAccepted(app int64) string {
	return fmt.Sprintf("push.accepted.%d", edgewire.Partition(app))
}
