package gate

import (
	"errors"
	"sync"
)

// Authentication failures.
var (
	ErrUnknownApp  = errors.New("no app has this key")
	ErrWrongSecret = errors.New("wrong master secret")
)

// Gate holds the published facts. It is safe for concurrent use.
type Gate struct {
	mu      sync.RWMutex
	byKey   map[string]*App
	byID    map[int64]*App
	limiter *Limiter
}

// New returns a gate that knows no app yet.
func New(limiter *Limiter) *Gate {
	return &Gate{byKey: make(map[string]*App), byID: make(map[int64]*App), limiter: limiter}
}

// Publish makes an app known, or replaces what was known of it unless that is newer.
func (g *Gate) Publish(app App) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old := g.byID[app.ID]; old != nil {
		if old.Revision > app.Revision {
			return
		}
		delete(g.byKey, old.Key)
	}
	g.byKey[app.Key], g.byID[app.ID] = &app, &app
}

// App returns the app with the public key, or nil.
func (g *Gate) App(key string) *App {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.byKey[key]
}

// AppByID returns the app with the internal number, or nil.
func (g *Gate) AppByID(id int64) *App {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.byID[id]
}

// Apps yields every app, in no order, until yield returns false.
func (g *Gate) Apps(yield func(*App) bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, app := range g.byID {
		if !yield(app) {
			return
		}
	}
}

// Authenticate finds the app of a pair of AppKey and master secret.
func (g *Gate) Authenticate(key, secret string) (*App, error) {
	app := g.App(key)
	if app == nil {
		return nil, ErrUnknownApp
	}
	if !app.CheckSecret(secret) {
		return nil, ErrWrongSecret
	}
	return app, nil
}
