package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/relay/vendor"
)

// Account is what an app is at the vendor.
type Account struct {
	// URL of the vendor's push API; "" is vendor.PushURL.
	URL string
	// Key and Secret; "" are those that the app has here.
	Key, Secret string
}

// Accounts keeps the accounts that differ from what an app is here. The package's tables have been migrated.
type Accounts struct {
	DB     *db.DB
	Sealer Sealer
}

// Set keeps an app's account at the vendor. The error of an address that must not get the secret is that of
// vendor.CheckURL.
func (s Accounts) Set(ctx context.Context, app int64, a Account) error {
	if a.URL == "" {
		a.URL = vendor.PushURL
	}
	if err := vendor.CheckURL(a.URL); err != nil {
		return err
	}
	sealed := ""
	if a.Secret != "" {
		var err error
		if sealed, err = s.Sealer.Seal([]byte(a.Secret), accountPlace(app)); err != nil {
			return fmt.Errorf("relay: seal secret: %w", err)
		}
	}
	err := s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `insert into push_relay_account (app_id, url, app_key, sealed) values ($1, $2, $3, $4)
			on conflict (app_id) do update set url = excluded.url, app_key = excluded.app_key, sealed = excluded.sealed`, app, a.URL, a.Key, sealed)
		return err
	})
	if err != nil {
		return fmt.Errorf("relay: store account: %w", err)
	}
	return nil
}

// accountPlace binds a sealed secret to its app.
func accountPlace(app int64) []byte {
	return []byte("push_relay_account/" + strconv.FormatInt(app, 10))
}

// client makes the calls of an app.
func (s *Service) client(ctx context.Context, app *gate.App) (*vendor.Client, error) {
	a := Account{URL: vendor.PushURL}
	var sealed string
	err := s.DB.QueryRow(ctx, `select url, app_key, sealed from push_relay_account where app_id = $1`, app.ID).Scan(&a.URL, &a.Key, &sealed)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return nil, fmt.Errorf("relay: read account: %w", err)
	}
	if a.Key == "" {
		a.Key = app.Key
	}
	switch {
	case sealed != "":
		plain, err := s.Sealer.Open(sealed, accountPlace(app.ID))
		if err != nil {
			return nil, fmt.Errorf("relay: open secret: %w", err)
		}
		a.Secret = string(plain)
	case s.Secret != nil:
		if a.Secret, err = s.Secret(ctx, app.Key); err != nil {
			return nil, fmt.Errorf("relay: secret of the app: %w", err)
		}
	}
	return vendor.New(s.http, a.URL, a.Key, a.Secret)
}
