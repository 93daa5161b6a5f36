package callback

import (
	"context"
	"encoding/json"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/webhook"
)

// Kind of a receipt; the number is its bit in the masks of settings and pushes, and what receivers see as "type".
type Kind int

// Kinds.
const (
	Delivered    Kind = 1
	Clicked      Kind = 2
	NotDelivered Kind = 4
	Accepted     Kind = 8
)

// Record is a fact to be told: what happened to one message, on one platform and channel, to how many devices ever.
type Record struct {
	// App is the internal number of the app.
	App int64
	// Msg is the message, SendNo what its caller gave (0: nothing).
	Msg, SendNo int64
	Kind        Kind
	// Platform of the devices, 0 if there is none to tell.
	Platform audience.Platform
	// Channel the message went through, e.g. "jpush"; empty if there is none to tell.
	Channel string
	// Ordinals and Set are the devices, together; those of no device at all are no fact. Both are only read. Accepted
	// has none.
	Ordinals []uint32
	Set      *roaring.Bitmap
	// At is when it happened, in Unix milliseconds.
	At int64
	// Reason why the message was not delivered, e.g. "expired".
	Reason string
	// URL, Params and Mask are what the push named (payload.Callback): its own address, or empty for the app's; a JSON
	// object, or nil; kinds, or 0 for those of the app.
	URL    string
	Params json.RawMessage
	Mask   int
}

// Record writes those of the facts that push or app want told in the caller's transaction. Call it after the statements
// that make them facts, once for all of a transaction: which of them are wanted is looked up in memory, and what is
// wanted costs one inserted row each, 16 rows to a statement (about 10 µs for a row on SQLite), with the devices as a
// list or a compressed set (8 KB for each 65,536 ordinals at most). It reads and locks nothing, so it can stand anywhere in an order of locks. Within an
// app and address, records are told in the order in which they were written; between transactions that run at once
// there is no order. A fact that repeats is told again: pass only what is newly so.
//
// Nothing is written for an app that this node does not know, a URL that is none (webhook.ParseURL), or a fact without
// devices. An error is the database's.
func (s *Service) Record(ctx context.Context, tx *db.Tx, records ...Record) error {
	var (
		now  = clock.Millis(s.clock.Now())
		rows []row
		last string // the address that was checked last; those of a batch are mostly the same
	)
	for i := range records {
		r := &records[i]
		if !s.wanted(r) {
			continue
		}
		if r.URL != "" && r.URL != last {
			if _, err := webhook.ParseURL(r.URL); err != nil {
				s.metrics.dropped.WithLabelValues(droppedAddress).Inc()
				continue
			}
			last = r.URL
		}
		w, err := newRow(r, now)
		if err != nil {
			return err
		}
		if w.waiting > 0 {
			rows = append(rows, w)
		}
	}
	return s.inserts.rows(ctx, tx, rows)
}

// wanted tells whether a kind is told at all, and there is an address for it.
func (s *Service) wanted(r *Record) bool {
	app := s.gate.AppByID(r.App)
	if app == nil || r.URL == "" && app.Settings.CallbackURL == "" {
		return false
	}
	mask := r.Mask
	if mask == 0 {
		mask = app.Settings.CallbackTypes
	}
	return mask&int(r.Kind) != 0
}

// row is a Record as it is stored.
type row struct {
	record
	id              int64
	app             int64
	url             string
	params, devices []byte
	from            int64 // devices below are told
	waiting         int64 // records that are not told
	size, createdAt int64
}

// record is what all records of a row have in common.
type record struct {
	msg, sendNo, at int64
	kind            Kind
	platform        audience.Platform
	channel, reason string
}

func newRow(r *Record, now int64) (row, error) {
	w := row{
		app: r.App, url: r.URL, params: r.Params, devices: []byte{}, waiting: 1, createdAt: now,
		record: record{msg: r.Msg, sendNo: r.SendNo, at: r.At, kind: r.Kind, platform: r.Platform, channel: r.Channel, reason: r.Reason},
	}
	if w.params == nil {
		w.params = []byte{}
	}
	if r.Kind != Accepted {
		var err error
		if w.devices, w.waiting, err = encodeDevices(r.Ordinals, r.Set); err != nil {
			return row{}, err
		}
	}
	w.size = int64(len(w.params) + len(w.devices))
	return w, nil
}
