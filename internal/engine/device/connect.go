package device

import (
	"context"
	"errors"
	"fmt"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// Connect decides whether a device whose secret the edge has checked may connect. The first time, the device joins:
// that is committed before the answer.
func (r *Registry) Connect(ctx context.Context, c edgewire.Connect) edgewire.Connected {
	app := r.Gate.AppByID(c.App)
	switch {
	case app == nil:
		return edgewire.Connected{Refusal: edgewire.BadCredentials}
	case app.State != gate.Enabled:
		return edgewire.Connected{Refusal: edgewire.NotAuthorized}
	}
	w, err := r.admit(ctx, app, deviceid.Ref{Epoch: c.Epoch, Ordinal: c.Ordinal}, c.Generation)
	var refusal *Error
	switch {
	case errors.As(err, &refusal):
		return edgewire.Connected{Refusal: edgewire.BadCredentials}
	case err != nil:
		r.Log.Warn("device not admitted", "app", app.ID, "err", err)
		return edgewire.Connected{Refusal: edgewire.Unavailable}
	}
	conn, err := r.nextConn(app.ID)
	if err != nil {
		r.Log.Warn("device not admitted", "app", app.ID, "err", err)
		return edgewire.Connected{Refusal: edgewire.Unavailable}
	}
	return edgewire.Connected{Refusal: edgewire.Admitted, Conn: conn, Known: !w.fresh}
}

// connBits of a connection number count within one ownership, those above are its fence: 16 million changes of owner,
// with 10¹² connections each.
const connBits = 40

// nextConn rises with every call, over restarts and nodes too: by the fence where there is one, else by the clock.
func (r *Registry) nextConn(app int64) (uint64, error) {
	if r.Fence != nil {
		fence, err := r.Fence(app)
		if err != nil {
			return 0, fmt.Errorf("device: number of connection: %w", err)
		}
		return uint64(fence)<<connBits | r.conn.Add(1), nil
	}
	for {
		last := r.conn.Load()
		next := max(last+1, uint64(r.Clock.Now().UnixMicro()))
		if r.conn.CompareAndSwap(last, next) {
			return next, nil
		}
	}
}

// login finds the device of a registration id and secret, lets it join, and notes that it is active.
func (r *Registry) login(ctx context.Context, app *gate.App, id, secret string) (*row, error) {
	wrong := &Error{Kind: WrongCredentials, Detail: "the registration id is not known to this app or the secret is not its own"}
	ref, ok, err := r.parse(ctx, app.ID, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, wrong
	}
	generation, ok := r.IDs.CheckSecret(app.ID, ref, secret)
	if !ok {
		return nil, wrong
	}
	w, err := r.admit(ctx, app, ref, generation)
	if err == nil {
		r.Active(app.ID, []uint32{w.ordinal})
	}
	return w, err
}

// admit checks that a device exists and its secret is not revoked, lets it join, and notes that it was seen.
func (r *Registry) admit(ctx context.Context, app *gate.App, ref deviceid.Ref, generation uint16) (*row, error) {
	wrong := &Error{Kind: WrongCredentials, Detail: "the device does not exist any more or its secret was revoked"}
	spans, err := r.spansOf(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	if ref.Epoch == 0 || epochOf(spans, ref.Ordinal) != ref.Epoch {
		return nil, wrong
	}
	w, err := r.read(ctx, app.ID, ref.Ordinal)
	if IsKind(err, UnknownDevice) {
		return nil, wrong
	}
	if err != nil {
		return nil, err
	}
	if w.generation != generation || w.state == imported { // nobody was told a secret of an imported one
		return nil, wrong
	}
	if w.state == pending {
		if err := r.join(ctx, app.ID, w); err != nil {
			return nil, err
		}
		w.fresh = true
	}
	r.Seen(app.ID, []uint32{w.ordinal})
	return w, nil
}

// join makes a pending device a joined one.
func (r *Registry) join(ctx context.Context, app int64, w *row) error {
	now := clock.Millis(r.Clock.Now())
	err := r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := r.Audience.Lock(ctx, tx, app); err != nil {
			return err
		}
		w, err := find(ctx, tx, app, w.ordinal)
		if err != nil || w.state == joined {
			return err
		}
		before := w.device()
		w.state, w.joined = joined, now
		if err := update(ctx, tx, app, w); err != nil {
			return err
		}
		if r.OnJoined != nil {
			if err := r.OnJoined(ctx, tx, app, w.ordinal, w.platform); err != nil {
				return err
			}
		}
		return r.Audience.Append(ctx, tx, app, audience.Change{Before: before, After: w.device()})
	})
	if err != nil {
		return fmt.Errorf("device: join: %w", err)
	}
	w.state, w.joined = joined, now
	r.Audience.Follow(ctx, app)
	return nil
}
