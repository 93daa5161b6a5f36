// Package outbox carries domain events from one package to others through the database.
//
// Publish writes an event in the transaction of the fact it tells of, once for each consumer of its topic. A consumer
// takes events in batches: the rows are deleted in the same transaction in which the consumer's effect is written, so
// an event has its effect exactly once, whatever dies and however many nodes run the consumer.
//
// Events of one topic arrive in about the order of their commits; a consumer does not depend on it.
//
// Table: outbox_event.
package outbox

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

//go:embed migrations
var migrations embed.FS

const (
	batch = 1000
	// pause between looks for new events: what waits gathers into one transaction.
	pause = 200 * time.Millisecond
	// maxBackoff between attempts at an event whose consumer fails. It is never dropped.
	maxBackoff = 10 * time.Minute
)

// Event is one fact.
type Event struct {
	ID      int64
	Topic   string
	payload []byte
}

// Decode unmarshals the event's struct.
func (e Event) Decode(v any) error {
	if err := cbor.Unmarshal(e.payload, v); err != nil {
		return fmt.Errorf("outbox: event %d of %s: %w", e.ID, e.Topic, err)
	}
	return nil
}

// Handler writes the effect of a batch of events in tx. An error undoes all of it; the events come again, then one by
// one, so that one that cannot be handled holds up nobody else.
type Handler func(ctx context.Context, tx *db.Tx, events []Event) error

// Outbox knows who consumes what. Subscribe everything before the first Publish.
type Outbox struct {
	db    *db.DB
	clock clock.Clock
	log   *slog.Logger

	byTopic   map[string][]string
	consumers []consumer
}

type consumer struct {
	name   string
	handle Handler
	batch  int
}

// Option changes how a consumer is served.
type Option func(*consumer)

// Batch bounds the events handled in one transaction, for consumers to whom one event is much work; 1,000 otherwise.
func Batch(n int) Option { return func(c *consumer) { c.batch = n } }

// Migrate brings the package's table forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "outbox", migrations) }

// New returns an outbox without consumers.
func New(d *db.DB, c clock.Clock, log *slog.Logger) *Outbox {
	return &Outbox{db: d, clock: c, log: log, byTopic: make(map[string][]string)}
}

// Subscribe registers a consumer by a name that stays the same for ever.
func (o *Outbox) Subscribe(name string, topics []string, handle Handler, options ...Option) {
	c := consumer{name: name, handle: handle, batch: batch}
	for _, set := range options {
		set(&c)
	}
	o.consumers = append(o.consumers, c)
	for _, t := range topics {
		o.byTopic[t] = append(o.byTopic[t], name)
	}
}

// Publish adds an event to the caller's transaction.
func (o *Outbox) Publish(ctx context.Context, tx *db.Tx, topic string, event any) error {
	consumers := o.byTopic[topic]
	if len(consumers) == 0 {
		return nil
	}
	payload, err := cbor.Marshal(event)
	if err != nil {
		return fmt.Errorf("outbox: encode %s: %w", topic, err)
	}
	for _, name := range consumers {
		if _, err := tx.Exec(ctx, `insert into outbox_event (consumer, topic, payload) values ($1, $2, $3)`, name, topic, payload); err != nil {
			return fmt.Errorf("outbox: publish %s: %w", topic, err)
		}
	}
	return nil
}

// Run delivers events until ctx ends.
func (o *Outbox) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, c := range o.consumers {
		wg.Go(func() { o.consume(ctx, c) })
	}
	wg.Wait()
	return nil
}

// Drain delivers what waits now and returns when nothing deliverable is left; for tests and for shutting down.
func (o *Outbox) Drain(ctx context.Context) error {
	for _, c := range o.consumers {
		for {
			n, err := o.deliver(ctx, c, c.batch)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
		}
	}
	return nil
}

// Waiting counts the events not yet consumed, by consumer.
func (o *Outbox) Waiting(ctx context.Context) (map[string]int, error) {
	rows, err := o.db.Query(ctx, `select consumer, count(*) from outbox_event group by consumer`)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := make(map[string]int)
	for rows.Next() {
		var (
			name string
			n    int
		)
		if err := rows.Scan(&name, &n); err != nil {
			return nil, fmt.Errorf("outbox: %w", err)
		}
		out[name] = n
	}
	return out, rows.Err()
}

func (o *Outbox) consume(ctx context.Context, c consumer) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	size := c.batch
	for {
		n, err := o.deliver(ctx, c, size)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && size > 1:
			size = 1 // find the one that fails
			continue
		case err == nil && n == size && n > 0:
			size = c.batch
			continue
		}
		size = c.batch
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// deliver handles up to limit events in one transaction. When a single one fails it is put off.
func (o *Outbox) deliver(ctx context.Context, c consumer, limit int) (int, error) {
	now := clock.Millis(o.clock.Now())
	if some, err := o.any(ctx, c.name, now); err != nil || !some {
		return 0, err // an idle consumer must not take the writer's time
	}
	var events []Event
	err := o.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		if events, err = take(ctx, tx, c.name, now, limit); err != nil || len(events) == 0 {
			return err
		}
		return c.handle(ctx, tx, events)
	})
	if err == nil {
		return len(events), nil
	}
	if ctx.Err() == nil {
		o.log.Error("events not handled", "consumer", c.name, "events", len(events), "err", err)
		if limit == 1 && len(events) == 1 {
			err = errors.Join(err, o.putOff(ctx, events[0].ID))
		}
	}
	return 0, err
}

func (o *Outbox) any(ctx context.Context, name string, now int64) (bool, error) {
	var id int64
	err := o.db.QueryRow(ctx, `select id from outbox_event where consumer = $1 and not_before <= $2 limit 1`, name, now).Scan(&id)
	if errors.Is(err, db.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func take(ctx context.Context, tx *db.Tx, name string, now int64, limit int) ([]Event, error) {
	rows, err := tx.Query(ctx, `delete from outbox_event where id in
		(select id from outbox_event where consumer = $1 and not_before <= $2 order by id limit $3)
		returning id, topic, payload`, name, now, limit)
	if err != nil {
		return nil, fmt.Errorf("outbox: take: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var events []Event
	for rows.Next() {
		var e Event
		if err := rows.Scan(&e.ID, &e.Topic, &e.payload); err != nil {
			return nil, fmt.Errorf("outbox: take: %w", err)
		}
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b Event) int { return int(a.ID - b.ID) })
	return events, rows.Err()
}

func (o *Outbox) putOff(ctx context.Context, id int64) error {
	return o.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var attempts int64
		if err := tx.QueryRow(ctx, `update outbox_event set attempts = attempts + 1 where id = $1 returning attempts`, id).Scan(&attempts); err != nil {
			return err
		}
		wait := min(time.Second<<min(attempts, 20), maxBackoff)
		_, err := tx.Exec(ctx, `update outbox_event set not_before = $2 where id = $1`, id, clock.Millis(o.clock.Now().Add(wait)))
		return err
	})
}
