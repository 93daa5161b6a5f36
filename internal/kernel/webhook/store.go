package webhook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"borealis/internal/kernel/db"
)

func insertDelivery(ctx context.Context, tx *db.Tx, id, host string, d *Delivery, now int64) error {
	_, err := tx.Exec(ctx, `insert into webhook_delivery (id, kind, owner, host, url, basic, size, state, leased, claims, attempts,
		created_at, due_at, last_at, last_status, last_error)
		values ($1, $2, $3, $4, $5, $6, $7, 1, false, 0, 0, $8, $8, 0, 0, '')`,
		id, d.Kind, d.Owner, host, d.URL, d.Basic, int64(len(d.Body)), now)
	if err == nil {
		_, err = tx.Exec(ctx, `insert into webhook_body (id, body) values ($1, $2)`, id, d.Body)
	}
	if err != nil {
		return fmt.Errorf("webhook: enqueue: %w", err)
	}
	return nil
}

type load struct {
	toHost, all int
	bytes       int64
}

// queryLoad sums up what waits for an owner. The index holds all it needs.
func queryLoad(ctx context.Context, d *db.DB, owner int64, host string) (load, error) {
	var l load
	err := d.QueryRow(ctx, `select coalesce(sum(case when host = $2 then 1 else 0 end), 0), count(*), coalesce(cast(sum(size) as bigint), 0)
		from webhook_delivery where owner = $1 and state = 1`, owner, host).Scan(&l.toHost, &l.all, &l.bytes)
	if err != nil {
		return load{}, fmt.Errorf("webhook: load: %w", err)
	}
	return l, nil
}

