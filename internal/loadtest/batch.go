package loadtest

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
)

// batches: one caller, a push to each of the devices in every call.
func (r *directRun) batches(ctx context.Context, d time.Duration) error {
	s := r.stage
	s.say("batches of %d pushes in one call", len(r.ids))
	s.round++
	most := (int(d.Seconds()*maxPerSecond)/len(r.ids) + 1) * len(r.ids)
	if _, err := s.order(order{Op: "expect", Round: s.round, Messages: most}); err != nil {
		return err
	}
	var (
		calls histogram
		sent  int
		began = clock.System{}.Now()
		now   = began
	)
	for sent < most && now.Sub(began) < d && ctx.Err() == nil {
		if err := r.callers[0].batch(batchBody(r.appKey, r.ids, s.round, uint32(sent), now)); err != nil {
			return fmt.Errorf("%s: %w", sectionDirect, err)
		}
		sent += len(r.ids)
		done := clock.System{}.Now()
		calls.add(done.Sub(now))
		now = done
	}
	a, err := s.order(order{Op: "await", Count: sent, Seconds: roundTime(sent)})
	if err != nil {
		return err
	}
	section := fmt.Sprintf("%s, %d in one call", sectionDirect, len(r.ids))
	s.judge(section, a.Arrived, int64(sent))
	took := calls.latency()
	set := func(name, unit string, v float64) { s.report.set(ours, section, name, unit, v) }
	set("accepted", "per second", float64(sent)/now.Sub(began).Seconds())
	set("call p50", "ms", took.P50us/1000)
	set("call p99", "ms", took.P99us/1000)
	return nil
}
