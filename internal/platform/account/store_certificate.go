package account

import (
	"context"
	"errors"
	"fmt"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/apns"
)

// putCertificate stores a certificate unless the same one is there.
func putCertificate(ctx context.Context, tx *db.Tx, app int64, e apns.Environment, c *apns.Certificate, sealed string, now int64) (stored bool, err error) {
	n, err := tx.Exec(ctx, `insert into account_certificate (app_id, environment, topic, not_after, fingerprint, sealed, uploaded_at)
		values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (app_id, environment) do update set topic = excluded.topic, not_after = excluded.not_after, fingerprint = excluded.fingerprint,
			sealed = excluded.sealed, uploaded_at = excluded.uploaded_at
		where account_certificate.fingerprint <> excluded.fingerprint`,
		app, string(e), c.Topic, clock.Millis(c.NotAfter), c.Fingerprint, sealed, now)
	if err != nil {
		return false, fmt.Errorf("account: store certificate: %w", err)
	}
	return n > 0, nil
}

// queryCertificate finds a sealed certificate, and the key of its app.
func queryCertificate(ctx context.Context, r reader, app int64, e apns.Environment) (appKey, sealed string, err error) {
	err = r.QueryRow(ctx, `select a.app_key, c.sealed from account_certificate c join account_app a on a.id = c.app_id
		where c.app_id = $1 and c.environment = $2`, app, string(e)).Scan(&appKey, &sealed)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return "", "", ErrNoCertificate
	case err != nil:
		return "", "", fmt.Errorf("account: read certificate: %w", err)
	}
	return appKey, sealed, nil
}

func deleteCertificates(ctx context.Context, tx *db.Tx, app int64) error {
	if _, err := tx.Exec(ctx, `delete from account_certificate where app_id = $1`, app); err != nil {
		return fmt.Errorf("account: delete certificates: %w", err)
	}
	return nil
}
