package webhook

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	// maxSending and maxPerHost bound what one node sends at once, in all and to one host.
	maxSending = 64
	maxPerHost = 8
	// pace at which a node looks for what has become due.
	pace = time.Second
	// margin is how much longer a lease is than an attempt can take: room for two transactions and for clocks of nodes
	// that differ.
	margin = 20 * time.Second
	// drain is how long attempts may go on when the node stops.
	drain = 5 * time.Second
	// maxHosts bounds one look at what is due.
	maxHosts = 128
	// hostsPerTx bounds one transaction that claims.
	hostsPerTx = 16
)

// Run sends what is due until ctx ends; then attempts that run get a few seconds, and what is cut short goes back.
func (s *Service) Run(ctx context.Context) error {
	attempts, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	look, sweep := time.NewTicker(pace), time.NewTicker(sweepPace)
	defer look.Stop()
	defer sweep.Stop()
	d := &dispatcher{s: s, attempts: attempts}
	for {
		var err error
		select {
		case <-ctx.Done():
			timer := time.AfterFunc(drain, cut)
			defer timer.Stop()
			s.sending.Wait()
			return nil
		case <-look.C:
			err = d.everywhere(ctx)
		case <-s.wake:
			err = d.everywhere(ctx)
		case <-s.freed:
			err = d.again(ctx)
		case <-sweep.C:
			err = s.sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("webhook loop", "err", err) // the next turn tries again
		}
	}
}

// dispatcher claims deliveries for the room there is and starts to send them. Only Run's goroutine uses it.
type dispatcher struct {
	s        *Service
	attempts context.Context
	// last is the host after which the next look everywhere begins, so that hosts take turns when the node is full.
	last string
	// full: the last look ended because the node was full, so some host may wait for its turn.
	full bool
}

// again serves the hosts of which something ended.
func (d *dispatcher) again(ctx context.Context) error {
	d.s.mu.Lock()
	hosts := slices.Collect(maps.Keys(d.s.free))
	clear(d.s.free)
	d.s.mu.Unlock()
	if d.full {
		return d.everywhere(ctx)
	}
	now := clock.Millis(d.s.clock.Now())
	due := hosts[:0]
	for _, h := range hosts {
		some, err := queryDue(ctx, d.s.db, h, now)
		if err != nil {
			return err
		}
		if some {
			due = append(due, h)
		}
	}
	_, err := d.serve(ctx, due, now)
	return err
}

// everywhere serves all hosts that something is due for, beginning after the one that was served last.
func (d *dispatcher) everywhere(ctx context.Context) error {
	if d.s.room() == 0 {
		d.full = true
		return nil
	}
	d.full = false
	now := clock.Millis(d.s.clock.Now())
	hosts, err := queryDueHosts(ctx, d.s.db, d.last, now, maxHosts)
	if err == nil && len(hosts) < maxHosts && d.last != "" {
		var more []string
		more, err = queryDueHosts(ctx, d.s.db, "", now, maxHosts-len(hosts))
		for _, h := range more {
			if !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	if err != nil {
		return err
	}
	last, err := d.serve(ctx, hosts, now)
	if last != "" {
		d.last = last
	}
	return err
}

// serve claims for the given hosts, a few in each transaction, and returns the last one it got to.
func (d *dispatcher) serve(ctx context.Context, hosts []string, now int64) (last string, err error) {
	for part := range slices.Chunk(hosts, hostsPerTx) {
		quota := d.s.reserve(part)
		claims, err := d.s.claim(ctx, quota, now)
		d.s.unreserve(quota)
		for _, c := range claims {
			d.s.start(d.attempts, c)
		}
		if err != nil {
			return last, err
		}
		for _, h := range part {
			if quota[h] > 0 {
				last = h
			}
		}
		if d.s.room() == 0 {
			d.full = true
			return last, nil
		}
	}
	return last, nil
}

// room is how many more deliveries this node may send.
func (s *Service) room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maxSending - s.all
}

// reserve takes all the room there is for the hosts, those in front first.
func (s *Service) reserve(hosts []string) map[string]int {
	quota := make(map[string]int, len(hosts))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range hosts {
		if n := min(maxPerHost-s.inFlight[h], maxSending-s.all); n > 0 && quota[h] == 0 {
			quota[h] = n
			s.inFlight[h] += n
			s.all += n
		}
	}
	return quota
}

func (s *Service) unreserve(quota map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, n := range quota {
		s.leave(h, n)
	}
}

// leave takes n off what is in flight to a host. The caller holds mu.
func (s *Service) leave(host string, n int) {
	s.all -= n
	if s.inFlight[host] -= n; s.inFlight[host] <= 0 {
		delete(s.inFlight, host)
	}
}

// claim leases up to the quota of each host.
func (s *Service) claim(ctx context.Context, quota map[string]int, now int64) ([]*claim, error) {
	if len(quota) == 0 {
		return nil, nil
	}
	hosts := slices.Sorted(maps.Keys(quota)) // all nodes lock in one order
	until := now + (s.timeout + margin).Milliseconds()
	var claims []*claim
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		claims = claims[:0]
		for _, h := range hosts {
			some, err := leaseDeliveries(ctx, tx, h, quota[h], now, until)
			if err != nil {
				return err
			}
			claims = append(claims, some...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claims, nil
}

// start sends a claimed delivery on a goroutine of its own.
func (s *Service) start(ctx context.Context, c *claim) {
	s.mu.Lock()
	s.inFlight[c.host]++
	s.all++
	s.mu.Unlock()
	s.sending.Go(func() {
		if err := s.send(ctx, c); err != nil && !errors.Is(err, context.Canceled) {
			s.log.Warn("outcome of a delivery not stored; it will be sent again", "delivery", c.ID, "err", err)
		}
		s.mu.Lock()
		s.leave(c.host, 1)
		s.free[c.host] = struct{}{}
		s.mu.Unlock()
		signal(s.freed)
	})
}
