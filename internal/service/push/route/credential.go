package route

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// Sealer encrypts the credentials; *secret.Keys is one.
type Sealer interface {
	Seal(plain, aad []byte) (string, error)
	Open(sealed string, aad []byte) ([]byte, error)
}

// Channel is what an app has at a vendor, without its secrets.
type Channel struct {
	Name wire.Name
	// Account at the vendor, which is no secret.
	Account string
	// Marketing is how many messages of that class a device may get on a day; 0: as the vendor rules.
	Marketing int
	// QuotaUntil is when a quota of the account is renewed that the vendor said is used up, Unix milliseconds; 0: none is.
	QuotaUntil int64
	// Problem is why the vendor refused the credentials last, and when; "" if it did not.
	Problem              string
	ProblemAt, UpdatedAt int64
}

// SetChannel keeps an app's credentials at a vendor. actor is who does it, for the audit log. What is wrong with them is a *wire.FieldError.
func (s *Service) SetChannel(ctx context.Context, actor string, app *gate.App, name wire.Name, raw []byte, marketing int) error {
	if len(raw) > wire.MaxCredentials {
		return &wire.FieldError{Field: "credentials", Reason: fmt.Sprintf("has %d bytes, at most %d are allowed", len(raw), wire.MaxCredentials)}
	}
	if marketing < 0 || marketing > maxLevels {
		return &wire.FieldError{Field: "marketing", Reason: fmt.Sprintf("must be 0 to %d", maxLevels)}
	}
	c, err := s.carrier(name)
	if err != nil {
		return err
	}
	parsed, err := c.parse(raw)
	if err != nil {
		return err
	}
	sealed, err := s.Sealer.Seal(raw, channelPlace(app.ID, name))
	if err != nil {
		return fmt.Errorf("route: seal credentials: %w", err)
	}
	err = s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `insert into push_channel (app_id, channel, account, sealed, marketing, quota_until, problem, problem_at, updated_at)
			values ($1, $2, $3, $4, $5, 0, '', 0, $6) on conflict (app_id, channel) do update set account = excluded.account, sealed = excluded.sealed,
			marketing = excluded.marketing, quota_until = 0, problem = '', problem_at = 0, updated_at = excluded.updated_at`,
			app.ID, string(name), parsed.ID(), sealed, marketing, s.now())
		if err != nil {
			return err
		}
		detail := map[string]any{"channel": name, "account": parsed.ID(), "marketing": marketing}
		return s.Audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "channel.set", Object: "app/" + app.Key, Detail: detail})
	})
	if err != nil {
		return fmt.Errorf("route: store credentials: %w", err)
	}
	s.Dispatcher.Reset(app.ID, name)
	return s.channels.refresh(ctx, s)
}

// RemoveChannel forgets an app's credentials at a vendor, and reports whether there were any.
func (s *Service) RemoveChannel(ctx context.Context, actor string, app *gate.App, name wire.Name) (bool, error) {
	var n int64
	err := s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		n, err = tx.Exec(ctx, `delete from push_channel where app_id = $1 and channel = $2`, app.ID, string(name))
		if err != nil || n == 0 {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "channel.remove", Object: "app/" + app.Key, Detail: map[string]any{"channel": name}})
	})
	if err != nil {
		return false, fmt.Errorf("route: delete credentials: %w", err)
	}
	return n > 0, s.channels.refresh(ctx, s)
}

