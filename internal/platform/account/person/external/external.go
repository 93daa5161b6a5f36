// Package external asks services elsewhere who somebody is: OpenID Connect, GitHub, WeChat. It decides nothing: what an
// identity is bound to is its caller's.
//
// Every HTTP call goes through the client that it is given, with a deadline and a bounded answer.
package external

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	timeout   = 10 * time.Second
	maxAnswer = 256 << 10
)

// Request is what a browser is sent away with.
type Request struct {
	State, Nonce string
	// Challenge is the S256 challenge of PKCE.
	Challenge string
	Redirect  string
}

// Answer is what it came back with, and what was remembered for it.
type Answer struct{ Code, Nonce, Verifier, Redirect string }

// Identity is who somebody is elsewhere.
type Identity struct {
	// Subject is the number or name that the provider never gives to somebody else.
	Subject string
	// Scopes are what the person allowed.
	Scopes []string
	// Name and Avatar may be offered to the person; they are reviewed like all profiles before anybody sees them.
	Name, Avatar string
}

// Provider is one such service.
type Provider interface {
	// Name is a short word for addresses and the table of bindings, e.g. "github".
	Name() string
	// URL is where the browser goes.
	URL(ctx context.Context, r Request) (string, error)
	// Identity exchanges the code and says who it is. An answer that fails a check is an error.
	Identity(ctx context.Context, a Answer) (*Identity, error)
}

// errRefused is an answer that says no.
var errRefused = errors.New("external: refused")

// call sends a request and decodes a JSON answer of at most maxAnswer bytes.
func call(client *http.Client, r *http.Request, into any) error {
	r.Header.Set("Accept", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("external: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("external: read an answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: status %d", errRefused, resp.StatusCode)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("external: the answer is no JSON of the kind expected: %w", err)
	}
	return nil
}
