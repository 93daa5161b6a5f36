package status

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/notice/wording"
)

// States of an incident.
const (
	Investigating = "investigating"
	Identified    = "identified"
	Monitoring    = "monitoring"
	Resolved      = "resolved"
)

// Causes: the class that decides what an incident means for fees and guarantees (AG-EXM-03).
const (
	CauseUnknown     = "unknown"
	CauseOwn         = "own"                 // our fault
	CauseOverrun     = "maintenance_overrun" // our fault too
	CauseDependency  = "dependency"          // a supplier of ours
	CauseGovernment  = "government"
	CauseNature      = "nature"
	CauseFire        = "fire"
	CauseFlood       = "flood"
	CauseWar         = "war"
	CauseAttack      = "attack"
	CauseVirus       = "virus"
	CauseHandset     = "handset"
	CauseTelecom     = "telecom"
	CauseCarrierRule = "carrier_policy"
	CauseRegulation  = "regulation"
	CauseNoFault     = "no_fault"
)

// Causes are all of them.
func Causes() []string {
	return []string{
		CauseUnknown, CauseOwn, CauseOverrun, CauseDependency, CauseGovernment, CauseNature, CauseFire, CauseFlood, CauseWar, CauseAttack, CauseVirus,
		CauseHandset, CauseTelecom, CauseCarrierRule, CauseRegulation, CauseNoFault,
	}
}

// ForceMajeure tells whether a cause is of those that the agreement lists as nobody's fault of ours.
func ForceMajeure(cause string) bool {
	return slices.Index(Causes(), cause) >= slices.Index(Causes(), CauseGovernment)
}

// ProofWithin is how soon the proof of force majeure has to be there.
const ProofWithin = 3 * 24 * time.Hour

// Incident is something that does not work.
type Incident struct {
	ID int64 `json:"id"`
	// State, Level (a state of components from degraded on) and Cause.
	State string `json:"state"`
	Level string `json:"level"`
	Cause string `json:"cause"`
	// Texts say what it is: title and body.
	Texts wording.Texts `json:"texts"`
	// Evidence of the cause, and for attacks Controls that show that security was cared for: references to documents, not public.
	Evidence   string   `json:"-"`
	Controls   string   `json:"-"`
	Components []string `json:"components"`
	// Times are Unix ms; ResolvedAt 0: it lasts. Maintenance that it came from; 0: none.
	StartedAt   int64 `json:"started_at"`
	ResolvedAt  int64 `json:"resolved_at"`
	CreatedAt   int64 `json:"created_at"`
	Maintenance int64 `json:"maintenance,omitempty"`
	// Updates are its public timeline, the first one first.
	Updates []Update `json:"updates"`
}

// Update is an entry of a timeline.
type Update struct {
	State string        `json:"state"`
	Texts wording.Texts `json:"texts"`
	At    int64         `json:"at"`
	Actor string        `json:"-"`
}

// Excused tells whether an incident is excused by its cause: force majeure with evidence, and an attack only if there is proof that security
// was cared for.
func (i *Incident) Excused() bool {
	if !ForceMajeure(i.Cause) || i.Evidence == "" {
		return false
	}
	return i.Cause != CauseAttack && i.Cause != CauseVirus || i.Controls != ""
}

// ProofDue is until when (Unix ms) evidence has to be there; 0: none is asked for.
func (i *Incident) ProofDue() int64 {
	if !ForceMajeure(i.Cause) || i.Evidence != "" {
		return 0
	}
	return i.StartedAt + ProofWithin.Milliseconds()
}

const maxEvidence = 2000

// Open opens an incident: Level, Texts, Components; Cause may be empty, StartedAt 0 means now, and it may be in the past. Errors:
// *wording.InvalidError.
func (s *Service) Open(ctx context.Context, tx *db.Tx, actor string, i Incident) (int64, error) {
	if i.Cause == "" {
		i.Cause = CauseUnknown
	}
	if err := s.checkIncident(&i); err != nil {
		return 0, err
	}
	now := s.now()
	if i.StartedAt == 0 {
		i.StartedAt = now
	}
	if i.StartedAt > now {
		return 0, invalid("started_at", "must not be in the future")
	}
	var err error
	if i.Components, err = checkComponents(ctx, tx, i.Components); err != nil {
		return 0, err
	}
	i.State, i.CreatedAt = Investigating, now
	if err := s.insertIncident(ctx, tx, actor, &i); err != nil {
		return 0, err
	}
	return i.ID, s.log(ctx, tx, actor, "incident.open", fmt.Sprint("incident:", i.ID), map[string]any{"level": i.Level, "cause": i.Cause, "components": i.Components})
}

