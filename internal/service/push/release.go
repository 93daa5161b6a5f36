package push

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
)

const (
	offerTick = 500 * time.Millisecond
	syncTick  = 3 * time.Second
)

// release hands a newly accepted message to the edges and tells the owner of its partition.
func (s *Service) release(o *order) error {
	m, t := o.m, o.t
	n := notice{App: m.App, Msg: m.ID, Wide: m.Wide, Expires: m.ExpiresAt, Override: m.Override, Kind: m.Kind, Callback: m.Callback, Routed: o.routed}
	if m.Pace > 0 || m.Held {
		return s.tell(n) // the owner releases it: portion by portion, or those that no vendor reaches
	}
	if m.Wide {
		var err error
		for p, set := range t.many {
			frame, e := m.content(p)
			if e == nil {
				e = s.broadcast(m, frame, set)
			}
			err = errors.Join(err, e)
		}
		if err != nil {
			return err // untold, the owner will release it
		}
		return s.tell(n) // receipts that come earlier load the message themselves
	}
	byFrame := make(map[string][]uint32, 1)
	for _, target := range t.few {
		frame, err := m.content(target.Platform)
		if err != nil {
			return err
		}
		byFrame[string(frame)] = append(byFrame[string(frame)], target.Ordinal)
		n.Ordinals = append(n.Ordinals, target.Ordinal)
	}
	var err error
	for frame, ordinals := range byFrame {
		for edge, online := range s.presence.Split(m.App, ordinals) {
			err = errors.Join(err, s.bus.Publish(edgewire.ToEdge(edgewire.SubjectDeliver, edge), edgewire.Deliver{
				App: m.App, Ordinals: online,
				Frame: edgewire.Frame{Msg: m.ID, Payload: []byte(frame), Expires: m.ExpiresAt},
			}))
		}
	}
	if err != nil {
		return err
	}
	return s.tell(n)
}

// tell notifies the owner: this node itself without a detour, or whoever it is.
func (s *Service) tell(n notice) error {
	if s.noticed(n) {
		return nil
	}
	return s.bus.Publish(subjectAccepted(n.App), n)
}

// broadcast sends a frame to all edges, numbered so that each notices if it misses one.
func (s *Service) broadcast(m *message, frame []byte, set *roaring.Bitmap) error {
	bits, err := set.ToBytes()
	if err != nil {
		return fmt.Errorf("push: encode targets: %w", err)
	}
	msg := edgewire.Deliver{
		App: m.App, Set: bits, Node: s.node,
		Frame: edgewire.Frame{Msg: m.ID, Payload: frame, Expires: m.ExpiresAt, Wide: true},
	}
	// Numbering and publishing are one step: a number that overtakes another looks like a gap to every edge.
	s.seqMu.Lock()
	defer s.seqMu.Unlock()
	s.seqs[m.App]++
	msg.Seq = s.seqs[m.App]
	return s.bus.Publish(edgewire.SubjectDeliver, msg)
}

// sync repeats the numbers of this node's broadcasts.
func (s *Service) sync(context.Context) error {
	s.seqMu.Lock()
	defer s.seqMu.Unlock()
	// Sent without numbers too: an edge then knows this node, and notices if it misses the first.
	msg := edgewire.Sync{Node: s.node, Seqs: s.seqs}
	return s.bus.Publish(edgewire.SubjectSync, msg)
}

// offer names the devices with unacknowledged direct messages to every edge.
func (s *Service) offer(context.Context) error {
	var errs []error
	for app, ordinals := range s.pending.due(s.clock.Now(), s.presence.Online) {
		s.metrics.offered.Add(float64(len(ordinals)))
		errs = append(errs, s.publishOffer(app, ordinals))
	}
	return errors.Join(errs...)
}

// maxOffer bounds one message on the bus.
const maxOffer = 50_000

func (s *Service) publishOffer(app int64, ordinals []uint32) error {
	var errs []error
	for len(ordinals) > 0 {
		n := min(len(ordinals), maxOffer)
		errs = append(errs, s.bus.Publish(edgewire.SubjectOffer, edgewire.Offer{App: app, Ordinals: ordinals[:n]}))
		ordinals = ordinals[n:]
	}
	return errors.Join(errs...)
}

// noticed records a new message if this node owns its partition.
func (s *Service) noticed(n notice) bool {
	own := s.ownership(edgewire.Partition(n.App))
	if own == nil {
		return false
	}
	own.noticed.Add(1)
	s.released.add(n.Msg, struct{}{})
	m := &message{ID: n.Msg, App: n.App, Kind: n.Kind, Wide: n.Wide, Override: n.Override, Callback: n.Callback}
	if !n.Wide {
		s.rows.add(n.Msg, m.fact())
		s.pending.add(s.clock.Now(), n.App, n.Msg, n.Ordinals, clock.FromMillis(n.Expires))
	} else {
		s.background("load wide message", func(ctx context.Context) error {
			_, err := s.wideOf(ctx, n.Msg)
			return err
		})
	}
	if n.Override != 0 {
		s.replaceLater(m)
	}
	if n.Routed {
		s.parts.route.Wake()
	}
	return true
}

// maxBackground bounds the work that nobody waits for; more of it waits in the call that asks for it.
const maxBackground = 64

// background does work of a bounded time that nobody waits for. Run waits for it at the end.
func (s *Service) background(what string, work func(context.Context) error) {
	s.slots <- struct{}{}
	s.behind.Go(func() {
		defer func() { <-s.slots }()
		//nolint:forbidigo // the caller does not wait, so its context says nothing about this
		ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
		defer cancel()
		if err := work(ctx); err != nil {
			s.log.Warn("background work failed", "work", what, "err", err)
		}
	})
}
