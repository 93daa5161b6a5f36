package relay

import (
	"context"
	"errors"
	"fmt"

	"borealis/internal/kernel/db"
)

// Results say what became of a message at the vendor, in devices.
type Results struct {
	// Devices were to be reached through the vendor.
	Devices int64
	// Accepted by the vendor, and settled here; Nobody: it knows none of them any more; Refused; Uncertain: whether it took them is not known;
	// Expired before it took them; Withdrawn; Claimed, so that they got the message here.
	Accepted, Nobody, Refused, Uncertain, Expired, Withdrawn, Claimed int64
	// Waiting are those of whom nothing of this can be said yet.
	Waiting int64
	// Failure is why they wait, "" if they are under way.
	Failure string
	// Pushes at the vendor, the first 100.
	Pushes []Push
}

// Push is one push at the vendor.
type Push struct {
	// ID is the vendor's, "" if it did not accept the push.
	ID      string
	Devices int
	// Code and Message of the vendor's refusal.
	Code    int
	Message string
}

// maxPushes is how many pushes Results lists.
const maxPushes = 100

// Results of a message; nil if it was not for the vendor.
func (s *Service) Results(ctx context.Context, app, msg int64) (*Results, error) {
	var (
		r     Results
		state messageState
		// leftOut is what no part named although nobody had claimed it; the others without a part were claimed before their turn.
		leftOut int64
	)
	err := s.DB.QueryRow(ctx, `select devices, state, failure, left_out from push_relay where msg_id = $1 and app_id = $2`, msg, app).Scan(&r.Devices, &state, &r.Failure, &leftOut)
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("relay: read message: %w", err)
	}
	if err := s.count(ctx, msg, &r); err != nil {
		return nil, err
	}
	rest := r.Devices - r.Accepted - r.Nobody - r.Refused - r.Uncertain - r.Expired - r.Withdrawn - r.Claimed
	switch {
	case state < stateDone:
		r.Waiting = rest
	case state == stateTakenBack:
		r.Withdrawn += leftOut
		r.Claimed += rest - leftOut
	default:
		r.Expired += leftOut
		r.Claimed += rest - leftOut
	}
	return &r, s.list(ctx, msg, &r)
}

// count adds up the parts of a message.
func (s *Service) count(ctx context.Context, msg int64, r *Results) error {
	rows, err := s.DB.Query(ctx, `select state, sum(devices) from push_relay_part where msg_id = $1 group by state`, msg)
	if err != nil {
		return fmt.Errorf("relay: count devices: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			state partState
			n     int64
		)
		if err := rows.Scan(&state, &n); err != nil {
			return fmt.Errorf("relay: count devices: %w", err)
		}
		switch state {
		case partDone:
			r.Accepted += n
		case partNobody:
			r.Nobody += n
		case partRefused:
			r.Refused += n
		case partUncertain:
			r.Uncertain += n
		case partExpired:
			r.Expired += n
		case partWithdrawn:
			r.Withdrawn += n
		case partEmpty:
			r.Claimed += n
		case partSending, partAccepted: // waiting
		}
	}
	return rows.Err()
}

func (s *Service) list(ctx context.Context, msg int64, r *Results) error {
	rows, err := s.DB.Query(ctx, `select vendor_id, devices, code, message from push_relay_part where msg_id = $1 and (vendor_id <> '' or code <> 0 or message <> '')
		order by part limit $2`, msg, maxPushes)
	if err != nil {
		return fmt.Errorf("relay: list pushes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p Push
		if err := rows.Scan(&p.ID, &p.Devices, &p.Code, &p.Message); err != nil {
			return fmt.Errorf("relay: list pushes: %w", err)
		}
		r.Pushes = append(r.Pushes, p)
	}
	return rows.Err()
}
