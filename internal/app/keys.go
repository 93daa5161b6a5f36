package app

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"borealis/internal/engine/deviceid"
	"borealis/internal/kernel/config"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/secret"
)

//go:embed migrations
var migrations embed.FS

// registrationKey is the purpose under which registration ids and device secrets derive their key from the id key.
const registrationKey = "registration"

// loadKeys reads the key file and compares it with the fingerprint in the database; the first start creates both.
func loadKeys(ctx context.Context, cfg *config.Config, d *db.DB) (*secret.Keys, error) {
	if err := d.Migrate(ctx, "app", migrations); err != nil {
		return nil, err
	}
	var known string
	err := d.QueryRow(ctx, `select fingerprint from app_installation where id = 1`).Scan(&known)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return nil, fmt.Errorf("app: read fingerprint: %w", err)
	}
	var keys *secret.Keys
	if cfg.Embedded() {
		keys, err = secret.LoadOrCreate(cfg.Keys(), known)
	} else {
		keys, err = secret.Load(cfg.Keys()) // nodes share it, so none of them may make one up
	}
	if err != nil {
		return nil, err
	}
	if known != "" {
		if err := keys.Check(known); err != nil {
			return nil, err
		}
	}
	if known == keys.Fingerprint() {
		return keys, nil
	}
	err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `insert into app_installation (id, fingerprint) values (1, $1)
			on conflict (id) do update set fingerprint = excluded.fingerprint`, keys.Fingerprint())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("app: store fingerprint: %w", err)
	}
	return keys, nil
}

func deviceCodec(keys *secret.Keys) (*deviceid.Codec, error) {
	return deviceid.New(keys.Derive(registrationKey))
}