func (s *Service) checkIncident(i *Incident) error {
	if err := checkLevel(i.Level); err != nil {
		return err
	}
	if err := checkCause(i.Cause, i.Evidence, i.Controls); err != nil {
		return err
	}
	return wording.Error(s.Rules.Lint(&i.Texts, nil, false))
}

func checkCause(cause, evidence, controls string) error {
	if !slices.Contains(Causes(), cause) {
		return invalid("cause", "is not one of the classes of causes")
	}
	if len(evidence) > maxEvidence || len(controls) > maxEvidence {
		return invalid("evidence", fmt.Sprintf("evidence and controls may have %d bytes each", maxEvidence))
	}
	return nil
}

func (s *Service) insertIncident(ctx context.Context, tx *db.Tx, actor string, i *Incident) error {
	texts, err := json.Marshal(i.Texts)
	if err != nil {
		return wrap("incident", err)
	}
	err = tx.QueryRow(ctx, `insert into notice_status_incident (state, level, cause, texts, evidence, controls, started_at, resolved_at, maintenance_id, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9) returning id`,
		i.State, i.Level, i.Cause, string(texts), i.Evidence, i.Controls, i.StartedAt, i.Maintenance, i.CreatedAt).Scan(&i.ID)
	if err != nil {
		return wrap("incident", err)
	}
	if err := s.setAffected(ctx, tx, kindIncident, i.ID, i.Components); err != nil {
		return err
	}
	if err := s.addUpdate(ctx, tx, kindIncident, i.ID, i.State, actor, i.Texts, i.CreatedAt); err != nil {
		return err
	}
	return s.derive(ctx, tx, i.Components, i.CreatedAt)
}

// Change is what an update changes of an incident; empty fields leave things as they are.
type Change struct {
	// State it goes to, and what is said of it, which is public: both are needed.
	State string
	Texts wording.Texts

	Level, Cause, Evidence, Controls string
	Components                       []string
}

// Update adds to an incident's timeline and changes it. A resolved incident can only be opened again, as investigating. Errors: ErrNone,
// ErrState, *wording.InvalidError.
func (s *Service) Update(ctx context.Context, tx *db.Tx, actor string, id int64, c Change) error {
	if !slices.Contains([]string{Investigating, Identified, Monitoring, Resolved}, c.State) {
		return invalid("state", "must be one of: investigating, identified, monitoring, resolved")
	}
	if err := wording.Error(s.Rules.Lint(&c.Texts, nil, false)); err != nil {
		return err
	}
	// Locked before it is read.
	n, err := tx.Exec(ctx, `update notice_status_incident set state = state where id = $1`, id)
	if err != nil {
		return wrap("update", err)
	}
	if n == 0 {
		return ErrNone
	}
	i, err := s.incident(ctx, tx, id)
	if err != nil {
		return err
	}
	if i.State == Resolved && c.State != Investigating {
		return ErrState
	}
	i.Level, i.Cause = or(c.Level, i.Level), or(c.Cause, i.Cause)
	i.Evidence, i.Controls = or(c.Evidence, i.Evidence), or(c.Controls, i.Controls)
	if err := checkLevel(i.Level); err != nil {
		return err
	}
	if err := checkCause(i.Cause, i.Evidence, i.Controls); err != nil {
		return err
	}
	before := i.Components
	if c.Components != nil {
		if i.Components, err = checkComponents(ctx, tx, c.Components); err != nil {
			return err
		}
		if err := s.setAffected(ctx, tx, kindIncident, id, i.Components); err != nil {
			return err
		}
	}
	return s.change(ctx, tx, actor, i, c, union(before, i.Components))
}

func (s *Service) change(ctx context.Context, tx *db.Tx, actor string, i *Incident, c Change, components []string) error {
	now, resolved := s.now(), int64(0)
	if c.State == Resolved {
		resolved = now
	}
	_, err := tx.Exec(ctx, `update notice_status_incident set state = $2, level = $3, cause = $4, evidence = $5, controls = $6, resolved_at = $7 where id = $1`,
		i.ID, c.State, i.Level, i.Cause, i.Evidence, i.Controls, resolved)
	if err != nil {
		return wrap("update", err)
	}
	if err := s.addUpdate(ctx, tx, kindIncident, i.ID, c.State, actor, c.Texts, now); err != nil {
		return err
	}
	if err := s.derive(ctx, tx, components, now); err != nil {
		return err
	}
	return s.log(ctx, tx, actor, "incident.update", fmt.Sprint("incident:", i.ID), map[string]any{"state": c.State, "level": i.Level, "cause": i.Cause})
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(a), b...))))
}
