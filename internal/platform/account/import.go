package account

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
)

// ImportApp makes an app with keys that it has elsewhere, so that its servers keep them. An app that is there with the
// same keys is returned as it is, whatever its name; made tells whether it is new. Refusals: *InvalidError, also for a
// key whose app has another secret.
func (s *Service) ImportApp(ctx context.Context, actor, name, key, secret string) (app *App, made bool, err error) {
	if strings.TrimSpace(name) == "" {
		name = key
	}
	if name, err = checkName("name", name); err != nil {
		return nil, false, err
	}
	for field, value := range map[string]string{"app_key": key, "master_secret": secret} {
		if !isKey(value) {
			return nil, false, &InvalidError{field, fmt.Sprintf("must have %d letters and digits", id.KeyLen)}
		}
	}
	sealed, err := s.sealer.Seal([]byte(secret), []byte(appSecret+key))
	if err != nil {
		return nil, false, fmt.Errorf("account: seal master secret: %w", err)
	}
	at := s.clock.Now().Truncate(time.Millisecond)
	create := func(ctx context.Context, tx *db.Tx) error {
		app, made = nil, false
		row, err := queryApp(ctx, tx, key)
		if !errors.Is(err, ErrNotFound) {
			if err == nil {
				app = &row.App
			}
			return err
		}
		app = &App{App: gate.App{Key: key, Name: name, State: gate.Enabled, Settings: gate.DefaultSettings(), Revision: 1,
			SecretHash: sha256.Sum256([]byte(secret))}, MasterSecret: secret, CreatedAt: at}
		made = true
		if err := insertApp(ctx, tx, app, sealed); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "app.import", Object: "app/" + key, Detail: map[string]string{"name": name}})
	}
	err = s.db.InTx(ctx, create)
	for range maxCollisions { // of its number with another's, or with another import of the same app, which the next try finds
		if !db.IsUnique(err) {
			break
		}
		err = s.db.InTx(ctx, create)
	}
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("account: import app: %w", err)
	case !app.CheckSecret(secret):
		return nil, false, &InvalidError{"master_secret", "is not that of the app which has this key already"}
	case made:
		s.announce(app.App)
	}
	app.MasterSecret = secret
	return app, made, nil
}

func isKey(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return len(s) == id.KeyLen
}
