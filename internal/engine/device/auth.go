package device

import (
	"context"
	"net/http"

	"borealis/internal/engine/gate"
)

// HeaderAppKey names the app of a device call.
const HeaderAppKey = "X-App-Key"

// maxScan is how many apps a registration id is tried with when the request does not name its app.
const maxScan = 1000

// Authenticate finds app and device of a request with HTTP Basic registration_id:secret; a device that had not joined
// joins. Refusals: WrongCredentials, UnknownApp, AppDisabled.
//
// The app is named by the header X-App-Key or the query parameter app_key, which the SDKs send. Without them, the
// registration id itself tells: its MAC is good for one app only (40 bits, and the secret is then checked with 120
// more), so it is tried with each app. That is arithmetic of a microsecond per app, needs no index of
// all devices, and is bounded: an installation with more than 1,000 apps demands the name.
func (r *Registry) Authenticate(ctx context.Context, req *http.Request) (*gate.App, uint32, error) {
	id, secret, ok := req.BasicAuth()
	if !ok {
		return nil, 0, &Error{Kind: WrongCredentials, Detail: "HTTP Basic with the registration id and its secret is needed"}
	}
	key := req.Header.Get(HeaderAppKey)
	if key == "" {
		key = req.URL.Query().Get("app_key")
	}
	app := r.Gate.App(key)
	if key == "" {
		var err error
		if app, err = r.appOf(id); err != nil {
			return nil, 0, err
		}
	}
	if err := usable(app); err != nil {
		return nil, 0, err
	}
	w, err := r.login(ctx, app, id, secret)
	if err != nil {
		return nil, 0, err
	}
	return app, w.ordinal, nil
}

// appOf finds the app that a registration id is of.
func (r *Registry) appOf(id string) (*gate.App, error) {
	tried := 0
	for app := range r.Gate.Apps {
		if _, err := r.IDs.Parse(app.ID, id); err == nil {
			return app, nil
		}
		if tried++; tried == maxScan {
			return nil, &Error{Kind: WrongCredentials, Detail: "name the app in the header " + HeaderAppKey}
		}
	}
	return nil, &Error{Kind: WrongCredentials, Detail: "the registration id is not known"}
}
