package person

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"borealis/internal/kernel/db"
)

// Kinds of tickets.
const (
	ticketBootstrap = "bootstrap"
	ticketRecovery  = "recovery"
	ticketNotMe     = "not_me"
	ticketPasskey   = "passkey"
	ticketSignIn    = "passkey_sign_in"
	ticketExternal  = "external"
	ticketChange    = "change"
)

// ticket is something that was begun here and comes back once, with its token.
type ticket struct {
	id        int64
	user      int64
	notBefore int64
	data      string
}

// newTicket keeps data, any JSON, until the token comes back. notBefore 0: at once.
func (s *Service) newTicket(ctx context.Context, tx *db.Tx, kind string, user int64, data any, notBefore int64, ttl time.Duration) (token string, err error) {
	token, hash := newToken(prefixLink)
	text, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("person: ticket: %w", err)
	}
	sealed, err := s.seal("ticket/"+kind, hash, string(text))
	if err != nil {
		return "", err
	}
	now := s.now()
	_, err = tx.Exec(ctx, `insert into account_person_ticket (kind, token_hash, user_id, data_sealed, created_at, not_before, expires_at) values ($1, $2, $3, $4, $5, $6, $7)`,
		kind, hash, user, sealed, now, notBefore, max(now, notBefore)+ttl.Milliseconds())
	if err != nil {
		return "", fmt.Errorf("person: insert a ticket: %w", err)
	}
	return token, nil
}

// useTicket ends a ticket and reads its data into data. It fails with ErrLink, or with *WaitError for one that comes too
// early, which stays.
func (s *Service) useTicket(ctx context.Context, tx *db.Tx, kind, token string, data any) (*ticket, error) {
	hash := hashToken(token)
	var t ticket
	now := s.now()
	err := tx.QueryRow(ctx, `delete from account_person_ticket where token_hash = $1 and kind = $2 and expires_at > $3 returning id, user_id, not_before, data_sealed`,
		hash, kind, now).
		Scan(&t.id, &t.user, &t.notBefore, &t.data)
	return s.opened(&t, kind, hash, now, data, err)
}

// peekTicket is useTicket of one that stays, outside a transaction.
func (s *Service) peekTicket(ctx context.Context, r rower, kind, token string, data any) (*ticket, error) {
	hash := hashToken(token)
	var t ticket
	err := r.QueryRow(ctx, `select id, user_id, not_before, data_sealed from account_person_ticket where token_hash = $1 and kind = $2 and expires_at > $3`,
		hash, kind, s.now()).
		Scan(&t.id, &t.user, &t.notBefore, &t.data)
	return s.opened(&t, kind, hash, s.now(), data, err)
}

func (s *Service) opened(t *ticket, kind, hash string, now int64, data any, err error) (*ticket, error) {
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrLink
	case err != nil:
		return nil, fmt.Errorf("person: read a ticket: %w", err)
	case t.notBefore > now:
		return nil, &WaitError{time.Duration(t.notBefore-now) * time.Millisecond}
	}
	text, err := s.open("ticket/"+kind, hash, t.data)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(text), data); err != nil {
		return nil, fmt.Errorf("person: ticket: %w", err)
	}
	return t, nil
}

// dropTickets ends all tickets of a kind that a person has.
func dropTickets(ctx context.Context, tx *db.Tx, user int64, kinds ...string) error {
	for _, kind := range kinds {
		if _, err := tx.Exec(ctx, `delete from account_person_ticket where user_id = $1 and kind = $2`, user, kind); err != nil {
			return fmt.Errorf("person: drop tickets: %w", err)
		}
	}
	return nil
}
