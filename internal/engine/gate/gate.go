package gate

import "errors"

// Authentication failures.
var (
	ErrUnknownApp  = errors.New("no app has this key")
	ErrWrongSecret = errors.New("wrong master secret")
)

// Gate holds the published facts. It is safe for concurrent use.
type Gate struct {
	apps       facts[App]
	groups     facts[Group]
	developers facts[Developer]
	limiter    *Limiter
}

// New returns a gate that knows no app yet.
func New(limiter *Limiter) *Gate { return &Gate{limiter: limiter} }

// Publish makes an app known, or replaces what was known of it unless that is newer. A deleted app is known by its
// number only.
func (g *Gate) Publish(app App) {
	key := app.Key
	if app.State == Deleted {
		key = ""
	}
	g.apps.publish(key, app.ID, app.Revision, &app)
}

// App returns the app with the public key, or nil. A deleted app has none.
func (g *Gate) App(key string) *App { return g.apps.find(key) }

// AppByID returns the app with the internal number, deleted ones too, or nil.
func (g *Gate) AppByID(id int64) *App { return g.apps.get(id) }

// Apps yields every app that is not deleted, in no order, until yield returns false.
func (g *Gate) Apps(yield func(*App) bool) {
	g.apps.each(func(a *App) bool { return a.State == Deleted || yield(a) })
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
