package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/db"
)

// messageState is where a message stands. The numbers are stored; those below stateDone have work to do.
type messageState uint8

const (
	stateSending messageState = iota + 1
	stateWithdrawing
	stateDone
	stateTakenBack
)

// partState is where one push at the vendor stands. The numbers are stored; those up to partAccepted are open.
type partState uint8

const (
	partSending partState = iota + 1
	// partAccepted: the vendor took it, and that is not settled yet.
	partAccepted
	partDone
	// partRefused: the vendor will not take it, partNobody: it knows none of the devices.
	partRefused
	partNobody
	// partUncertain: whether the vendor took it cannot be found out any more.
	partUncertain
	partExpired
	partWithdrawn
	// partEmpty: all its devices were claimed before it was sent.
	partEmpty
)

// message is a row of push_relay.
type message struct {
	id, app     int64
	state       messageState
	override    int64
	payload     []byte
	expiresAt   int64
	nextOrdinal int64
	attempts    int
}

// part is a row of push_relay_part.
type part struct {
	msg, number int64
	state       partState
	tried       bool
	first, last uint32
	devices     int
	cid         string
	cidAt       int64
	vendorID    string
	code        int
	message     string
}

// nextApp is the next app with work, by number; 0 if there is none.
func nextApp(ctx context.Context, d *db.DB, after int64) (int64, error) {
	var app int64
	err := d.QueryRow(ctx, `select app_id from push_relay where state < 3 and app_id > $1 order by app_id limit 1`, after).Scan(&app)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return 0, fmt.Errorf("relay: find work: %w", err)
	}
	return app, nil
}

