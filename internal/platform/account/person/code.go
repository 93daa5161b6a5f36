package person

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/ratelimit"
)

// One-time codes.
const (
	// CodeTTL is how long a code is good.
	CodeTTL = 5 * time.Minute
	// CodeTries is how often one can be tried.
	CodeTries = 5
	// CodePause is between two codes for one address, CodesPerDay how many it gets within 24 hours of the first.
	CodePause   = time.Minute
	CodesPerDay = 10
	day         = 24 * time.Hour
	codeRange   = 1_000_000
)

// codePlace is what a code proves: that who acts in bound (a draft, a person) receives what is sent to target. A code is good
// for no other place.
type codePlace struct {
	purpose, bound string
	target         string // blind index of the address
}

// newCode makes the one live code of an address; an older one ends. It fails with *WaitError.
func (s *Service) newCode(ctx context.Context, tx *db.Tx, p codePlace) (string, error) {
	var sentAt, dayStart, count int64
	err := tx.QueryRow(ctx, `insert into account_person_code (target_blind, purpose, nonce, mac, tries, sent_at, expires_at, day_start, day_count)
		values ($1, '', '', '', 0, 0, 0, 0, 0) on conflict (target_blind) do update set target_blind = excluded.target_blind returning sent_at, day_start, day_count`,
		p.target).Scan(&sentAt, &dayStart, &count)
	if err != nil {
		return "", fmt.Errorf("person: lock a code: %w", err)
	}
	now := s.now()
	if since := now - sentAt; since >= 0 && since < CodePause.Milliseconds() {
		return "", &WaitError{CodePause - time.Duration(since)*time.Millisecond}
	}
	if since := now - dayStart; since < 0 || since >= day.Milliseconds() {
		dayStart, count = now, 0
	} else if count >= CodesPerDay {
		return "", &WaitError{day - time.Duration(since)*time.Millisecond}
	}
	n, err := rand.Int(rand.Reader, big.NewInt(codeRange))
	if err != nil {
		return "", fmt.Errorf("person: random number: %w", err)
	}
	code := fmt.Sprintf("%06d", n)
	var raw [12]byte
	_, _ = rand.Read(raw[:])
	nonce := base64.RawURLEncoding.EncodeToString(raw[:])
	_, err = tx.Exec(ctx, `update account_person_code
		set purpose = $2, nonce = $3, mac = $4, tries = 0, sent_at = $5, expires_at = $6, day_start = $7, day_count = $8 where target_blind = $1`,
		p.target, p.purpose, nonce, s.codeMAC(p, nonce, code), now, now+CodeTTL.Milliseconds(), dayStart, count+1)
	if err != nil {
		return "", fmt.Errorf("person: write a code: %w", err)
	}
	return code, nil
}

// useCode counts a try and, if the code is right, ends it. The transaction must commit in either case, so a wrong code is no
// error here.
func (s *Service) useCode(ctx context.Context, tx *db.Tx, p codePlace, code string) (ok bool, err error) {
	var nonce, mac string
	err = tx.QueryRow(ctx, `update account_person_code set tries = tries + 1
		where target_blind = $1 and purpose = $2 and mac <> '' and tries < $3 and expires_at > $4 returning nonce, mac`,
		p.target, p.purpose, CodeTries, s.now()).Scan(&nonce, &mac)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return false, fmt.Errorf("person: try a code: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(s.codeMAC(p, nonce, code)), []byte(mac)) != 1 {
		return false, nil
	}
	if _, err := tx.Exec(ctx, `update account_person_code set mac = '' where target_blind = $1`, p.target); err != nil {
		return false, fmt.Errorf("person: end a code: %w", err)
	}
	return true, nil
}

// codeMAC is over every part with its length.
func (s *Service) codeMAC(p codePlace, nonce, code string) string {
	mac := hmac.New(sha256.New, s.codeKey)
	for _, part := range []string{p.purpose, p.bound, p.target, nonce, code} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		mac.Write(n[:])
		mac.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// mayAsk bounds what one party on the internet can have sent. An act without an address (of a command) is not counted.
func (s *Service) mayAsk(w Where) error {
	if !w.IP.IsValid() {
		return nil
	}
	if st := s.asked.Take(ratelimit.IPKey(w.IP), s.opt.CodesPerAddress); !st.Allowed {
		return &WaitError{time.Duration(st.Reset) * time.Second}
	}
	return nil
}
