package device

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// channels are the vendors a token can be of.
var channels = [...]string{"apns", "fcm", "huawei", "honor", "xiaomi", "oppo", "vivo", "meizu", "hmos", "webpush"}

// maxToken is the longest token in bytes: a web push subscription with its keys fits.
const maxToken = 4096

// Token is the address of a device at a vendor.
type Token struct {
	// Channel is one of apns, fcm, huawei, honor, xiaomi, oppo, vivo, meizu, hmos, webpush.
	Channel string `json:"channel"`
	// Token as the vendor gave it to the device; "" deletes the device's token of the channel.
	Token string `json:"token"`
	// Environment is "production" (also when empty) or "sandbox".
	Environment string `json:"environment,omitempty"`
}

func (t Token) check() error {
	if !slices.Contains(channels[:], t.Channel) {
		return invalid("channel", "must be one of "+strings.Join(channels[:], ", "))
	}
	if err := checkEnvironment(t.Environment); err != nil {
		return err
	}
	return checkText("token", t.Token, maxToken)
}

// Environments of a token; production when nothing is said.
const environmentProduction, environmentSandbox = "production", "sandbox"

// EnvironmentOf is the environment of a token by whether it is for development.
func EnvironmentOf(sandbox bool) string {
	if sandbox {
		return environmentSandbox
	}
	return environmentProduction
}

// Sandbox tells whether the token is for development.
func (t Token) Sandbox() bool { return t.Environment == environmentSandbox }

func checkEnvironment(environment string) error {
	if environment != "" && environment != environmentProduction && environment != environmentSandbox {
		return invalid("environment", "must be production or sandbox")
	}
	return nil
}

// PutToken sets the device's token of a channel. The newest owner of a token wins: it is taken from any other device.
// Refusals: Invalid, UnknownDevice.
func (r *Registry) PutToken(ctx context.Context, app *gate.App, ordinal uint32, t Token) error {
	if err := t.check(); err != nil {
		return err
	}
	if t.Environment == "" {
		t.Environment = environmentProduction
	}
	now := clock.Millis(r.Clock.Now())
	sum := sha256.Sum256([]byte(t.Token))
	return r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		// Also the lock of the tokens: two devices may claim one at the same time.
		if err := r.Audience.Lock(ctx, tx, app.ID); err != nil {
			return err
		}
		if _, err := find(ctx, tx, app.ID, ordinal); err != nil {
			return err
		}
		if t.Token == "" {
			if _, err := tx.Exec(ctx, `delete from device_token where app_id = $1 and ordinal = $2 and channel = $3`, app.ID, int64(ordinal), t.Channel); err != nil {
				return fmt.Errorf("device: delete token: %w", err)
			}
			return nil
		}
		if _, err := tx.Exec(ctx, `delete from device_token where app_id = $1 and channel = $2 and token_hash = $3 and ordinal <> $4`,
			app.ID, t.Channel, sum[:], int64(ordinal)); err != nil {
			return fmt.Errorf("device: take token: %w", err)
		}
		_, err := tx.Exec(ctx, `insert into device_token (app_id, ordinal, channel, token, token_hash, environment, updated_at)
			values ($1, $2, $3, $4, $5, $6, $7) on conflict (app_id, ordinal, channel)
			do update set token = $4, token_hash = $5, environment = $6, updated_at = $7`,
			app.ID, int64(ordinal), t.Channel, t.Token, sum[:], t.Environment, now)
		if err != nil {
			return fmt.Errorf("device: store token: %w", err)
		}
		return nil
	})
}

// Tokens are the device's tokens, by channel.
func (r *Registry) Tokens(ctx context.Context, app int64, ordinal uint32) ([]Token, error) {
	rows, err := r.DB.Query(ctx, `select channel, token, environment from device_token where app_id = $1 and ordinal = $2 order by channel`, app, int64(ordinal))
	if err != nil {
		return nil, fmt.Errorf("device: read tokens: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Token
	for rows.Next() {
		var t Token
		if err := rows.Scan(&t.Channel, &t.Token, &t.Environment); err != nil {
			return nil, fmt.Errorf("device: read tokens: %w", err)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}
