package edge

import (
	"context"
	"sync"

	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
)

// applicant is what a CONNECT says about who connects.
type applicant struct {
	appKey, id, secret string
}

// verdict is the outcome of an admission.
type verdict struct {
	code      mqtt.Code // Success, or what to refuse with
	app       int64
	ordinal   uint32
	conn      uint64
	keepAlive uint16
	known     bool
}

// admissions remembers who is between being admitted by the core and being online here: a Kick that arrives in that
// moment finds nobody online and must not be lost.
type admissions struct {
	mu      sync.Mutex
	waiting map[deviceKey]*admission
}

type deviceKey struct {
	app     int64
	ordinal uint32
}

type admission struct {
	count int
	// below is the highest Kick.Below seen; all: a Kick for any connection.
	below uint64
	all   bool
}

// begin notes that the device is being admitted.
func (a *admissions) begin(key deviceKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.waiting[key]
	if w == nil {
		w = &admission{}
		a.waiting[key] = w
	}
	w.count++
}

// end takes the note back and reports whether the connection has been kicked meanwhile, and why.
func (a *admissions) end(key deviceKey, conn uint64) (code mqtt.Code, kicked bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.waiting[key]
	if w == nil {
		return 0, false
	}
	if w.count--; w.count == 0 {
		delete(a.waiting, key)
	}
	switch {
	case w.all:
		return mqtt.NotAuthorized, true
	case conn < w.below:
		return mqtt.SessionTakenOver, true
	}
	return 0, false
}

// kick notes a Kick for those who are being admitted.
func (a *admissions) kick(k edgewire.Kick) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !k.All {
		if w := a.waiting[deviceKey{k.App, k.Ordinal}]; w != nil {
			w.note(k.Below)
		}
		return
	}
	for key, w := range a.waiting {
		if key.app == k.App {
			w.note(k.Below)
		}
	}
}

func (w *admission) note(below uint64) {
	if below == 0 {
		w.all = true
	}
	w.below = max(w.below, below)
}

// judge decides about an applicant: secret, app, and then the core. It blocks until the core has answered or
// Limits.CoreWait is over. If the verdict is Success, the device is noted in admissions.
func (e *Edge) judge(ctx context.Context, who applicant) verdict {
	app, err := e.facts.get(ctx, who.appKey)
	switch {
	case err != nil:
		return verdict{code: mqtt.ServerUnavailable}
	case app.ID == 0:
		return verdict{code: mqtt.BadUserNameOrPassword}
	}
	ref, err := e.codec.Parse(app.ID, who.id)
	if err != nil {
		return verdict{code: mqtt.BadUserNameOrPassword}
	}
	generation, ok := e.codec.CheckSecret(app.ID, ref, who.secret)
	switch {
	case !ok:
		return verdict{code: mqtt.BadUserNameOrPassword}
	case !app.Enabled:
		return verdict{code: mqtt.NotAuthorized}
	}
	return e.askAdmission(ctx, app.ID, ref, generation)
}

func (e *Edge) askAdmission(ctx context.Context, app int64, ref deviceid.Ref, generation uint16) verdict {
	key := deviceKey{app, ref.Ordinal}
	e.admissions.begin(key)
	var answer edgewire.Connected
	err := e.ask(ctx, edgewire.SubjectConnect(app), edgewire.Connect{
		Edge: e.id, App: app, Epoch: ref.Epoch, Ordinal: ref.Ordinal, Generation: generation,
	}, &answer)
	code := mqtt.ServerUnavailable
	if err == nil {
		code = refusalCode(answer.Refusal)
	}
	if code != mqtt.Success {
		e.admissions.end(key, 0)
	}
	return verdict{
		code: code, app: app, ordinal: ref.Ordinal,
		conn: answer.Conn, keepAlive: answer.KeepAlive, known: answer.Known,
	}
}

func refusalCode(r edgewire.Refusal) mqtt.Code {
	switch r {
	case edgewire.Admitted:
		return mqtt.Success
	case edgewire.BadCredentials:
		return mqtt.BadUserNameOrPassword
	case edgewire.NotAuthorized:
		return mqtt.NotAuthorized
	case edgewire.QuotaExceeded:
		return mqtt.QuotaExceeded
	}
	return mqtt.ServerUnavailable
}

// askFacts asks any core node about an app.
func (e *Edge) askFacts(ctx context.Context, appKey string) (edgewire.AppFacts, error) {
	var app edgewire.AppFacts
	err := e.ask(ctx, edgewire.SubjectApp, edgewire.AppRequest{AppKey: appKey}, &app)
	return app, err
}
