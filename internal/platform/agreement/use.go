package agreement

import (
	"context"
	"encoding/json"
	"math"
	"sync"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/legaltext"
)

// UseKind is what kind of act a use is.
type UseKind string

// Kinds of use.
const (
	// UseConsole is what a member does in the console, other than leaving.
	UseConsole UseKind = "console"
	// UseAPI is a call signed by a key of the account.
	UseAPI UseKind = "api"
	// UseEndUser is traffic of end users and their devices: no act of the account.
	UseEndUser UseKind = "end_user"
	// UseLeaving is what a person does in order to read, decide or leave: signing in, the agreement pages, export,
	// settlement, closing, and anything while the account is closing.
	UseLeaving UseKind = "leaving"
)

// counts says whether a use of the kind is a use by the account.
func (k UseKind) counts() bool { return k == UseConsole || k == UseAPI }

// Use is one act.
type Use struct {
	Account int64
	Kind    UseKind
	// Person is the member, 0 for a key.
	Person int64
	// App and Service are the app and the service that were used, or 0 and empty. The terms of a service are accepted by
	// use of that service for that app only.
	App     int64
	Service string
	// Event identifies the act in the logs (a request id): the evidence. At most 200 bytes.
	Event string
	// Act says in a few words what it was, e.g. "POST /v3/push". At most 200 bytes.
	Act    string
	Origin Origin
}

const maxSettled = 100_000

// settledKey is which use by an account it was.
type settledKey struct {
	app     int64
	service string
}

// maxUses bounds what is remembered of one account.
const maxUses = 1000

// settled remembers, on this node, until when there is nothing for an account to accept by use, so that a use costs a
// look into a map. It is forgotten when the editions change, and of an account when that decides something.
type settled struct {
	mu         sync.Mutex
	until      map[int64]map[settledKey]int64
	generation uint64
}

func (c *settled) get(account int64, k settledKey, now int64) (done bool, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now < c.until[account][k], c.generation
}

// put is void if something was forgotten since the generation was read.
func (c *settled) put(account int64, k settledKey, until int64, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return
	}
	uses := c.until[account]
	if uses == nil {
		if len(c.until) >= maxSettled {
			clear(c.until)
		}
		uses = map[settledKey]int64{}
		c.until[account] = uses
	}
	if len(uses) >= maxUses {
		clear(uses)
	}
	uses[k] = until
}

func (c *settled) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	clear(c.until)
}

func (c *settled) forgetAccount(account int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	delete(c.until, account)
}

// Used tells of a use. If a commercial change is in effect that the account has not accepted, has had its notice of and
// has not declined, its first use from then on is recorded as acceptance; the acceptances so made come back. Call it for
// every act of an account: mostly it looks into a map and does nothing else. The use itself must not fail if this does.
//
// The notice of an account that came after the announcement begins when it came. A change that concerns personal data is
// never accepted by use, nor are changes that took effect together with it.
func (s *Service) Used(ctx context.Context, u Use) ([]Acceptance, error) {
	if !u.Kind.counts() || u.Account <= 0 {
		return nil, nil
	}
	if len(u.Event) == 0 || len(u.Event) > 200 || len(u.Act) > 200 || !storable(u.Event) || !storable(u.Act) {
		return nil, wrong("event", "event and act must be texts of at most 200 bytes, event not empty")
	}
	if len(u.Service) > 32 {
		return nil, wrong("service", "is too long")
	}
	key := settledKey{u.App, u.Service}
	done, generation := s.settled.get(u.Account, key, s.now())
	if done {
		return nil, nil
	}
	list, until, err := s.useDue(ctx, s.db, &u)
	if err != nil {
		return nil, err
	}
	var out []Acceptance
	if len(list) > 0 { // what it accepts is forgotten by the commit; the next use remembers
		err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			var err error
			out, err = s.acceptByUse(ctx, tx, &u)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	s.settled.put(u.Account, key, until, generation)
	return out, nil
}

// useDue are the editions that the use accepts now. Nothing else can become due before until.
func (s *Service) useDue(ctx context.Context, r reader, u *Use) (due []Edition, until int64, err error) {
	chains, err := loadChains(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	h, err := loadHistory(ctx, r, u.Account)
	if err != nil {
		return nil, 0, err
	}
	now := s.now()
	until = math.MaxInt64
	sets := []setKey{{SetAgreement, 0}, {SetPrivacy, 0}}
	if u.Service != "" && u.App > 0 {
		sets = append(sets, setKey{ServiceSet(u.Service), u.App})
	}
	for _, k := range sets {
		c := chains[k.set]
		if next := c.next(now); next != nil {
			until = min(until, next.EffectiveAt)
		}
		n := s.need(c, h.of(k.set, k.app, c), h.ends, now)
		if n.use == 0 {
			continue
		}
		if now < n.use {
			until = min(until, n.use)
			continue
		}
		due = append(due, *c.current(now))
	}
	return due, until, nil
}

func (s *Service) acceptByUse(ctx context.Context, tx *db.Tx, u *Use) ([]Acceptance, error) {
	due, _, err := s.useDue(ctx, tx, u) // again: it may have been decided meanwhile
	if err != nil {
		return nil, err
	}
	proof, err := json.Marshal(map[string]any{"kind": u.Kind, "act": u.Act, "app": u.App, "service": u.Service})
	if err != nil {
		return nil, err
	}
	now := s.now()
	var out []Acceptance
	for i := range due {
		e := &due[i]
		a := &Acceptance{
			Account: u.Account, Set: e.Set, Number: e.Number, Hash: e.Hash, State: AcceptedContinuedUse, Locale: legaltext.Master, Person: u.Person,
			DecidedAt: now, BindsFrom: now, Event: u.Event,
		}
		if e.Set != SetAgreement && e.Set != SetPrivacy {
			a.App = u.App
		}
		isNew, err := s.record(ctx, tx, e, a, string(proof), u.Origin)
		if err != nil {
			return nil, err
		}
		if !isNew {
			continue
		}
		if err := s.publishAccepted(ctx, tx, a); err != nil {
			return nil, err
		}
		out = append(out, *a)
	}
	return out, nil
}
