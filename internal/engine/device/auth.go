package device

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"borealis/internal/engine/gate"
)

// HeaderAppKey names the app of a device call.
const HeaderAppKey = "X-App-Key"

const (
	// maxScan is how many apps a registration id is tried with when the request does not name its app.
	maxScan = 1000
	// appListLife is how long the list of apps serves before a miss reads it again.
	appListLife = 5 * time.Second
)

// Authenticate finds app and device of a request with HTTP Basic registration_id:secret; a device that had not joined
// joins. Refusals: WrongCredentials, UnknownApp, AppDisabled.
//
// The app is named by the header X-App-Key or the query parameter app_key, which the SDKs send. Without them, the
// registration id itself tells: its MAC is good for one app only (40 bits, and the secret is then checked with 120
// more), so it is tried with each app that has devices. That is arithmetic of a microsecond per app, needs no index of
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
		if app, err = r.appOf(ctx, id); err != nil {
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

// appList is the apps that have devices.
type appList struct {
	mu   sync.Mutex
	ids  []int64
	read time.Time
}

// appOf finds the app that a registration id is of.
func (r *Registry) appOf(ctx context.Context, id string) (*gate.App, error) {
	r.apps.mu.Lock()
	ids, read := r.apps.ids, r.apps.read
	r.apps.mu.Unlock()
	for {
		for _, app := range ids {
			if _, err := r.IDs.Parse(app, id); err == nil {
				return r.Gate.AppByID(app), nil
			}
		}
		now := r.Clock.Now()
		if !read.IsZero() && now.Sub(read) < appListLife {
			break
		}
		var err error
		if ids, err = r.readApps(ctx); err != nil {
			return nil, err
		}
		read = now
		r.apps.mu.Lock()
		r.apps.ids, r.apps.read = ids, read
		r.apps.mu.Unlock()
	}
	detail := "the registration id is not known"
	if len(ids) == maxScan {
		detail = "name the app in the header " + HeaderAppKey
	}
	return nil, &Error{Kind: WrongCredentials, Detail: detail}
}

func (r *Registry) readApps(ctx context.Context) ([]int64, error) {
	rows, err := r.DB.Query(ctx, `select app_id from device_counter order by app_id limit $1`, maxScan)
	if err != nil {
		return nil, fmt.Errorf("device: read apps: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("device: read apps: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
