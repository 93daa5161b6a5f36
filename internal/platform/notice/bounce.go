package notice

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/mail"
)

// Bounced takes a mail that came back, as it came in. If it is a report (mail.ParseBounce) on an e-mail of this installation, and says that
// the e-mail did not arrive, that is recorded beside the fact that it was sent, and the recipient is told on the next channel of the
// fallback; the deemed date stays (DS-08). It tells whether the mail was such a report. The same report again changes nothing. Anybody may
// send anything to the address for reports: only what brings back the unguessable id of a message has an effect.
func (s *Service) Bounced(ctx context.Context, raw []byte) (bool, error) {
	report, err := mail.ParseBounce(raw)
	if errors.Is(err, mail.ErrNoReport) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	delivery, ok := s.byToken(report.ID)
	if !ok {
		return false, nil
	}
	i := slices.IndexFunc(report.Recipients, func(r mail.BouncedRecipient) bool { return r.Failed() })
	if i < 0 {
		return false, nil
	}
	found := false
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		found, err = s.bounce(ctx, tx, delivery, &report.Recipients[i])
		return err
	})
	if found && err == nil {
		s.poke()
	}
	return found, err
}

func (s *Service) bounce(ctx context.Context, tx *db.Tx, delivery int64, r *mail.BouncedRecipient) (bool, error) {
	now := s.now()
	fact := clip(fmt.Sprintf("%s %s", r.Status, r.Diagnostic), 300)
	// Waiting: the report was faster than the outcome of an attempt whose connection was cut.
	n, err := tx.Exec(ctx, `update notice_delivery set state = $2, leased = false, bounced_at = $3, bounce = $4,
			settled_at = case when settled_at = 0 then $3 else settled_at end
		where id = $1 and channel = $5 and state in (1, 2)`, delivery, int64(Bounced), now, fact, Email)
	if err != nil || n == 0 {
		return false, err
	}
	var (
		t     = task{id: delivery}
		chain string
	)
	err = tx.QueryRow(ctx, `select d.recipient_id, d.notice_id, m.class, m.fallback from notice_delivery d join notice_notice m on m.id = d.notice_id
		where d.id = $1`, delivery).Scan(&t.recipient, &t.notice, &t.class, &chain)
	if err != nil {
		return false, wrap("bounce", err)
	}
	return true, s.fallBack(ctx, tx, t.recipient, t.notice, t.class, split(chain), now)
}