// queryDue lists messages of an app with something to do now, those to few devices first. quiet: nothing may be sent, so only those whose
// time is over.
func queryDue(ctx context.Context, d *db.DB, app, now int64, quiet bool, limit int) ([]*message, error) {
	rows, err := d.Query(ctx, `select msg_id, app_id, state, override_id, payload, expires_at, next_ordinal, attempts from push_relay
		where state < 3 and app_id = $1 and (expires_at <= $2 or next_at <= $2 and $3 = false) order by wide, msg_id limit $4`, app, now, quiet, limit)
	if err != nil {
		return nil, fmt.Errorf("relay: find messages: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []*message
	for rows.Next() {
		m := &message{}
		if err := rows.Scan(&m.id, &m.app, &m.state, &m.override, &m.payload, &m.expiresAt, &m.nextOrdinal, &m.attempts); err != nil {
			return nil, fmt.Errorf("relay: find messages: %w", err)
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

const partColumns = `msg_id, part, state, tried, first_ordinal, last_ordinal, devices, cid, cid_at, vendor_id, code, message`

func scanPart(scan func(...any) error) (*part, error) {
	p := &part{}
	err := scan(&p.msg, &p.number, &p.state, &p.tried, &p.first, &p.last, &p.devices, &p.cid, &p.cidAt, &p.vendorID, &p.code, &p.message)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("relay: read part: %w", err)
	}
	return p, nil
}

// queryLast is the last part of a message; nil if it has none.
func queryLast(ctx context.Context, d *db.DB, msg int64) (*part, error) {
	return scanPart(d.QueryRow(ctx, `select `+partColumns+` from push_relay_part where msg_id = $1 order by part desc limit 1`, msg).Scan)
}

// queryParts lists parts of a message in a state that the vendor gave an id, in order.
func queryParts(ctx context.Context, d *db.DB, msg int64, state partState, limit int) ([]*part, error) {
	rows, err := d.Query(ctx, `select `+partColumns+` from push_relay_part where msg_id = $1 and state = $2 and vendor_id <> '' order by part limit $3`,
		msg, int64(state), limit)
	if err != nil {
		return nil, fmt.Errorf("relay: list parts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []*part
	for rows.Next() {
		p, err := scanPart(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

func insertPart(ctx context.Context, tx *db.Tx, p *part) error {
	_, err := tx.Exec(ctx, `insert into push_relay_part (`+partColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, p.args()...)
	if err != nil {
		return fmt.Errorf("relay: begin part: %w", err)
	}
	return nil
}

func updatePart(ctx context.Context, tx *db.Tx, p *part) error {
	_, err := tx.Exec(ctx, `update push_relay_part set state = $3, tried = $4, first_ordinal = $5, last_ordinal = $6, devices = $7, cid = $8, cid_at = $9,
		vendor_id = $10, code = $11, message = $12 where msg_id = $1 and part = $2`, p.args()...)
	if err != nil {
		return fmt.Errorf("relay: change part: %w", err)
	}
	return nil
}

func (p *part) args() []any {
	return []any{p.msg, p.number, int64(p.state), p.tried, int64(p.first), int64(p.last), p.devices, p.cid, p.cidAt, p.vendorID, p.code, p.message}
}

// updateMessage says when a message is to be looked at again, and why not at once. A message that was withdrawn meanwhile stays so.
func updateMessage(ctx context.Context, tx *db.Tx, m *message, nextAt int64, attempts int, failure string) error {
	_, err := tx.Exec(ctx, `update push_relay set next_ordinal = $2, next_at = $3, attempts = $4, failure = $5 where msg_id = $1`,
		m.id, m.nextOrdinal, nextAt, attempts, failure)
	if err != nil {
		return fmt.Errorf("relay: change message: %w", err)
	}
	return nil
}

// endMessage marks a message as done unless it has got another state meanwhile.
func endMessage(ctx context.Context, tx *db.Tx, m *message, leftOut int64) error {
	to := stateDone
	if m.state == stateWithdrawing {
		to = stateTakenBack
	}
	_, err := tx.Exec(ctx, `update push_relay set state = $3, left_out = $4 where msg_id = $1 and state = $2`, m.id, int64(m.state), int64(to), leftOut)
	if err != nil {
		return fmt.Errorf("relay: end message: %w", err)
	}
	return nil
}

// owned runs a transaction of the owner of the app's partition.
func (s *Service) owned(ctx context.Context, app int64, fn db.TxFunc) error {
	return s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.Leases.Check(ctx, tx, edgewire.Partition(app)); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

// chunksAtOnce is how many rows of devices are read at a time: a megabyte at most.
const chunksAtOnce = 64

// devices lists at most limit devices of a message from one ordinal to another that are unclaimed, ascending.
func (s *Service) devices(ctx context.Context, m *message, from, to int64, limit int) ([]uint32, error) {
	unclaimed, err := s.Devices.Unclaimed(ctx, m.app)
	if err != nil {
		return nil, err
	}
	var out []uint32
	for from <= to {
		chunks, err := s.readChunks(ctx, m.id, from>>16, to>>16)
		if err != nil || len(chunks) == 0 {
			return out, err
		}
		for _, c := range chunks {
			c.set.And(unclaimed)
			it := c.set.Iterator()
			it.AdvanceIfNeeded(uint32(max(from, c.number<<16)))
			for it.HasNext() {
				o := it.Next()
				if int64(o) > to || len(out) == limit {
					return out, nil
				}
				out = append(out, o)
			}
			from = (c.number + 1) << 16
		}
	}
	return out, nil
}

// leftOut counts the unclaimed devices that no part of a message has named.
func (s *Service) leftOut(ctx context.Context, m *message) (int64, error) {
	unclaimed, err := s.Devices.Unclaimed(ctx, m.app)
	if err != nil {
		return 0, err
	}
	var n int64
	for from := m.nextOrdinal >> 16; ; {
		chunks, err := s.readChunks(ctx, m.id, from, 1<<16-1)
		if err != nil || len(chunks) == 0 {
			return n, err
		}
		for _, c := range chunks {
			c.set.And(unclaimed)
			if c.number == m.nextOrdinal>>16 {
				c.set.RemoveRange(0, uint64(m.nextOrdinal))
			}
			n += int64(c.set.GetCardinality())
			from = c.number + 1
		}
	}
}

type chunk struct {
	number int64
	set    *roaring.Bitmap
}

func (s *Service) readChunks(ctx context.Context, msg, from, to int64) ([]chunk, error) {
	rows, err := s.DB.Query(ctx, `select chunk, bits from push_relay_set where msg_id = $1 and chunk >= $2 and chunk <= $3 order by chunk limit $4`,
		msg, from, to, chunksAtOnce)
	if err != nil {
		return nil, fmt.Errorf("relay: read devices: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []chunk
	for rows.Next() {
		var (
			c    = chunk{set: roaring.New()}
			bits []byte
		)
		if err := rows.Scan(&c.number, &bits); err != nil {
			return nil, fmt.Errorf("relay: read devices: %w", err)
		}
		if err := c.set.UnmarshalBinary(bits); err != nil {
			return nil, fmt.Errorf("relay: decode devices of message %d: %w", msg, err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

const (
	// cleanBatch is how many messages one transaction deletes.
	cleanBatch = 20
	// retention is how long results can be asked for, in milliseconds: as long as those of the message itself.
	retention = 35 * 24 * 3600 * 1000
)

// clean deletes what nobody can ask for any more.
func (s *Service) clean(ctx context.Context) error {
	before := s.now() - retention
	for {
		var n int64
		err := s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			const old = `(select msg_id from push_relay where accepted_at < $1 order by accepted_at limit $2)`
			for _, table := range []string{"push_relay_set", "push_relay_part"} {
				if _, err := tx.Exec(ctx, `delete from `+table+` where msg_id in `+old, before, cleanBatch); err != nil {
					return fmt.Errorf("relay: delete old: %w", err)
				}
			}
			var err error
			if n, err = tx.Exec(ctx, `delete from push_relay where msg_id in `+old, before, cleanBatch); err != nil {
				return fmt.Errorf("relay: delete old: %w", err)
			}
			return nil
		})
		if err != nil || n < cleanBatch {
			return err
		}
	}
}
