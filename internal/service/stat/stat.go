package stat

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"time"

	"borealis/internal/engine/device/deviceevent"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/pushevent"
)

//go:embed migrations
var migrations embed.FS

// Metric is something counted.
type Metric string

// Metrics.
const (
	Devices   Metric = "devices"    // registered
	Messages  Metric = "messages"   // accepted
	Targets   Metric = "targets"    // (device, message) pairs of the accepted messages
	Sent      Metric = "sent"       // pairs written to a device
	Delivered Metric = "deliveries" // pairs acknowledged
	Displayed Metric = "displays"
	Clicked   Metric = "clicks"
	Failed    Metric = "failures" // pairs that ended without delivery
)

// Day is the calendar day of an app.
type Day struct {
	Date   string // yyyy-MM-dd
	Counts map[Metric]int64
}

// Online counts the devices of an app that are connected now.
type Online interface{ Count(app int64) int }

// Service is the statistics service. It is safe for concurrent use.
type Service struct {
	db     *db.DB
	clock  clock.Clock
	zone   *time.Location
	online Online
}

// Migrate brings the package's table forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "stat", migrations) }

// New returns the service and subscribes it to the outbox. Days turn at midnight in zone.
func New(d *db.DB, c clock.Clock, zone *time.Location, online Online, o *outbox.Outbox) *Service {
	s := &Service{db: d, clock: c, zone: zone, online: online}
	o.Subscribe("stat", []string{pushevent.TopicAccepted, pushevent.TopicProgress, deviceevent.TopicRegistered}, s.consume)
	return s
}

// Online is the number of devices connected now.
func (s *Service) Online(app int64) int { return s.online.Count(app) }

// MaxDays bounds one report.
const MaxDays = 366

// Days reports the days of an app from one date to another, both included, oldest first, days without events too.
func (s *Service) Days(ctx context.Context, app int64, from, to time.Time) ([]Day, error) {
	var out []Day
	index := make(map[int64]int)
	for d := from; !d.After(to) && len(out) < MaxDays; d = d.AddDate(0, 0, 1) {
		index[number(d)] = len(out)
		out = append(out, Day{Date: d.Format(time.DateOnly), Counts: make(map[Metric]int64)})
	}
	rows, err := s.db.Query(ctx, `select day, metric, n from stat_day where app_id = $1 and day >= $2 and day <= $3`, app, number(from), number(to))
	if err != nil {
		return nil, fmt.Errorf("stat: days: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			day, n int64
			metric Metric
		)
		if err := rows.Scan(&day, &metric, &n); err != nil {
			return nil, fmt.Errorf("stat: days: %w", err)
		}
		if i, in := index[day]; in {
			out[i].Counts[metric] = n
		}
	}
	return out, rows.Err()
}

// Today is the current calendar day in the zone of the installation.
func (s *Service) Today() time.Time {
	y, m, d := s.clock.Now().In(s.zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// number is the stored form of a date.
func number(t time.Time) int64 {
	y, m, d := t.Date()
	return int64(y)*10000 + int64(m)*100 + int64(d)
}

type key struct {
	app, day int64
	metric   Metric
}

// consume adds a batch of events up before it writes, so that a busy app costs a few rows.
func (s *Service) consume(ctx context.Context, tx *db.Tx, events []outbox.Event) error {
	sums := make(map[key]int64)
	for _, e := range events {
		if err := s.sum(sums, e); err != nil {
			return err
		}
	}
	keys := make([]key, 0, len(sums))
	for k := range sums {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare) // all nodes lock rows in the same order
	for _, k := range keys {
		_, err := tx.Exec(ctx, `insert into stat_day (app_id, day, metric, n) values ($1, $2, $3, $4)
			on conflict (app_id, day, metric) do update set n = stat_day.n + excluded.n`, k.app, k.day, string(k.metric), sums[k])
		if err != nil {
			return fmt.Errorf("stat: count: %w", err)
		}
	}
	return nil
}

func (s *Service) sum(sums map[key]int64, e outbox.Event) error {
	add := func(app, at int64, m Metric, n int64) {
		if n != 0 {
			sums[key{app, number(clock.FromMillis(at).In(s.zone)), m}] += n
		}
	}
	switch e.Topic {
	case pushevent.TopicAccepted:
		var a pushevent.Accepted
		if err := e.Decode(&a); err != nil {
			return err
		}
		add(a.App, a.At, Messages, 1+a.More)
		add(a.App, a.At, Targets, a.Targets)
	case pushevent.TopicProgress:
		var p pushevent.Progress
		if err := e.Decode(&p); err != nil {
			return err
		}
		add(p.App, p.At, Sent, p.Sent)
		add(p.App, p.At, Delivered, p.Delivered)
		add(p.App, p.At, Displayed, p.Displayed)
		add(p.App, p.At, Clicked, p.Clicked)
		add(p.App, p.At, Failed, p.Failed)
	case deviceevent.TopicRegistered:
		var r deviceevent.Registered
		if err := e.Decode(&r); err != nil {
			return err
		}
		add(r.App, r.At, Devices, 1)
	}
	return nil
}

func compare(a, b key) int {
	switch {
	case a.app != b.app:
		return int(a.app - b.app)
	case a.day != b.day:
		return int(a.day - b.day)
	case a.metric < b.metric:
		return -1
	case a.metric > b.metric:
		return 1
	}
	return 0
}
