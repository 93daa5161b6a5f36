package route

import (
	"context"
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/db"
)

// state of a message or a part. The numbers are stored.
type state uint8

// States of a message.
const (
	planning state = 1
	planned  state = 2
	// retracting: it was withdrawn, and who has it is to be found. retracted: these are in parts.
	retracting state = 3
	retracted  state = 4
)

// States of a part. Those below done are open.
const (
	waiting state = 1
	claimed state = 2
	done    state = 3
)

// part is devices of a message and a platform that one channel is to reach.
type part struct {
	id, msg, app int64
	name         wire.Name
	platform     audience.Platform
	why          string
	state        state
	tries        int
	dueAt        int64
	expiresAt    int64
	createdAt    int64
	devices      *roaring.Bitmap
}

// result is what became of devices of a part.
type result struct {
	part, msg int64
	name      wire.Name
	status    wire.Status
	code      string
	reason    string
	vendorID  string
	at        int64
	devices   *roaring.Bitmap
}

// line is a queue that has work, and since when that waits, Unix milliseconds.
type line struct {
	lineKey
	since int64
}

// queryLines lists what has work now: planning of messages, and channels with parts that are due. It looks at one entry of an
// index for each line, however much waits in it.
func queryLines(ctx context.Context, d *db.DB, now int64) ([]line, error) {
	rows, err := d.Query(ctx, `with recursive app (msg_id, app_id, accepted_at) as (
			select msg_id, app_id, accepted_at from push_route
				where msg_id = (select msg_id from push_route where state in (1, 3) order by app_id, msg_id limit 1)
			union all
			select n.msg_id, n.app_id, n.accepted_at from app a join push_route n on n.msg_id =
				(select r.msg_id from push_route r where r.state in (1, 3) and r.app_id > a.app_id order by r.app_id, r.msg_id limit 1)
		), line (part_id, app_id, channel, due_at) as (
			select part_id, app_id, channel, due_at from push_route_part
				where part_id = (select part_id from push_route_part where state < 3 order by app_id, channel, due_at limit 1)
			union all
			select n.part_id, n.app_id, n.channel, n.due_at from line l join push_route_part n on n.part_id = coalesce(
				(select p.part_id from push_route_part p where p.state < 3 and p.app_id = l.app_id and p.channel > l.channel order by p.channel, p.due_at limit 1),
				(select p.part_id from push_route_part p where p.state < 3 and p.app_id > l.app_id order by p.app_id, p.channel, p.due_at limit 1))
		)
		select app_id, '', accepted_at from app union all select app_id, channel, due_at from line where due_at <= $1 order by 1, 2`, now)
	if err != nil {
		return nil, fmt.Errorf("route: find work: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []line
	for rows.Next() {
		var l line
		if err := rows.Scan(&l.app, &l.name, &l.since); err != nil {
			return nil, fmt.Errorf("route: find work: %w", err)
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

// unplanned is a message that is to be planned, or taken back: state says which. next is where to go on: an ordinal, or the part before.
type unplanned struct {
	msg, next, expiresAt int64
	state                state
}

func queryUnplanned(ctx context.Context, d *db.DB, app int64, limit int) ([]unplanned, error) {
	rows, err := d.Query(ctx, `select msg_id, state, next_ordinal, expires_at from push_route where app_id = $1 and state in (1, 3) order by msg_id limit $2`, app, limit)
	if err != nil {
		return nil, fmt.Errorf("route: find messages: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []unplanned
	for rows.Next() {
		var u unplanned
		if err := rows.Scan(&u.msg, &u.state, &u.next, &u.expiresAt); err != nil {
			return nil, fmt.Errorf("route: find messages: %w", err)
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

// errOvertaken says that a message is no longer in the state that was to be left: it was withdrawn meanwhile.
var errOvertaken = errors.New("route: the message was withdrawn meanwhile")

// updatePlan says how far the planning of a message came. The error is errOvertaken if it is no longer in the first state.
func updatePlan(ctx context.Context, tx *db.Tx, msg int64, from, to state, next int64) error {
	n, err := tx.Exec(ctx, `update push_route set state = $3, next_ordinal = $4 where msg_id = $1 and state = $2`, msg, int64(from), int64(to), next)
	if err != nil {
		return fmt.Errorf("route: change message: %w", err)
	}
	if n == 0 {
		return errOvertaken
	}
	return nil
}

// queryWithdrawn tells whether a message was withdrawn.
func queryWithdrawn(ctx context.Context, tx *db.Tx, msg int64) (bool, error) {
	var s state
	err := tx.QueryRow(ctx, `select state from push_route where msg_id = $1`, msg).Scan(&s)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return false, fmt.Errorf("route: read message: %w", err)
	}
	return s == retracting || s == retracted, nil
}

const partColumns = `part_id, msg_id, app_id, channel, platform, why, state, tries, due_at, expires_at, created_at, bits`

func insertParts(ctx context.Context, tx *db.Tx, parts []*part) error {
	for _, p := range parts {
		bits, err := p.devices.ToBytes()
		if err != nil {
			return fmt.Errorf("route: encode devices: %w", err)
		}
		_, err = tx.Exec(ctx, `insert into push_route_part (`+partColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			p.id, p.msg, p.app, string(p.name), int64(p.platform), p.why, int64(p.state), p.tries, p.dueAt, p.expiresAt, p.createdAt, bits)
		if err != nil {
			return fmt.Errorf("route: insert part: %w", err)
		}
	}
	return nil
}

// updatePart writes what changes of a part.
func updatePart(ctx context.Context, tx *db.Tx, p *part) error {
	bits, err := p.devices.ToBytes()
	if err != nil {
		return fmt.Errorf("route: encode devices: %w", err)
	}
	_, err = tx.Exec(ctx, `update push_route_part set state = $2, tries = $3, due_at = $4, bits = $5 where part_id = $1`,
		p.id, int64(p.state), p.tries, p.dueAt, bits)
	if err != nil {
		return fmt.Errorf("route: change part: %w", err)
	}
	return nil
}

func queryParts(ctx context.Context, d *db.DB, where string, args ...any) ([]*part, error) {
	var out []*part
	err := eachPart(ctx, d, func(p *part) { out = append(out, p) }, where, args...)
	return out, err
}

// eachPart visits parts without keeping them: a message to many has thousands.
func eachPart(ctx context.Context, d *db.DB, visit func(*part), where string, args ...any) error {
	rows, err := d.Query(ctx, `select `+partColumns+` from push_route_part where `+where, args...)
	if err != nil {
		return fmt.Errorf("route: read parts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			p    = &part{devices: roaring.New()}
			bits []byte
		)
		err := rows.Scan(&p.id, &p.msg, &p.app, &p.name, &p.platform, &p.why, &p.state, &p.tries, &p.dueAt, &p.expiresAt, &p.createdAt, &bits)
		if err == nil {
			err = p.devices.UnmarshalBinary(bits)
		}
		if err != nil {
			return fmt.Errorf("route: read part: %w", err)
		}
		visit(p)
	}
	return rows.Err()
}

// delayPart puts off a part that cannot be taken up now, so that others of its line go on.
func delayPart(ctx context.Context, tx *db.Tx, id, until int64) error {
	if _, err := tx.Exec(ctx, `update push_route_part set due_at = $2 where part_id = $1`, id, until); err != nil {
		return fmt.Errorf("route: put off part: %w", err)
	}
	return nil
}

// insertResults numbers the results of a part behind those it has. The transaction must have changed the part's row before, which is
// the lock of the numbers.
func insertResults(ctx context.Context, tx *db.Tx, app, part int64, results []*result) error {
	var n int64
	if err := tx.QueryRow(ctx, `select coalesce(max(number), 0) from push_route_result where part_id = $1`, part).Scan(&n); err != nil {
		return fmt.Errorf("route: number results: %w", err)
	}
	for _, r := range results {
		n++
		bits, err := r.devices.ToBytes()
		if err != nil {
			return fmt.Errorf("route: encode devices: %w", err)
		}
		_, err = tx.Exec(ctx, `insert into push_route_result (part_id, number, msg_id, app_id, channel, status, code, reason, vendor_id, devices, at, bits)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			r.part, n, r.msg, app, string(r.name), int64(r.status), wire.Printable(r.code), wire.Printable(r.reason), wire.Printable(r.vendorID),
			int64(r.devices.GetCardinality()), r.at, bits)
		if err != nil {
			return fmt.Errorf("route: insert result: %w", err)
		}
	}
	return nil
}

// eachResult visits the results of a message in order of time without keeping them, each with why its part was made.
func eachResult(ctx context.Context, d *db.DB, app, msg int64, visit func(r *result, why string)) error {
	rows, err := d.Query(ctx, `select r.part_id, r.msg_id, r.channel, r.status, r.code, r.reason, r.vendor_id, r.at, r.bits, p.why
		from push_route_result r join push_route_part p on p.part_id = r.part_id where r.msg_id = $1 and r.app_id = $2 order by r.at, r.part_id, r.number`, msg, app)
	if err != nil {
		return fmt.Errorf("route: read results: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			r    = &result{devices: roaring.New()}
			bits []byte
			why  string
		)
		err := rows.Scan(&r.part, &r.msg, &r.name, &r.status, &r.code, &r.reason, &r.vendorID, &r.at, &bits, &why)
		if err == nil {
			err = r.devices.UnmarshalBinary(bits)
		}
		if err != nil {
			return fmt.Errorf("route: read result: %w", err)
		}
		visit(r, why)
	}
	return rows.Err()
}
