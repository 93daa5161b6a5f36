package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/route"
)

// routed asks whether channels of vendors may carry a push, and whether they go first.
func (s *Service) routed(ctx context.Context, o *order) error {
	if o.m.Kind != kindPush {
		return nil
	}
	var (
		err   error
		quota *route.QuotaError
	)
	o.routed, o.m.Held, err = s.parts.route.Wants(ctx, o.app, o.m.push)
	if errors.As(err, &quota) {
		return compat.Errorf(400, 1012, "options.third_party_channel.%s: the vendor's quota is used up, and the push is for the vendor alone", quota.Channel)
	}
	return err
}

// record notes a push that channels may carry.
func (s *Service) recordRoute(ctx context.Context, tx *db.Tx, o *order) error {
	if !o.routed {
		return nil
	}
	return s.parts.route.Record(ctx, tx, o.m.App, o.m.ID, o.m.AcceptedAt, o.m.ExpiresAt)
}

// routeMessages is what routes need of the service.
type routeMessages struct{ *Service }

// Message is a message for channels.
func (r routeMessages) Message(ctx context.Context, msg int64) (*route.Message, error) {
	m, err := queryMessage(ctx, r.db, msg)
	if err != nil || m == nil || m.Kind != kindPush || m.WithdrawnAt > 0 {
		return nil, err
	}
	push, err := m.decoded()
	if err != nil {
		return nil, err
	}
	out := &route.Message{App: m.App, ID: m.ID, AcceptedAt: m.AcceptedAt, ExpiresAt: m.ExpiresAt, Push: push}
	if out.Root, err = root(ctx, r.db, m); err != nil {
		return nil, err
	}
	pace := m.pace()
	out.ReleasedAt = pace.at
	if !m.Wide {
		out.Targets, out.Held, err = queryTargetSets(ctx, r.db, msg)
		return out, err
	}
	w, err := r.wideOf(ctx, msg)
	if err != nil || w == nil {
		return nil, err
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	out.Targets, out.Held = w.targets, !w.sets[stageHeld].IsEmpty()
	return out, nil
}

// Root is the id under which vendors know a message.
func (r routeMessages) Root(ctx context.Context, msg int64) (int64, error) {
	m, err := queryMessage(ctx, r.db, msg)
	if err != nil || m == nil {
		return msg, err
	}
	first, err := root(ctx, r.db, m)
	return cmp.Or(first, msg), err
}

// maxChain bounds the look for the first message of a chain. A message replaces one of the last day, so longer ones are rare.
const maxChain = 32

// root is the first of the messages that m stands at the end of, each replaced by the next; 0 if it replaces none.
func root(ctx context.Context, d queryer, m *message) (int64, error) {
	first := m.Override
	for range maxChain {
		if first == 0 {
			break
		}
		old, err := queryMessage(ctx, d, first)
		if err != nil || old == nil || old.Override == 0 {
			return first, err
		}
		first = old.Override
	}
	return first, nil
}

// Left is the part of devices that is still owed a message and has not switched push off meanwhile.
func (r routeMessages) Left(ctx context.Context, app, msg int64, devices *roaring.Bitmap) (*roaring.Bitmap, error) {
	left, err := r.left(ctx, msg, devices)
	if err != nil {
		return nil, err
	}
	if err := r.audience.Sync(ctx, app); err != nil {
		return nil, fmt.Errorf("push: audience: %w", err)
	}
	for _, o := range left.ToArray() {
		if !r.audience.Joined(app, o) {
			left.Remove(o)
		}
	}
	return left, nil
}

func (r routeMessages) left(ctx context.Context, msg int64, devices *roaring.Bitmap) (*roaring.Bitmap, error) {
	w, err := r.wideOf(ctx, msg)
	if err != nil {
		return nil, err
	}
	if w != nil {
		w.mu.RLock()
		defer w.mu.RUnlock()
		return w.left(devices), nil
	}
	out := roaring.New()
	for part := range slices.Chunk(devices.ToArray(), maxRows) {
		ordinals, err := queryLeft(ctx, r.db, msg, part)
		if err != nil {
			return nil, err
		}
		out.AddMany(ordinals)
	}
	return out, nil
}

// rowsPerMark keeps the transactions short that mark rows.
const rowsPerMark = 250

// Mark says what became of devices of a message. What is returned is offered to the edges at once.
func (r routeMessages) Mark(ctx context.Context, app, msg int64, step route.Step, devices *roaring.Bitmap, at int64) error {
	s, ok := map[route.Step]stage{
		route.Held: stageHeld, route.Returned: stageReturned, route.Accepted: failed(VendorAccepted), route.Unreachable: failed(Unreachable),
		route.Delivered: stageDelivered, route.Clicked: stageClicked,
	}[step]
	if !ok {
		return fmt.Errorf("push: step %d of a route", step)
	}
	w, err := r.wideOf(ctx, msg)
	if err != nil {
		return err
	}
	if w != nil {
		err = r.merge(ctx, app, []mark{{msg: msg, stage: s, set: devices, at: at}})
	} else {
		for part := range slices.Chunk(devices.ToArray(), rowsPerMark) {
			if err = r.merge(ctx, app, []mark{{msg: msg, stage: s, ordinals: part, at: at}}); err != nil {
				break
			}
		}
	}
	if err != nil || step != route.Returned {
		return err
	}
	if w == nil {
		return r.publishOffer(app, devices.ToArray())
	}
	w.mu.RLock()
	ours := roaring.And(w.ours(), devices)
	w.mu.RUnlock()
	if w.Pace > 0 {
		ours = w.pace().portion(ours, 0, w.pace().stepAt(clock.Millis(r.clock.Now())))
	}
	return r.broadcastTo(w, ours)
}

// queryTargetSets lists the targets of a direct message by platform, and tells whether some are or were held.
func queryTargetSets(ctx context.Context, d *db.DB, msg int64) (sets map[audience.Platform]*roaring.Bitmap, held bool, err error) {
	rows, err := d.Query(ctx, `select ordinal, platform, held from push_target where msg_id = $1`, msg)
	if err != nil {
		return nil, false, fmt.Errorf("push: targets: %w", err)
	}
	found, err := collect(rows, func(t *audience.Target, scan func(...any) error) error {
		var h int64
		err := scan(&t.Ordinal, &t.Platform, &h)
		held = held || h != 0
		return err
	})
	if err != nil {
		return nil, false, err
	}
	t := targets{}
	for _, f := range found {
		t.few = append(t.few, *f)
	}
	t.widen()
	return t.many, held, nil
}

// queryLeft lists those of the ordinals that are still owed a direct message.
func queryLeft(ctx context.Context, d *db.DB, msg int64, ordinals []uint32) ([]uint32, error) {
	args := []any{msg}
	for _, o := range ordinals {
		args = append(args, int64(o))
	}
	rows, err := d.Query(ctx, `select ordinal from push_target where msg_id = $1 and settled = 0 and ordinal in (`+db.In(2, len(ordinals))+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("push: owed devices: %w", err)
	}
	return collectOrdinals(rows)
}

// byChannel counts what became of a message on vendors' channels.
func (s *Service) byChannel(ctx context.Context, m *message) (map[wire.Name]Counts, error) {
	reaches, err := s.parts.route.ByChannel(ctx, m.App, m.ID)
	if err != nil || len(reaches) == 0 {
		return map[wire.Name]Counts{}, err
	}
	stages, err := s.stages(ctx, m)
	if err != nil {
		return nil, err
	}
	out := make(map[wire.Name]Counts, len(reaches))
	for name, r := range reaches {
		n := func(st stage) int64 { return int64(r.Accepted.AndCardinality(stages[st])) }
		out[name] = Counts{
			Targets: int64(r.Tried.GetCardinality()), Sent: int64(r.Accepted.GetCardinality()),
			Delivered: n(stageDelivered), Displayed: n(stageDisplayed), Clicked: n(stageClicked),
		}
	}
	return out, nil
}

// stages are the devices that reached each stage of a message.
func (s *Service) stages(ctx context.Context, m *message) (map[stage]*roaring.Bitmap, error) {
	out := map[stage]*roaring.Bitmap{stageDelivered: roaring.New(), stageDisplayed: roaring.New(), stageClicked: roaring.New()}
	if m.Wide {
		w, err := s.wideOf(ctx, m.ID)
		if err != nil || w == nil {
			return out, err
		}
		w.mu.RLock()
		defer w.mu.RUnlock()
		for st, set := range out {
			set.Or(w.sets[st])
		}
		return out, nil
	}
	rows, err := s.db.Query(ctx, `select ordinal, delivered_at, displayed_at, clicked_at from push_target where msg_id = $1`, m.ID)
	if err != nil {
		return nil, fmt.Errorf("push: stages: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			ordinal                       uint32
			delivered, displayed, clicked int64
		)
		if err := rows.Scan(&ordinal, &delivered, &displayed, &clicked); err != nil {
			return nil, fmt.Errorf("push: stages: %w", err)
		}
		for st, at := range map[stage]int64{stageDelivered: delivered, stageDisplayed: displayed, stageClicked: clicked} {
			if at > 0 {
				out[st].Add(ordinal)
			}
		}
	}
	return out, rows.Err()
}

// Channels is what an app has at vendors.
func (s *Service) Channels() *route.Service { return s.parts.route }

// VendorReceipts takes a call of a vendor that reports on messages of an app; answer is the body to answer with. Any node may be asked. The
// error is route.ErrNoReceipts, wire.ErrSignature, a *route.ReceiptError, or ours.
func (s *Service) VendorReceipts(ctx context.Context, app *gate.App, name wire.Name, r *http.Request, body []byte) (answer []byte, err error) {
	reported, answer, err := s.parts.route.Receipts(ctx, app, name, r, body)
	if err != nil || len(reported) == 0 {
		return answer, err
	}
	ids := make([]int64, len(reported))
	for i := range reported {
		ids[i] = reported[i].Msg
	}
	own, err := queryOwn(ctx, s.db, app.ID, ids)
	if err != nil {
		return nil, err
	}
	var (
		items  []edgewire.Receipt
		events = make(map[uint32][]DeviceEvent)
		at     int64
	)
	for _, v := range reported {
		if !own[v.Msg] {
			continue
		}
		at = max(at, v.At)
		if v.Step == route.Clicked {
			events[v.Ordinal] = append(events[v.Ordinal], DeviceEvent{ID: FormatID(v.Msg), Event: "clicked", At: v.At})
			continue
		}
		items = append(items, edgewire.Receipt{Msg: v.Msg, Stage: edgewire.Delivered, Ordinals: []uint32{v.Ordinal}})
	}
	if len(items) > 0 {
		if err := s.reportDelivered(ctx, edgewire.Receipts{App: app.ID, At: at, Channel: string(name), Items: items}); err != nil {
			return nil, err
		}
	}
	for ordinal, list := range events {
		for part := range slices.Chunk(list, maxEvents) {
			if err := s.Report(ctx, app.ID, ordinal, part); err != nil {
				return nil, err
			}
		}
	}
	return answer, nil
}

// reportDelivered merges receipts here, or lets the owner of the app do it.
func (s *Service) reportDelivered(ctx context.Context, r edgewire.Receipts) error {
	if s.owns(r.App) {
		return s.MergeReceipts(ctx, r)
	}
	var ack edgewire.Ack
	if err := s.bus.Request(ctx, edgewire.SubjectReceipts(r.App), r, &ack); err != nil {
		return fmt.Errorf("push: report to the owner: %w", err)
	}
	if !ack.OK {
		return errBusy
	}
	return nil
}
