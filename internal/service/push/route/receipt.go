package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
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

// ReceiptAddress is where the vendor of a channel reports to what became of an app's messages; empty if it reports nothing, or if the
// address of this server is not known.
func (s *Service) ReceiptAddress(appKey string, name wire.Name) string {
	if _, reports := s.Dispatcher.Vendor(name).(wire.Receiver); !reports {
		return ""
	}
	return s.ReceiptURL(appKey, name)
}

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
		lost = make(map[loss]*roaring.Bitmap)
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
			l := loss{msg, status, wire.Printable(receipt.Code), wire.Printable(receipt.Reason)}
			if lost[l] == nil {
				lost[l] = roaring.New()
			}
			lost[l].Add(ordinal)
		}
	}
	if len(dead) == 0 && len(lost) == 0 {
		return out, answer, nil
	}
	err = s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		// In the order of a part's end, which locks the part before the tokens.
		if err := s.noteLost(ctx, tx, app.ID, name, lost, now); err != nil {
			return err
		}
		return s.Devices.DropTokens(ctx, tx, app.ID, dead)
	})
	return out, answer, err
}

// loss is what devices have in common that a vendor lost a message for.
type loss struct {
	msg          int64
	status       wire.Status
	code, reason string
}

// noteLost keeps what vendors report of messages that they accepted and did not bring, for traces: with the last part that the channel
// had of the message. What is reported again is not kept again.
func (s *Service) noteLost(ctx context.Context, tx *db.Tx, app int64, name wire.Name, lost map[loss]*roaring.Bitmap, at int64) error {
	byMessage := func(a, b loss) int {
		return cmp.Or(cmp.Compare(a.msg, b.msg), cmp.Compare(a.status, b.status), cmp.Compare(a.code, b.code), cmp.Compare(a.reason, b.reason))
	}
	for _, l := range slices.SortedFunc(maps.Keys(lost), byMessage) { // all calls in one order, since parts are locked
		var part int64
		err := tx.QueryRow(ctx, `select coalesce(max(part_id), 0) from push_route_part where msg_id = $1 and app_id = $2 and channel = $3 and why <> $4`,
			l.msg, app, string(name), whyWithdraw).Scan(&part)
		if err != nil {
			return fmt.Errorf("route: find the part of a receipt: %w", err)
		}
		if part == 0 {
			continue // not a message of ours
		}
		// The lock of the part's results, which are numbered: its end may be written at this moment.
		if _, err := tx.Exec(ctx, `update push_route_part set state = state where part_id = $1`, part); err != nil {
			return fmt.Errorf("route: lock the part of a receipt: %w", err)
		}
		told, err := queryTold(ctx, tx, part, l)
		if err != nil {
			return err
		}
		if told = roaring.AndNot(lost[l], told); told.IsEmpty() {
			continue
		}
		r := &result{part: part, msg: l.msg, name: name, status: l.status, code: l.code, reason: reportedLater + l.reason, at: at, devices: told}
		if err := insertResults(ctx, tx, app, part, []*result{r}); err != nil {
			return err
		}
	}
	return nil
}

// reportedLater begins the reasons of results that came with receipts.
const reportedLater = "reported later: "

// queryTold is who a loss was reported for already.
func queryTold(ctx context.Context, tx *db.Tx, part int64, l loss) (*roaring.Bitmap, error) {
	rows, err := tx.Query(ctx, `select bits from push_route_result where part_id = $1 and status = $2 and code = $3 and reason = $4`,
		part, int64(l.status), l.code, reportedLater+l.reason)
	if err != nil {
		return nil, fmt.Errorf("route: read results: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := roaring.New()
	for rows.Next() {
		var (
			bits []byte
			set  = roaring.New()
		)
		if err := rows.Scan(&bits); err != nil {
			return nil, fmt.Errorf("route: read results: %w", err)
		}
		if err := set.UnmarshalBinary(bits); err != nil {
			return nil, fmt.Errorf("route: read result: %w", err)
		}
		out.Or(set)
	}
	return out, rows.Err()
}
