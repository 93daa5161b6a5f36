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
func (s *Service) release(m *message, t *targets) error {
	n := notice{App: m.App, Msg: m.ID, Wide: m.Wide, Expires: m.ExpiresAt, Override: m.Override}
	if m.Wide {
		// The owner first: receipts may come back at once. It loads the message when it hears of it either way.
		err := s.tell(n)
		for p, set := range t.many {
			frame, e := m.content(p)
			if e == nil {
				e = s.broadcast(m, frame, set)
			}
			err = errors.Join(err, e)
		}
		return err
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
	err := s.tell(n)
	for frame, ordinals := range byFrame {
		for edge, online := range s.presence.Split(m.App, ordinals) {
			err = errors.Join(err, s.bus.Publish(edgewire.ToEdge(edgewire.SubjectDeliver, edge), edgewire.Deliver{
				App: m.App, Ordinals: online,
				Frame: edgewire.Frame{Msg: m.ID, Payload: []byte(frame), Expires: m.ExpiresAt},
			}))
		}
	}
	return err
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
	if len(s.seqs) == 0 {
		return nil
	}
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
	if !n.Wide {
		s.rows.add(n.Msg)
		s.pending.add(s.clock.Now(), n.App, n.Msg, n.Ordinals, clock.FromMillis(n.Expires))
		if n.Override != 0 {
			s.background("replace message", func(ctx context.Context) error {
				return s.replaceInWide(ctx, n.App, n.Override, n.Ordinals)
			})
		}
		return true
	}
	s.background("load wide message", func(ctx context.Context) error {
		// Receipts that come earlier load the message themselves.
		w, err := s.wideOf(ctx, n.Msg)
		if err != nil || w == nil || w.Override == 0 {
			return err
		}
		return s.replaceWide(ctx, w)
	})
	return true
}

// background does work of a bounded time that nobody waits for.
func (s *Service) background(what string, work func(context.Context) error) {
	go func() {
		//nolint:forbidigo // the caller does not wait, so its context says nothing about this
		ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
		defer cancel()
		if err := work(ctx); err != nil {
			s.log.Warn("background work failed", "work", what, "err", err)
		}
	}()
}
