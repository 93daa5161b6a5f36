package route

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/channel/wire"
)

// Unacknowledged is the Detail of "routed" for a device that was connected and kept silent.
const Unacknowledged = whySilent

// Event of a trace: one thing that happened with a message for a device on a channel.
type Event struct {
	// At is Unix milliseconds; of what is to come, when it is due.
	At      int64
	Channel wire.Name
	// What is "routed" (Detail says why), "due" (nothing was sent yet), "claimed" (a call is under way), or the status of an answer.
	What, Code, Detail string
	// VendorID is the vendor's id of the message, if it was to this device alone.
	VendorID string
}

// Trace tells what channels did about a message for a device, in order of time.
func (s *Service) Trace(ctx context.Context, app, msg int64, ordinal uint32) ([]Event, error) {
	type routing struct {
		at  int64
		why string
	}
	var (
		out    []Event
		parts  = make(map[int64]routing) // done, and so without devices: a result says of whom they were
		routed = func(name wire.Name, r routing) {
			out = append(out, Event{At: r.at, Channel: name, What: "routed", Detail: r.why})
		}
	)
	err := eachPart(ctx, s.DB, func(p *part) {
		r := routing{p.createdAt, p.why}
		switch {
		case p.state == done:
			parts[p.id] = r
		case p.devices.Contains(ordinal):
			routed(p.name, r)
			e := Event{At: p.dueAt, Channel: p.name, What: "due", Detail: "then it is sent"}
			if p.state == claimed {
				e.What, e.Detail = "claimed", "it is being sent"
			}
			out = append(out, e)
		default:
			parts[p.id] = r // waits for others
		}
	}, `msg_id = $1 and app_id = $2 order by part_id`, msg, app)
	if err != nil {
		return nil, err
	}
	err = eachResult(ctx, s.DB, app, msg, func(r *result, why string) {
		if !r.devices.Contains(ordinal) {
			return
		}
		if from, known := parts[r.part]; known {
			delete(parts, r.part)
			routed(r.name, from)
		}
		e := Event{At: r.at, Channel: r.name, What: r.status.String(), Code: r.code, Detail: r.reason, VendorID: r.vendorID}
		if why == whyWithdraw {
			e.What = "taking back " + e.What
		}
		out = append(out, e)
	})
	slices.SortStableFunc(out, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return out, err
}

// Tally is how many devices of a message got an answer on a channel.
type Tally struct {
	Channel wire.Name
	Status  wire.Status
	Code    string
	Devices int64
}

// Tallies counts the answers about a message by channel, status and code.
func (s *Service) Tallies(ctx context.Context, app, msg int64) ([]Tally, error) {
	rows, err := s.DB.Query(ctx, `select r.channel, r.status, r.code, sum(r.devices) from push_route_result r join push_route_part p on p.part_id = r.part_id
		where r.msg_id = $1 and r.app_id = $2 and p.why <> $3 group by r.channel, r.status, r.code order by r.channel, r.status, r.code`, msg, app, whyWithdraw)
	if err != nil {
		return nil, fmt.Errorf("route: count answers: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Tally
	for rows.Next() {
		var t Tally
		if err := rows.Scan(&t.Channel, &t.Status, &t.Code, &t.Devices); err != nil {
			return nil, fmt.Errorf("route: count answers: %w", err)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// Reach is who a vendor's channel was tried for, and who of them it accepted a message for.
type Reach struct{ Tried, Accepted *roaring.Bitmap }

// ByChannel tells of each vendor's channel who it was tried for with a message. Short messages supplement a push and are not among them.
func (s *Service) ByChannel(ctx context.Context, app, msg int64) (map[wire.Name]Reach, error) {
	out := make(map[wire.Name]Reach)
	err := eachResult(ctx, s.DB, app, msg, func(r *result, why string) {
		if r.name == sms || why == whyWithdraw {
			return
		}
		reach, known := out[r.name]
		if !known {
			reach = Reach{roaring.New(), roaring.New()}
			out[r.name] = reach
		}
		reach.Tried.Or(r.devices)
		if r.status == wire.Accepted {
			reach.Accepted.Or(r.devices)
		}
	})
	return out, err
}
