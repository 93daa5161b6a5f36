package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
)

const (
	// MaxURL bounds the address of a delivery, in bytes.
	MaxURL = 2048
	// MaxBody bounds its body, in bytes.
	MaxBody = 2 << 20
	// maxHost bounds scheme, name and port.
	maxHost = 300
)

// ErrURL says that a text is not an address deliveries can go to.
var ErrURL = errors.New("not an address that begins with http:// or https://, without credentials")

// Delivery is a JSON document on its way to a receiver.
type Delivery struct {
	// ID is a UUID, by which deliveries are in the order of their creation. Enqueue gives it.
	ID string
	// Kind names what it is about; a Source is registered for it.
	Kind string
	// Owner is the number of the app it belongs to.
	Owner int64
	// URL it goes to, see ParseURL.
	URL string
	// Basic asks the Source for credentials besides the secret.
	Basic bool
	// Body is JSON, 1 to MaxBody bytes.
	Body []byte
}

// ParseURL checks the form of an address; whether anything may be sent there is known only when it is dialled. The
// error is ErrURL.
func ParseURL(text string) (*url.URL, error) {
	// A fragment may hold control characters for net/url, but no database takes all of them as text.
	if len(text) > MaxURL || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return nil, ErrURL
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" || len(origin(u)) > maxHost {
		return nil, ErrURL
	}
	return u, nil
}

// origin is scheme, host and port, always in the same spelling.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// Enqueue writes deliveries in the caller's transaction: two rows each. They are sent once it has committed; Wake says
// so at once. An error (ErrURL, an unregistered kind, an empty or oversized body) means that nothing should be
// committed.
func (s *Service) Enqueue(ctx context.Context, tx *db.Tx, deliveries ...Delivery) error {
	now := clock.Millis(s.clock.Now())
	for i := range deliveries {
		d := &deliveries[i]
		to, err := ParseURL(d.URL)
		if err != nil {
			return err
		}
		if s.sources[d.Kind] == nil {
			return fmt.Errorf("webhook: nobody registered the kind %q", d.Kind)
		}
		if len(d.Body) == 0 || len(d.Body) > MaxBody {
			return fmt.Errorf("webhook: body of %d bytes, 1 to %d are allowed", len(d.Body), MaxBody)
		}
		if err := insertDelivery(ctx, tx, id.NewUUID(), origin(to), d, now); err != nil {
			return err
		}
	}
	return nil
}

// Room is how many more deliveries to the host of a URL an owner may have waiting. It is a bound, not a reservation:
// callers who ask at the same time may together exceed it by what each of them then enqueues.
func (s *Service) Room(ctx context.Context, owner int64, address string) (int, error) {
	to, err := ParseURL(address)
	if err != nil {
		return 0, err
	}
	load, err := queryLoad(ctx, s.db, owner, origin(to))
	if err != nil {
		return 0, err
	}
	if load.bytes >= maxOwnerBytes {
		return 0, nil
	}
	return max(0, min(s.maxWaiting-load.toHost, maxOwnerFactor*s.maxWaiting-load.all)), nil
}

const (
	// maxWaiting is the default of Deps.MaxWaiting.
	maxWaiting = 1000
	// maxOwnerFactor: an owner may have so many times MaxWaiting deliveries waiting for all hosts together, and
	// maxOwnerBytes of bodies.
	maxOwnerFactor = 5
	maxOwnerBytes  = 64 << 20
)
