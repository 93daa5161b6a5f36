package device

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// Reach is one way to a device beside its connection: the channel of a vendor.
type Reach struct {
	Ordinal uint32
	Channel string
}

// DeviceToken is a token and whose it is.
type DeviceToken struct {
	Token
	Ordinal uint32
	// UpdatedAt is when the device brought it last, Unix milliseconds.
	UpdatedAt int64
}

// tokenLife is how long a token of a device that is not seen is kept. Vendors themselves drop those unused for 270 days.
const tokenLife = 270 * 24 * time.Hour

// ReachesOf lists the channels of devices of an app, in order of ordinals; at most 1,000 devices may be asked for at once.
func (r *Registry) ReachesOf(ctx context.Context, app int64, ordinals []uint32) ([]Reach, error) {
	if len(ordinals) == 0 {
		return nil, nil
	}
	args := []any{app}
	for _, o := range ordinals {
		args = append(args, int64(o))
	}
	return r.reaches(ctx, `ordinal in (`+db.In(2, len(ordinals))+`)`, args...)
}

// ReachesBetween lists the channels of the app's devices from one ordinal to another, both included.
func (r *Registry) ReachesBetween(ctx context.Context, app int64, first, last uint32) ([]Reach, error) {
	return r.reaches(ctx, `ordinal >= $2 and ordinal <= $3`, app, int64(first), int64(last))
}

func (r *Registry) reaches(ctx context.Context, where string, args ...any) ([]Reach, error) {
	rows, err := r.DB.Query(ctx, `select ordinal, channel from device_token where app_id = $1 and `+where+` order by ordinal, channel`, args...)
	if err != nil {
		return nil, fmt.Errorf("device: read channels: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Reach
	for rows.Next() {
		var reach Reach
		if err := rows.Scan(&reach.Ordinal, &reach.Channel); err != nil {
			return nil, fmt.Errorf("device: read channels: %w", err)
		}
		out = append(out, reach)
	}
	return out, rows.Err()
}

// TokensOf lists the tokens of a channel that devices have, in order of ordinals; at most 1,000 devices at once.
func (r *Registry) TokensOf(ctx context.Context, app int64, channel string, ordinals []uint32) ([]DeviceToken, error) {
	if len(ordinals) == 0 {
		return nil, nil
	}
	args := []any{app, channel}
	for _, o := range ordinals {
		args = append(args, int64(o))
	}
	rows, err := r.DB.Query(ctx, `select ordinal, channel, token, environment, updated_at from device_token
		where app_id = $1 and channel = $2 and ordinal in (`+db.In(3, len(ordinals))+`) order by ordinal`, args...)
	if err != nil {
		return nil, fmt.Errorf("device: read tokens: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []DeviceToken
	for rows.Next() {
		var t DeviceToken
		if err := rows.Scan(&t.Ordinal, &t.Channel, &t.Token.Token, &t.Environment, &t.UpdatedAt); err != nil {
			return nil, fmt.Errorf("device: read tokens: %w", err)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// OwnerOf finds the device that has a token.
func (r *Registry) OwnerOf(ctx context.Context, app int64, channel, token string) (ordinal uint32, found bool, err error) {
	sum := sha256.Sum256([]byte(token))
	err = r.DB.QueryRow(ctx, `select ordinal from device_token where app_id = $1 and channel = $2 and token_hash = $3`, app, channel, sum[:]).Scan(&ordinal)
	if errors.Is(err, db.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("device: find token: %w", err)
	}
	return ordinal, true, nil
}

// DropTokens forgets tokens that a vendor said are no longer good, in the caller's transaction. One that the device replaced meanwhile stays.
func (r *Registry) DropTokens(ctx context.Context, tx *db.Tx, app int64, tokens []DeviceToken) error {
	for _, t := range tokens {
		sum := sha256.Sum256([]byte(t.Token.Token))
		if _, err := tx.Exec(ctx, `delete from device_token where app_id = $1 and ordinal = $2 and channel = $3 and token_hash = $4`,
			app, int64(t.Ordinal), t.Channel, sum[:]); err != nil {
			return fmt.Errorf("device: drop token: %w", err)
		}
	}
	return nil
}

// TokenCounts is how many devices of an app have a token of each channel.
func (r *Registry) TokenCounts(ctx context.Context, app int64) (map[string]int64, error) {
	rows, err := r.DB.Query(ctx, `select channel, count(*) from device_token where app_id = $1 group by channel`, app)
	if err != nil {
		return nil, fmt.Errorf("device: count tokens: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := make(map[string]int64)
	for rows.Next() {
		var (
			channel string
			n       int64
		)
		if err := rows.Scan(&channel, &n); err != nil {
			return nil, fmt.Errorf("device: count tokens: %w", err)
		}
		out[channel] = n
	}
	return out, rows.Err()
}

// MobilesOf are the verified mobile numbers of devices; at most 1,000 devices at once. A number that a device gave itself is in no answer.
func (r *Registry) MobilesOf(ctx context.Context, app int64, ordinals []uint32) (map[uint32]string, error) {
	out := make(map[uint32]string)
	if len(ordinals) == 0 {
		return out, nil
	}
	args := []any{app}
	for _, o := range ordinals {
		args = append(args, int64(o))
	}
	rows, err := r.DB.Query(ctx, `select ordinal, mobile from device_device
		where app_id = $1 and mobile_verified and mobile <> '' and ordinal in (`+db.In(2, len(ordinals))+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("device: read mobile numbers: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			ordinal uint32
			sealed  string
		)
		if err := rows.Scan(&ordinal, &sealed); err != nil {
			return nil, fmt.Errorf("device: read mobile numbers: %w", err)
		}
		plain, err := r.Sealer.Open(sealed, mobileAAD(app, ordinal))
		if err != nil {
			return nil, fmt.Errorf("device: open mobile number: %w", err)
		}
		out[ordinal] = string(plain)
	}
	return out, rows.Err()
}

// tokensPerSweep bounds the tokens of one transaction of SweepTokens.
const tokensPerSweep = 500

// SweepTokens forgets the tokens of devices that neither renewed theirs nor were seen for 270 days, and says how many.
func (r *Registry) SweepTokens(ctx context.Context) (int64, error) {
	before := clock.Millis(r.Clock.Now().Add(-tokenLife))
	var total int64
	for {
		var n int64
		err := r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			var err error
			n, err = tx.Exec(ctx, `delete from device_token where (app_id, ordinal, channel) in (
				select t.app_id, t.ordinal, t.channel from device_token t join device_device d on d.app_id = t.app_id and d.ordinal = t.ordinal
				where t.updated_at < $1 and d.last_seen < $1 order by t.updated_at limit $2)`, before, tokensPerSweep)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("device: sweep tokens: %w", err)
		}
		if total += n; n < tokensPerSweep {
			return total, nil
		}
	}
}
