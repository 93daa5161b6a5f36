package route

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
)

// Reported is what a vendor tells of a device of ours.
type Reported struct {
	Msg     int64
	Ordinal uint32
	// Step is Delivered or Clicked.
	Step Step
	At   int64
}

// ErrNoReceipts says that nothing is expected from that channel for that app.
var ErrNoReceipts = errors.New("route: no receipts are expected")

// ReceiptError says what is wrong with the body of a vendor's call.
type ReceiptError struct{ err error }

// Error makes *ReceiptError an error.
func (e *ReceiptError) Error() string { return e.err.Error() }

// Unwrap is the reason.
func (e *ReceiptError) Unwrap() error { return e.err }

// Receipts reads a call of a vendor about messages of an app: it forgets tokens that are no longer good, and returns what is to be marked and
// the body to answer with. The error is ErrNoReceipts, wire.ErrSignature, a *ReceiptError, or ours.
func (s *Service) Receipts(ctx context.Context, app *gate.App, name wire.Name, r *http.Request, body []byte) ([]Reported, []byte, error) {
	receiver, ok := s.Dispatcher.Vendor(name).(wire.Receiver)
	if !ok {
		return nil, nil, ErrNoReceipts
	}
	creds, err := s.credentials(ctx, app.ID, name)
	if err != nil {
		return nil, nil, err
	}
	if creds == nil {
		return nil, nil, ErrNoReceipts
	}
	list, answer, err := receiver.Receipts(creds, r, body)
	if errors.Is(err, wire.ErrSignature) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, &ReceiptError{err}
	}
	var (
		out  []Reported
		dead []device.DeviceToken
		lost = make(map[int64][]*result)
		now  = s.now()
	)
	for _, receipt := range list {
		ordinal, found, err := s.Devices.OwnerOf(ctx, app.ID, string(name), receipt.Token)
		if err != nil {
			return nil, nil, err
		}
		if !found {
			continue
		}
		if receipt.Event == wire.Unregistered {
			dead = append(dead, device.DeviceToken{Ordinal: ordinal, Token: device.Token{Channel: string(name), Token: receipt.Token}})
		}
		msg, err := strconv.ParseInt(receipt.ID, 10, 64)
		if err != nil || msg <= 0 {
			continue
		}
		at := receipt.At
		if at <= 0 || at > now {
			at = now
		}
		switch receipt.Event {
		case wire.Arrived, wire.Shown:
			out = append(out, Reported{msg, ordinal, Delivered, at})
		case wire.Clicked:
			out = append(out, Reported{msg, ordinal, Clicked, at})
		case wire.Lost, wire.Unregistered:
			status := wire.Silenced
			if receipt.Event == wire.Unregistered {
				status = wire.Invalid
			}
			lost[msg] = append(lost[msg], &result{msg: msg, name: name, status: status, code: receipt.Code, reason: "reported later: " + receipt.Reason, at: at,
				devices: roaring.BitmapOf(ordinal)})
		}
	}
	err = s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.Devices.DropTokens(ctx, tx, app.ID, dead); err != nil {
			return err
		}
		return s.noteLost(ctx, tx, app.ID, name, lost)
	})
	return out, answer, err
}

// noteLost keeps what vendors report of messages that they accepted and did not bring, for traces: with the part of the message that
// they accepted it in.
func (s *Service) noteLost(ctx context.Context, tx *db.Tx, app int64, name wire.Name, lost map[int64][]*result) error {
	for msg, results := range lost {
		for _, r := range results {
			var part int64
			err := tx.QueryRow(ctx, `select coalesce(max(part_id), 0) from push_route_part where msg_id = $1 and app_id = $2 and channel = $3`, msg, app, string(name)).Scan(&part)
			if err != nil {
				return err
			}
			if part == 0 {
				continue // not a message of ours
			}
			r.part = part
			if err := insertResults(ctx, tx, app, part, []*result{r}); err != nil {
				return err
			}
		}
	}
	return nil
}
