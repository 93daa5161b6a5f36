package account

import (
	"context"
	"errors"
	"fmt"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/apns"
)

// Refusals of certificates.
var (
	// ErrNoCertificate says that the app has no certificate for the environment.
	ErrNoCertificate = errors.New("the app has no push certificate for this environment")
	// ErrSameCertificate says that the app has exactly these certificates.
	ErrSameCertificate = errors.New("certificate exists")
)

// maxDecoders bounds the PKCS#12 files that are read at once: deriving their keys is made to be slow.
const maxDecoders = 2

// Upload is a PKCS#12 file for one environment.
type Upload struct {
	Environment apns.Environment
	File        []byte
	Password    string
}

// setCertificates stores push certificates of an app unless allowed refuses, all or none; each replaces the one of its environment. One that is
// there already is left alone, and if all are it fails with ErrSameCertificate. Other errors: ErrNotFound, ErrDeleted, apns.ErrInvalid.
func (s *Service) setCertificates(ctx context.Context, actor, key string, uploads []Upload, allowed func(*App) error) error {
	certs, err := s.decode(ctx, uploads)
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		app, err := holdApp(ctx, tx, key)
		if err != nil {
			return err
		}
		if err := allowed(&app.App); err != nil {
			return err
		}
		fresh := false
		for i, c := range certs {
			place := certificatePlace(app.Key, uploads[i].Environment)
			text, err := c.Marshal()
			if err != nil {
				return err
			}
			sealed, err := s.sealer.Seal(text, place)
			if err != nil {
				return fmt.Errorf("account: seal certificate: %w", err)
			}
			stored, err := putCertificate(ctx, tx, app.ID, uploads[i].Environment, c, sealed, clock.Millis(s.clock.Now()))
			if err != nil {
				return err
			}
			if !stored {
				continue
			}
			fresh = true
			detail := map[string]string{"environment": string(uploads[i].Environment), "topic": c.Topic, "fingerprint": c.Fingerprint}
			if err := s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "app.certificate", Object: "app/" + key, Detail: detail}); err != nil {
				return err
			}
		}
		if !fresh {
			return ErrSameCertificate
		}
		return nil
	})
}

// decode reads the files, a few of all callers at once.
func (s *Service) decode(ctx context.Context, uploads []Upload) ([]*apns.Certificate, error) {
	select {
	case s.decoders <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.decoders }()
	certs := make([]*apns.Certificate, 0, len(uploads))
	for _, u := range uploads {
		c, err := apns.Parse(u.File, u.Password, u.Environment, s.clock.Now())
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// certificatePlace binds a sealed certificate to its app and environment.
func certificatePlace(appKey string, e apns.Environment) []byte {
	return []byte("account_certificate/" + appKey + "/" + string(e))
}

// Certificate is the push certificate of an app, by its number, with its private key; it may have expired since it was
// stored. It fails with ErrNoCertificate.
func (s *Service) Certificate(ctx context.Context, app int64, e apns.Environment) (*apns.Certificate, error) {
	key, sealed, err := queryCertificate(ctx, s.db, app, e)
	if err != nil {
		return nil, err
	}
	text, err := s.sealer.Open(sealed, certificatePlace(key, e))
	if err != nil {
		return nil, fmt.Errorf("account: open certificate of %s: %w", key, err)
	}
	return apns.Unmarshal(text)
}