// Channels lists what an app has.
func (s *Service) Channels(ctx context.Context, app int64) ([]Channel, error) {
	rows, err := s.DB.Query(ctx, `select channel, account, marketing, quota_until, problem, problem_at, updated_at from push_channel
		where app_id = $1 order by channel`, app)
	if err != nil {
		return nil, fmt.Errorf("route: list channels: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Channel
	for rows.Next() {
		var c Channel
		if err := rows.Scan(&c.Name, &c.Account, &c.Marketing, &c.QuotaUntil, &c.Problem, &c.ProblemAt, &c.UpdatedAt); err != nil {
			return nil, fmt.Errorf("route: list channels: %w", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Probe asks the vendor whether it takes the app's credentials: nil, or why not.
func (s *Service) Probe(ctx context.Context, app int64, name wire.Name) error {
	c, err := s.carrier(name)
	if err != nil {
		return err
	}
	creds, err := s.credentials(ctx, app, name)
	if err != nil {
		return err
	}
	if creds == nil {
		return ErrNoCredentials
	}
	return c.probe(ctx, creds)
}

// channelPlace binds sealed credentials to their app and vendor.
func channelPlace(app int64, name wire.Name) []byte {
	return []byte("push_channel/" + strconv.FormatInt(app, 10) + "/" + string(name))
}

// channelsFresh is how long a node may not know that the channels of an app changed on another.
const channelsFresh = time.Second

// channels is what a node knows of the channels of all apps: their names, which every accepted push asks for, and credentials in use.
type channels struct {
	mu     sync.Mutex
	at     time.Time
	byApp  map[int64][]channelFact
	parsed map[string]wire.Credentials // by app, channel and hash of the sealed text
}

type channelFact struct {
	name       wire.Name
	marketing  int
	quotaUntil int64
}

// of lists an app's channels, as of a second ago at most.
func (c *channels) of(ctx context.Context, s *Service, app int64) ([]channelFact, error) {
	c.mu.Lock()
	fresh := c.byApp != nil && s.Clock.Now().Sub(c.at) < channelsFresh
	facts := c.byApp[app]
	c.mu.Unlock()
	if fresh {
		return facts, nil
	}
	if err := c.refresh(ctx, s); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byApp[app], nil
}

func (c *channels) refresh(ctx context.Context, s *Service) error {
	at := s.Clock.Now()
	rows, err := s.DB.Query(ctx, `select app_id, channel, marketing, quota_until from push_channel order by app_id, channel`)
	if err != nil {
		return fmt.Errorf("route: read channels: %w", err)
	}
	defer func() { _ = rows.Close() }()
	byApp := make(map[int64][]channelFact)
	for rows.Next() {
		var (
			app int64
			f   channelFact
		)
		if err := rows.Scan(&app, &f.name, &f.marketing, &f.quotaUntil); err != nil {
			return fmt.Errorf("route: read channels: %w", err)
		}
		byApp[app] = append(byApp[app], f)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("route: read channels: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byApp, c.at = byApp, at
	return nil
}

func names(facts []channelFact) []wire.Name {
	out := make([]wire.Name, 0, len(facts))
	for _, f := range facts {
		out = append(out, f.name)
	}
	return out
}

// find is what is known of a channel; the zero value if the app does not have it.
func find(facts []channelFact, name wire.Name) channelFact {
	at := slices.IndexFunc(facts, func(f channelFact) bool { return f.name == name })
	if at < 0 {
		return channelFact{name: name}
	}
	return facts[at]
}

// maxParsed bounds the credentials that are kept in memory.
const maxParsed = 1000

// unusableError says that what is stored of an app at a vendor cannot be used, however often it is tried: it was sealed with another key, or
// this installation has no such channel any more.
type unusableError struct{ err error }

// Error holds no secret.
func (e *unusableError) Error() string {
	return "its stored credentials cannot be used: " + e.err.Error()
}

// Unwrap is the reason.
func (e *unusableError) Unwrap() error { return e.err }

// usable are the credentials of an app at a vendor or, where there are none, the outcome of every message.
func (s *Service) usable(ctx context.Context, app int64, name wire.Name) (wire.Credentials, wire.Outcome, error) {
	creds, err := s.credentials(ctx, app, name)
	if unusable, ok := errors.AsType[*unusableError](err); ok {
		return nil, wire.NewOutcome(wire.Denied, "", unusable.Error()), nil
	}
	return creds, wire.NewOutcome(wire.Denied, "", "the app has no credentials for the channel any more"), err
}

// credentials of an app at a vendor; nil if it has none. The error may be an *unusableError.
func (s *Service) credentials(ctx context.Context, app int64, name wire.Name) (wire.Credentials, error) {
	rows, err := s.DB.Query(ctx, `select sealed from push_channel where app_id = $1 and channel = $2`, app, string(name))
	if err != nil {
		return nil, fmt.Errorf("route: read credentials: %w", err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return nil, rows.Err()
	}
	var sealed string
	if err := rows.Scan(&sealed); err != nil {
		return nil, fmt.Errorf("route: read credentials: %w", err)
	}
	sum := sha256.Sum256([]byte(sealed))
	key := fmt.Sprintf("%d/%s/%s", app, name, hex.EncodeToString(sum[:]))
	s.channels.mu.Lock()
	known := s.channels.parsed[key]
	s.channels.mu.Unlock()
	if known != nil {
		return known, nil
	}
	plain, err := s.Sealer.Open(sealed, channelPlace(app, name))
	if err != nil {
		return nil, &unusableError{err}
	}
	c, err := s.carrier(name)
	if err != nil {
		return nil, &unusableError{err}
	}
	if known, err = c.parse(plain); err != nil {
		return nil, &unusableError{err}
	}
	s.channels.mu.Lock()
	defer s.channels.mu.Unlock()
	if s.channels.parsed == nil || len(s.channels.parsed) >= maxParsed {
		s.channels.parsed = make(map[string]wire.Credentials)
	}
	s.channels.parsed[key] = known
	return known, nil
}

// noteAccount keeps what a vendor said of an app's account, and reports whether that was not known. "" clears the problem.
func (s *Service) noteAccount(ctx context.Context, tx *db.Tx, app int64, name wire.Name, problem string, quotaUntil int64) (bool, error) {
	at := s.now()
	if problem == "" {
		at = 0
	}
	n, err := tx.Exec(ctx, `update push_channel set problem = $3, problem_at = $4, quota_until = $5 where app_id = $1 and channel = $2
		and (problem <> $3 or quota_until <> $5)`, app, string(name), problem, at, quotaUntil)
	if err != nil {
		return false, fmt.Errorf("route: note account: %w", err)
	}
	return n > 0, nil
}

func (s *Service) now() int64 { return clock.Millis(s.Clock.Now()) }
