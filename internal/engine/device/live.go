package device

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// liveChannel is the channel of the tokens of live activities.
const liveChannel = "apns"

const (
	// maxLive is how many live activities and types a device can have registered; the system lets an app show five or so.
	maxLive = 32
	// liveLife is how long a device follows an activity. The system ends one after 8 hours and takes it off the lock screen
	// 4 hours later.
	liveLife = 24 * time.Hour
	// maxLiveName is the longest id of an activity and name of a type, in bytes; pushes have the same limit.
	maxLiveName = 255
	// livePerSweep bounds the rows of one transaction of SweepLive.
	livePerSweep = 500
)

// liveKind says what a name is of. The numbers are stored.
type liveKind uint8

const (
	// liveActivity: the app's id of an activity that the device shows.
	liveActivity liveKind = iota + 1
	// liveType: the type of the attributes of activities that can be started on the device.
	liveType
)

// Live is what a device has to do with live activities of iOS: either that it shows one, or that some can be started on it.
type Live struct {
	// Activity is the app's own id of a live activity, AttributesType the type of the attributes of those that can be
	// started. Exactly one of the two is set.
	Activity, AttributesType string
	// PushToken as the system gave it: the activity's, or the one that starts activities of the type; "" ends it.
	PushToken string
	// Environment is "production" (also when empty) or "sandbox".
	Environment string
}

func (l *Live) named() (liveKind, string) {
	if l.Activity != "" {
		return liveActivity, l.Activity
	}
	return liveType, l.AttributesType
}

func (l *Live) check() error {
	switch {
	case l.Activity == "" && l.AttributesType == "":
		return invalid("live_activity_id", "must not be empty, unless there is an attributes_type")
	case l.Activity != "" && l.AttributesType != "":
		return invalid("attributes_type", "must not be combined with live_activity_id")
	}
	if err := checkText("live_activity_id", l.Activity, maxLiveName); err != nil {
		return err
	}
	if err := checkText("attributes_type", l.AttributesType, maxLiveName); err != nil {
		return err
	}
	if err := checkEnvironment(l.Environment); err != nil {
		return err
	}
	return checkText("push_token", l.PushToken, maxToken)
}

