package route

import (
	"context"
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

// queryLines lists what has work now: planning of messages, and channels with parts that are due.
func queryLines(ctx context.Context, d *db.DB, now int64) ([]lineKey, error) {
	rows, err := d.Query(ctx, `select distinct app_id, '' from push_route where state = 1
		union all select distinct app_id, channel from push_route_part where state < 3 and due_at <= $1`, now)
	if err != nil {
		return nil, fmt.Errorf("route: find work: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []lineKey
	for rows.Next() {
		var k lineKey
		if err := rows.Scan(&k.app, &k.name); err != nil {
			return nil, fmt.Errorf("route: find work: %w", err)
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

// unplanned is a message that is to be planned from an ordinal on.
type unplanned struct {
	msg  int64
	from int64
}

func queryUnplanned(ctx context.Context, d *db.DB, app int64, limit int) ([]unplanned, error) {
	rows, err := d.Query(ctx, `select msg_id, next_ordinal from push_route where app_id = $1 and state = 1 order by msg_id limit $2`, app, limit)
	if err != nil {
		return nil, fmt.Errorf("route: find messages: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []unplanned
	for rows.Next() {
		var u unplanned
		if err := rows.Scan(&u.msg, &u.from); err != nil {
			return nil, fmt.Errorf("route: find messages: %w", err)
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

// updatePlan says how far the planning of a message came.
func updatePlan(ctx context.Context, tx *db.Tx, msg int64, s state, next int64) error {
	if _, err := tx.Exec(ctx, `update push_route set state = $2, next_ordinal = $3 where msg_id = $1`, msg, int64(s), next); err != nil {
		return fmt.Errorf("route: change message: %w", err)
	}
	return nil
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
	rows, err := d.Query(ctx, `select `+partColumns+` from push_route_part where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("route: read parts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []*part
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
			return nil, fmt.Errorf("route: read part: %w", err)
		}
		out = append(out, p)
	}
	return out, rows.Err()
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

func queryResults(ctx context.Context, d *db.DB, app, msg int64) ([]*result, error) {
	rows, err := d.Query(ctx, `select part_id, msg_id, channel, status, code, reason, vendor_id, at, bits from push_route_result
		where msg_id = $1 and app_id = $2 order by at, part_id, number`, msg, app)
	if err != nil {
		return nil, fmt.Errorf("route: read results: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []*result
	for rows.Next() {
		var (
			r    = &result{devices: roaring.New()}
			bits []byte
		)
		err := rows.Scan(&r.part, &r.msg, &r.name, &r.status, &r.code, &r.reason, &r.vendorID, &r.at, &bits)
		if err == nil {
			err = r.devices.UnmarshalBinary(bits)
		}
		if err != nil {
			return nil, fmt.Errorf("route: read result: %w", err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

const (
	// cleanBatch is how many messages one transaction deletes.
	cleanBatch = 20
	// retention is how long a trace can be asked for, in milliseconds: as long as the message itself.
	retention = 35 * 24 * 3600 * 1000
	// quotaDays is how long counts of a day are kept.
	quotaDays = 3
)

// clean deletes what nobody can ask for any more.
func (s *Service) clean(ctx context.Context) error {
	err := s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `delete from push_route_quota where day < $1`, s.today()-quotaDays)
		return err
	})
	if err != nil {
		return fmt.Errorf("route: delete old counts: %w", err)
	}
	before := s.now() - retention
	for {
		var n int64
		err := s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			const old = `(select msg_id from push_route where accepted_at < $1 order by accepted_at limit $2)`
			for _, table := range []string{"push_route_part", "push_route_result"} {
				if _, err := tx.Exec(ctx, `delete from `+table+` where msg_id in `+old, before, cleanBatch); err != nil {
					return fmt.Errorf("route: delete old: %w", err)
				}
			}
			var err error
			if n, err = tx.Exec(ctx, `delete from push_route where msg_id in `+old, before, cleanBatch); err != nil {
				return fmt.Errorf("route: delete old: %w", err)
			}
			return nil
		})
		if err != nil || n < cleanBatch {
			return err
		}
	}
}
