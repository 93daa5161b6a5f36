package push

import (
	"context"
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/pushevent"
)

// mark says that devices reached a stage of a message.
type mark struct {
	msg   int64
	stage stage
	// One of the two.
	ordinals []uint32
	set      *roaring.Bitmap
	at       int64 // Unix milliseconds
	// channel of a vendor that reported it; empty: our own connections.
	channel string
}

func (m *mark) each(visit func(uint32) error) error {
	if m.set == nil {
		for _, o := range m.ordinals {
			if err := visit(o); err != nil {
				return err
			}
		}
		return nil
	}
	for it := m.set.Iterator(); it.HasNext(); {
		if err := visit(it.Next()); err != nil {
			return err
		}
	}
	return nil
}

func (m *mark) bitmap() *roaring.Bitmap {
	if m.set != nil {
		return m.set
	}
	return roaring.BitmapOf(m.ordinals...)
}

// ErrReceipt is wrapped by errors of receipts that cannot be read; repeating them does not help.
var ErrReceipt = errors.New("push: receipt not understood")

// receiptMarks reads the receipts of an edge.
func receiptMarks(r edgewire.Receipts) ([]mark, error) {
	marks := make([]mark, 0, len(r.Items))
	for _, item := range r.Items {
		m := mark{msg: item.Msg, ordinals: item.Ordinals, at: r.At, channel: r.Channel}
		switch item.Stage {
		case edgewire.Sent:
			m.stage = stageSent
		case edgewire.Delivered:
			m.stage = stageDelivered
		default:
			return nil, fmt.Errorf("%w: stage %d", ErrReceipt, item.Stage)
		}
		if len(item.Set) > 0 {
			m.set, m.ordinals = roaring.New(), nil
			if err := m.set.UnmarshalBinary(item.Set); err != nil {
				return nil, fmt.Errorf("%w: set of message %d: %w", ErrReceipt, item.Msg, err)
			}
		}
		marks = append(marks, m)
	}
	return marks, nil
}

// implies are the stages a mark stands for, lowest first: what was clicked was displayed, what was displayed was
// delivered, what was delivered was sent.
func (s stage) implies() []stage {
	if s >= stageHeld {
		return []stage{s}
	}
	return []stage{stageSent, stageDelivered, stageDisplayed, stageClicked}[:s]
}

// rowSQL is the statement that sets a stage on a target row.
func rowSQL(s stage) string {
	switch s {
	case stageSent:
		return markSentSQL
	case stageDelivered:
		return markDeliveredSQL
	case stageDisplayed:
		return markDisplayedSQL
	case stageClicked:
		return markClickedSQL
	case stageHeld:
		return holdSQL
	case stageReturned:
		return returnSQL
	}
	return settleSQL
}

// applyRows marks target rows and counts what was new; fresh, if not nil, hears of each.
func applyRows(ctx context.Context, tx *db.Tx, app int64, m *mark, progress *pushevent.Progress, fresh func(stage, uint32)) error {
	for _, s := range m.stage.implies() {
		value := m.at
		if s >= stageFailed {
			value = int64(s - stageFailed)
		}
		err := m.each(func(ordinal uint32) error {
			n, err := tx.Exec(ctx, rowSQL(s), m.msg, int64(ordinal), value, app)
			count(progress, s, n)
			if n > 0 && fresh != nil {
				fresh(s, ordinal)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("push: mark targets: %w", err)
		}
	}
	return nil
}

// applied is what a mark changed in memory, to be taken back if the transaction fails.
type applied struct {
	wide  *wide
	stage stage
	fresh *roaring.Bitmap
}

// applyWide marks sets of a wide message in memory and counts what was new.
func applyWide(w *wide, m *mark, progress *pushevent.Progress) []applied {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []applied
	for _, s := range m.stage.implies() {
		fresh := w.add(s, m.bitmap())
		if fresh.IsEmpty() {
			continue
		}
		count(progress, s, int64(fresh.GetCardinality()))
		out = append(out, applied{w, s, fresh})
	}
	return out
}

func count(p *pushevent.Progress, s stage, n int64) {
	switch {
	case s == stageSent:
		p.Sent += n
	case s == stageDelivered:
		p.Delivered += n
	case s == stageDisplayed:
		p.Displayed += n
	case s == stageClicked:
		p.Clicked += n
	case s == failed(VendorAccepted): // neither delivered nor failed
	case s >= stageFailed:
		p.Failed += n
	}
}

// owedPair is a device and a message.
type owedPair struct {
	msg     int64
	ordinal uint32
}