// SetLive notes what a device follows, for 24 hours, or that activities can be started on it, for as long as other tokens
// live; it renews or ends what was noted. Beyond 32 of both together the oldest is forgotten. A token has one place: it is
// taken from any other. Refusals: Invalid (also of a device that is not of iOS), UnknownDevice.
func (r *Registry) SetLive(ctx context.Context, app *gate.App, ordinal uint32, l Live) error {
	if err := l.check(); err != nil {
		return err
	}
	if l.Environment == "" {
		l.Environment = environmentProduction
	}
	kind, name := l.named()
	now := r.Clock.Now()
	expires := now.Add(liveLife)
	if kind == liveType {
		expires = now.Add(tokenLife)
	}
	sum := sha256.Sum256([]byte(l.PushToken))
	return r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		// As of other tokens: two devices may claim one at the same time.
		if err := r.Audience.Lock(ctx, tx, app.ID); err != nil {
			return err
		}
		w, err := find(ctx, tx, app.ID, ordinal)
		if err != nil {
			return err
		}
		if w.platform != audience.IOS {
			return invalid("", "live activities are of ios devices, this one is of "+w.platform.String())
		}
		if _, err := tx.Exec(ctx, `delete from device_live where app_id = $1 and ordinal = $2 and kind = $3 and name = $4`,
			app.ID, int64(ordinal), int64(kind), name); err != nil {
			return fmt.Errorf("device: forget live activity: %w", err)
		}
		if l.PushToken == "" {
			return nil
		}
		if _, err := tx.Exec(ctx, `delete from device_live where app_id = $1 and token_hash = $2`, app.ID, sum[:]); err != nil {
			return fmt.Errorf("device: take token of live activity: %w", err)
		}
		if _, err := tx.Exec(ctx, `delete from device_live where (app_id, ordinal, kind, name) in (
			select app_id, ordinal, kind, name from device_live where app_id = $1 and ordinal = $2
			order by updated_at desc, kind, name limit $3 offset $4)`, app.ID, int64(ordinal), maxLive, maxLive-1); err != nil {
			return fmt.Errorf("device: forget oldest live activity: %w", err)
		}
		_, err = tx.Exec(ctx, `insert into device_live (app_id, ordinal, kind, name, token, token_hash, environment, updated_at, expires_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			app.ID, int64(ordinal), int64(kind), name, l.PushToken, sum[:], l.Environment, clock.Millis(now), clock.Millis(expires))
		if err != nil {
			return fmt.Errorf("device: store live activity: %w", err)
		}
		return nil
	})
}

// LiveFollowers is the set of the devices that follow a live activity. The caller owns it. It reads an index entry for each of
// them.
func (r *Registry) LiveFollowers(ctx context.Context, app int64, activity string) (*roaring.Bitmap, error) {
	rows, err := r.DB.Query(ctx, `select ordinal from device_live where app_id = $1 and kind = $2 and name = $3 and expires_at > $4 order by ordinal`,
		app, int64(liveActivity), activity, clock.Millis(r.Clock.Now()))
	if err != nil {
		return nil, fmt.Errorf("device: read followers: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := roaring.New()
	for rows.Next() {
		var o uint32
		if err := rows.Scan(&o); err != nil {
			return nil, fmt.Errorf("device: read followers: %w", err)
		}
		out.Add(o)
	}
	return out, rows.Err()
}

// LiveTokens lists the tokens of a live activity on devices that follow it, in order of ordinals; at most 1,000 devices at once.
func (r *Registry) LiveTokens(ctx context.Context, app int64, activity string, ordinals []uint32) ([]DeviceToken, error) {
	return r.liveTokens(ctx, app, liveActivity, activity, ordinals)
}

// StartTokens lists the tokens with which activities of a type are started on devices, in order of ordinals; at most 1,000
// devices at once.
func (r *Registry) StartTokens(ctx context.Context, app int64, attributesType string, ordinals []uint32) ([]DeviceToken, error) {
	return r.liveTokens(ctx, app, liveType, attributesType, ordinals)
}

func (r *Registry) liveTokens(ctx context.Context, app int64, kind liveKind, name string, ordinals []uint32) ([]DeviceToken, error) {
	if len(ordinals) == 0 {
		return nil, nil
	}
	args := []any{app, int64(kind), name, clock.Millis(r.Clock.Now())}
	for _, o := range ordinals {
		args = append(args, int64(o))
	}
	rows, err := r.DB.Query(ctx, `select ordinal, token, environment from device_live
		where app_id = $1 and kind = $2 and name = $3 and expires_at > $4 and ordinal in (`+db.In(5, len(ordinals))+`) order by ordinal`, args...)
	if err != nil {
		return nil, fmt.Errorf("device: read tokens of live activities: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []DeviceToken
	for rows.Next() {
		t := DeviceToken{Token: Token{Channel: liveChannel}}
		if err := rows.Scan(&t.Ordinal, &t.Token.Token, &t.Environment); err != nil {
			return nil, fmt.Errorf("device: read tokens of live activities: %w", err)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// DropLiveTokens forgets tokens of live activities that the vendor said are no longer good, in the caller's transaction.
func (r *Registry) DropLiveTokens(ctx context.Context, tx *db.Tx, app int64, tokens []DeviceToken) error {
	for _, t := range tokens {
		sum := sha256.Sum256([]byte(t.Token.Token))
		if _, err := tx.Exec(ctx, `delete from device_live where app_id = $1 and ordinal = $2 and token_hash = $3`, app, int64(t.Ordinal), sum[:]); err != nil {
			return fmt.Errorf("device: drop token of live activity: %w", err)
		}
	}
	return nil
}

// SweepLive deletes what has expired, and says how much.
func (r *Registry) SweepLive(ctx context.Context) (int64, error) {
	now := clock.Millis(r.Clock.Now())
	var total int64
	for {
		var n int64
		err := r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			var err error
			n, err = tx.Exec(ctx, `delete from device_live where (app_id, ordinal, kind, name) in (
				select app_id, ordinal, kind, name from device_live where expires_at <= $1 order by expires_at limit $2)`, now, livePerSweep)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("device: sweep live activities: %w", err)
		}
		if total += n; n < livePerSweep {
			return total, nil
		}
	}
}
