package gate

import (
	"crypto/sha256"
	"crypto/subtle"
)

// State of an app.
type State string

// States of an app.
const (
	// Enabled: everything works.
	Enabled State = "enabled"
	// Disabled by its owner: API calls are refused, devices are disconnected.
	Disabled State = "disabled"
	// Suspended by the operator, as a sanction.
	Suspended State = "suspended"
	// Deleted for good: its credentials are those of no app, devices are disconnected.
	Deleted State = "deleted"
)

// App is what the platform knows of one app. It is immutable.
type App struct {
	// ID is the internal number, dense from 1.
	ID int64
	// Key is the public AppKey, 24 characters of [A-Za-z0-9].
	Key  string
	Name string
	// SecretHash is the SHA-256 of the master secret. The secret has 142 random bits, so a plain hash hides it.
	SecretHash [sha256.Size]byte
	State      State
	Settings   Settings
	// Revision rises with every change; an older fact never replaces a newer one.
	Revision int64
}

// CheckSecret compares in constant time.
func (a *App) CheckSecret(secret string) bool { return sameSecret(a.SecretHash, secret) }

func sameSecret(hash [sha256.Size]byte, secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], hash[:]) == 1
}
