package loadtest

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"borealis/internal/kernel/clock"
)

// load is a stream of pushes to one device each.
type load struct {
	round uint32
	ids   []string
	// most pushes are made, within time; perSecond 0: as fast as they are answered.
	most      int64
	perSecond int
	time      time.Duration

	next  atomic.Int64
	calls histogram
}

// run makes the pushes and returns how long that took. The first error ends it.
func (l *load) run(ctx context.Context, callers []*caller) (time.Duration, error) {
	began := clock.System{}.Now()
	work, ctx := errgroup.WithContext(ctx)
	for _, c := range callers {
		work.Go(func() error { return l.work(ctx, c, began) })
	}
	err := work.Wait()
	return clock.System{}.Now().Sub(began), err
}

func (l *load) work(ctx context.Context, c *caller, began time.Time) error {
	for ctx.Err() == nil {
		seq := l.next.Add(1) - 1
		if seq >= l.most {
			return nil
		}
		now := clock.System{}.Now()
		if l.perSecond > 0 {
			due := began.Add(time.Duration(seq) * time.Second / time.Duration(l.perSecond))
			if early := due.Sub(now); early > 0 {
				if err := wait(ctx, early); err != nil {
					return err
				}
				now = clock.System{}.Now()
			}
		} else if now.Sub(began) >= l.time {
			return nil
		}
		id := l.ids[int(seq)%len(l.ids)]
		if err := c.push(pushBody(oneDevice(id), mark{l.round, uint32(seq), now}.text(0))); err != nil {
			return err
		}
		l.calls.add(clock.System{}.Now().Sub(now))
	}
	return ctx.Err()
}