// queryDueHosts lists hosts, in the order of their names after the given one, for which something is due. It steps from
// host to host, so that the length of their queues does not matter.
func queryDueHosts(ctx context.Context, d *db.DB, after string, now int64, limit int) ([]string, error) {
	rows, err := d.Query(ctx, `with recursive hosts (host) as (
			select (select min(host) from webhook_delivery where state = 1 and host > $1)
			union all
			select (select min(d.host) from webhook_delivery d where d.state = 1 and d.host > hosts.host) from hosts where hosts.host is not null
		)
		select host from hosts where host is not null
			and (select min(d.due_at) from webhook_delivery d where d.state = 1 and d.host = hosts.host) <= $2
		limit $3`, after, now, limit)
	if err != nil {
		return nil, fmt.Errorf("webhook: due hosts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var hosts []string
	for rows.Next() {
		var h string
		if err := rows.Scan(&h); err != nil {
			return nil, fmt.Errorf("webhook: due hosts: %w", err)
		}
		hosts = append(hosts, h)
	}
	return hosts, rows.Err()
}

// queryDue tells whether something is due for a host; a claim that finds nothing would be a write for nothing.
func queryDue(ctx context.Context, d *db.DB, host string, now int64) (bool, error) {
	var due sql.NullInt64
	err := d.QueryRow(ctx, `select min(due_at) from webhook_delivery where state = 1 and host = $1`, host).Scan(&due)
	if err != nil {
		return false, fmt.Errorf("webhook: due: %w", err)
	}
	return due.Valid && due.Int64 <= now, nil
}

// claim is a delivery that this node may send until its lease ends.
type claim struct {
	Delivery
	host             string
	fence            int64
	attempts         int
	until, createdAt int64
}

// leaseDeliveries claims the n deliveries to a host that are due longest. The outer conditions repeat the inner ones
// because PostgreSQL checks only them again after it has waited for another node that claimed the same rows.
func leaseDeliveries(ctx context.Context, tx *db.Tx, host string, n int, now, until int64) ([]*claim, error) {
	rows, err := tx.Query(ctx, `update webhook_delivery set leased = true, claims = claims + 1, due_at = $1
		where state = 1 and due_at <= $2 and id in
			(select id from webhook_delivery where state = 1 and host = $3 and due_at <= $2 order by due_at, id limit $4)
		returning id, kind, owner, url, basic, attempts, claims, created_at`, until, now, host, n)
	if err != nil {
		return nil, fmt.Errorf("webhook: claim: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []*claim
	for rows.Next() {
		c := &claim{host: host, until: until}
		if err := rows.Scan(&c.ID, &c.Kind, &c.Owner, &c.URL, &c.Basic, &c.attempts, &c.fence, &c.createdAt); err != nil {
			return nil, fmt.Errorf("webhook: claim: %w", err)
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

func queryBody(ctx context.Context, d *db.DB, id string) ([]byte, error) {
	var body []byte
	if err := d.QueryRow(ctx, `select body from webhook_body where id = $1`, id).Scan(&body); err != nil {
		return nil, fmt.Errorf("webhook: body: %w", err)
	}
	return body, nil
}

// deleteDelivered ends a delivery, if the claim still holds.
func deleteDelivered(ctx context.Context, tx *db.Tx, c *claim) error {
	n, err := tx.Exec(ctx, `delete from webhook_delivery where id = $1 and claims = $2 and state = 1`, c.ID, c.fence)
	if err == nil && n > 0 {
		_, err = tx.Exec(ctx, `delete from webhook_body where id = $1`, c.ID)
	}
	if err != nil {
		return fmt.Errorf("webhook: delivered: %w", err)
	}
	return nil
}

// updateFailed records a failed attempt; state is waiting until due, or dead. It tells whether the claim still held.
func updateFailed(ctx context.Context, tx *db.Tx, c *claim, state State, due, now int64, status int, why string) (bool, error) {
	n, err := tx.Exec(ctx, `update webhook_delivery set leased = false, state = $3, attempts = attempts + 1, due_at = $4, last_at = $5, last_status = $6, last_error = $7
		where id = $1 and claims = $2 and state = 1`, c.ID, c.fence, int64(state), due, now, status, why)
	if err != nil {
		return false, fmt.Errorf("webhook: failed: %w", err)
	}
	return n > 0, nil
}

// release gives a claim back as if it had not been.
func release(ctx context.Context, tx *db.Tx, c *claim, now int64) error {
	_, err := tx.Exec(ctx, `update webhook_delivery set leased = false, due_at = $3 where id = $1 and claims = $2 and state = 1`, c.ID, c.fence, now)
	if err != nil {
		return fmt.Errorf("webhook: release: %w", err)
	}
	return nil
}

// queryCrowded lists the owners that have more than keep dead deliveries.
func queryCrowded(ctx context.Context, d *db.DB, keep int) ([]int64, error) {
	rows, err := d.Query(ctx, `select owner from webhook_delivery where state = 2 group by owner having count(*) > $1`, keep)
	if err != nil {
		return nil, fmt.Errorf("webhook: count the dead: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var owners []int64
	for rows.Next() {
		var o int64
		if err := rows.Scan(&o); err != nil {
			return nil, fmt.Errorf("webhook: count the dead: %w", err)
		}
		owners = append(owners, o)
	}
	return owners, rows.Err()
}

// excessDead lists the dead deliveries of an owner beyond the newest keep, at most limit.
const excessDead = `select id from webhook_delivery where owner = $1 and state = 2 order by last_at desc, id desc limit $3 offset $2`

// oldDead lists dead deliveries that died before $1, at most $2.
const oldDead = `select id from webhook_delivery where state = 2 and last_at < $1 limit $2`

// deleteThose deletes the deliveries that a query lists, with their bodies.
func deleteThose(ctx context.Context, tx *db.Tx, query string, args ...any) (int, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("webhook: old deliveries: %w", err)
	}
	var ids []any
	for rows.Next() {
		var id string
		if err = rows.Scan(&id); err != nil {
			break
		}
		ids = append(ids, id)
	}
	err = errors.Join(err, rows.Err(), rows.Close())
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	// State is asked again: who redelivers may have come between.
	n, err := tx.Exec(ctx, `delete from webhook_delivery where state = 2 and id in (`+db.In(1, len(ids))+`)`, ids...)
	if err == nil {
		_, err = tx.Exec(ctx, `delete from webhook_body where id in (`+db.In(1, len(ids))+`) and not exists
			(select 1 from webhook_delivery d where d.id = webhook_body.id)`, ids...)
	}
	if err != nil {
		return 0, fmt.Errorf("webhook: delete old deliveries: %w", err)
	}
	return int(n), nil
}
