package notice

import (
	"context"
	"errors"
	"fmt"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
)

// Enqueue accepts a notice to at most MaxInTx recipients in the caller's transaction: it is sent if that commits, and not otherwise. The
// answer is the notice's id. Errors: *InvalidError, ErrNoTemplate, ErrConflict, ErrBusy.
func (s *Service) Enqueue(ctx context.Context, tx *db.Tx, n Notice, people []Recipient) (string, error) {
	if len(people) > MaxInTx {
		return "", &InvalidError{Field: "recipients", Reason: fmt.Sprintf("in a transaction must be at most %d", MaxInTx)}
	}
	t, err := currentTemplate(ctx, tx, n.Code)
	if err != nil {
		return "", err
	}
	r, err := s.prepare(&n, t, people)
	if err != nil {
		return "", err
	}
	known, err := queryKnown(ctx, tx, n.Key)
	if err != nil {
		return "", err
	}
	if known != nil {
		return known.answer(r)
	}
	if err := s.room(t.Class, len(r.people)); err != nil {
		return "", err
	}
	name := id.NewUUID()
	if err := s.insertNotice(ctx, tx, name, r, stateReleased); err != nil {
		return "", err
	}
	if err := s.insertPeople(ctx, tx, name, r, 0, len(r.people), true); err != nil {
		return "", err
	}
	tx.AfterCommit(func() {
		s.waiting.Add(int64(len(r.people)))
		s.poke()
	})
	return name, nil
}

// chunk is how many recipients are written, or released, in one transaction.
const chunk = 100

// Send accepts a notice to at most MaxAudience recipients. When it returns without error, all of them are told. If the process ends
// meanwhile nobody is, until the caller asks again with the same key, which goes on where it ended; the audience may have changed by then.
// Errors are Enqueue's.
func (s *Service) Send(ctx context.Context, n Notice, people []Recipient) (string, error) {
	t, err := currentTemplate(ctx, s.db, n.Code)
	if err != nil {
		return "", err
	}
	r, err := s.prepare(&n, t, people)
	if err != nil {
		return "", err
	}
	if len(r.people) > MaxInTx {
		return s.sendMany(ctx, r)
	}
	var name string
	for range 2 { // who loses a race for the key gets the winner's answer
		err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			name, err = s.Enqueue(ctx, tx, n, r.people)
			return err
		})
		if !errors.Is(err, ErrConflict) {
			return name, err
		}
	}
	if !errors.Is(err, errUnfinished) {
		return "", err
	}
	// A notice that was begun with a larger audience goes the long way.
	return s.sendMany(ctx, r)
}

func (s *Service) sendMany(ctx context.Context, r *request) (string, error) {
	if err := s.room(r.template.Class, len(r.people)); err != nil {
		return "", err
	}
	w, err := s.begin(ctx, r)
	if err != nil || w.done {
		return w.id, err
	}
	for from := w.written; from < len(r.people); from += chunk {
		to := min(from+chunk, len(r.people))
		err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := w.check(ctx, tx); err != nil {
				return err
			}
			return s.insertPeople(ctx, tx, w.id, r, from, to, false)
		})
		if err != nil {
			return "", err
		}
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update notice_notice set state = $3, accepted_at = $4, recipients = $5 where id = $1 and fence = $2 and state = $6`,
			w.id, w.fence, stateAccepted, s.now(), len(r.people), statePreparing)
		if err == nil && n == 0 {
			err = ErrConflict
		}
		return err
	})
	if err != nil {
		return "", err
	}
	s.waiting.Add(int64(len(r.people)))
	s.poke()
	return w.id, nil
}

// writing is a notice whose recipients are being written.
type writing struct {
	id    string
	fence int64
	// written is how many recipients there are already; done says that the notice was accepted before.
	written int
	done    bool
}

// check locks the notice and fails if somebody else began to write it.
func (w *writing) check(ctx context.Context, tx *db.Tx) error {
	n, err := tx.Exec(ctx, `update notice_notice set fence = fence where id = $1 and fence = $2 and state = $3`, w.id, w.fence, statePreparing)
	if err != nil {
		return wrap("write", err)
	}
	if n == 0 {
		return ErrConflict
	}
	return nil
}

// begin inserts the notice, or takes over one that was begun and not finished. Recipients of another audience are removed first.
func (s *Service) begin(ctx context.Context, r *request) (w writing, err error) {
	for {
		left := false
		err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			w, left = writing{}, false
			known, err := queryKnown(ctx, tx, r.Key)
			if err != nil {
				return err
			}
			if known == nil {
				w = writing{id: id.NewUUID(), fence: 1}
				return s.insertNotice(ctx, tx, w.id, r, statePreparing)
			}
			if known.state != statePreparing {
				w.done = true
				w.id, err = known.answer(r)
				return err
			}
			if known.request != r.hash {
				return ErrConflict
			}
			w = writing{id: known.id, fence: known.fence + 1}
			left, w.written, err = s.takeOver(ctx, tx, &w, known, r)
			return err
		})
		if err != nil || !left {
			return w, err
		}
	}
}

// takeOver raises the fence. left says that recipients of another audience, or with another text, are still to be removed.
func (s *Service) takeOver(ctx context.Context, tx *db.Tx, w *writing, known *known, r *request) (left bool, written int, err error) {
	n, err := tx.Exec(ctx, `update notice_notice set fence = fence + 1 where id = $1 and fence = $2`, known.id, known.fence)
	if err != nil {
		return false, 0, wrap("take over", err)
	}
	if n == 0 {
		return false, 0, ErrConflict
	}
	if err := tx.QueryRow(ctx, `select count(*) from notice_recipient where notice_id = $1`, w.id).Scan(&written); err != nil {
		return false, 0, wrap("take over", err)
	}
	if known.audience == r.audience && known.content == r.content {
		return false, written, nil
	}
	if written > 0 {
		return true, 0, deleteSome(ctx, tx, w.id)
	}
	return false, 0, s.replaceContent(ctx, tx, w.id, r)
}

// room refuses what would make the queue too long.
func (s *Service) room(class string, n int) error {
	limit := s.maxWaiting
	if !Mandatory(class) {
		limit /= 2
	}
	if s.waiting.Load()+int64(n) > limit {
		return ErrBusy
	}
	return nil
}

// errUnfinished: the notice was begun by Send with a large audience.
var errUnfinished = fmt.Errorf("%w: it was begun and not finished", ErrConflict)

// answer is what a repeated key gets.
func (k *known) answer(r *request) (string, error) {
	switch {
	case k.request != r.hash:
		return "", ErrConflict
	case k.state == statePreparing:
		return "", errUnfinished
	}
	return k.id, nil
}
