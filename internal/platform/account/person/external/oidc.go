package external

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"borealis/internal/kernel/clock"
)

// OIDC is any provider of OpenID Connect. It is safe for concurrent use.
type OIDC struct {
	name, issuer, id, secret string
	client                   *http.Client
	clock                    clock.Clock

	mu       sync.Mutex
	provider *oidc.Provider // nil until it was discovered
}

// NewOIDC returns the provider of an issuer; it is discovered when it is first needed.
func NewOIDC(name, issuer, clientID, clientSecret string, client *http.Client, c clock.Clock) *OIDC {
	return &OIDC{name: name, issuer: issuer, id: clientID, secret: clientSecret, client: client, clock: c}
}

// Name of the provider.
func (o *OIDC) Name() string { return o.name }

func (o *OIDC) discover(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider != nil {
		return o.provider, nil
	}
	// The provider keeps the client for its keys, so what it gets must not end with this call.
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), o.bounded()), o.issuer)
	if err != nil {
		return nil, fmt.Errorf("external: discover %s: %w", o.name, err)
	}
	o.provider = p
	return p, nil
}

func (o *OIDC) bounded() *http.Client {
	c := *o.client
	c.Timeout = timeout
	return &c
}

func (o *OIDC) config(p *oidc.Provider, redirect string) *oauth2.Config {
	return &oauth2.Config{ClientID: o.id, ClientSecret: o.secret, Endpoint: p.Endpoint(), RedirectURL: redirect, Scopes: []string{oidc.ScopeOpenID, "profile"}}
}

// URL is the authorisation endpoint with state, nonce and challenge.
func (o *OIDC) URL(ctx context.Context, r Request) (string, error) {
	p, err := o.discover(ctx)
	if err != nil {
		return "", err
	}
	return o.config(p, r.Redirect).AuthCodeURL(r.State, oidc.Nonce(r.Nonce),
		oauth2.SetAuthURLParam("code_challenge", r.Challenge), oauth2.SetAuthURLParam("code_challenge_method", "S256")), nil
}

// Identity exchanges the code for an ID token and checks its signature, issuer, audience, age and nonce.
func (o *OIDC) Identity(ctx context.Context, a Answer) (*Identity, error) {
	p, err := o.discover(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, o.bounded())
	token, err := o.config(p, a.Redirect).Exchange(ctx, a.Code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, fmt.Errorf("external: exchange the code at %s: %w", o.name, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, errors.New("external: no ID token in the answer")
	}
	id, err := p.Verifier(&oidc.Config{ClientID: o.id, Now: o.clock.Now}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("external: ID token of %s: %w", o.name, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return nil, errors.New("external: the ID token is for another request")
	}
	var claims struct {
		Name    string `json:"name"`
		Picture string `json:"picture"`
	}
	if err := id.Claims(&claims); err != nil {
		return nil, fmt.Errorf("external: claims of %s: %w", o.name, err)
	}
	return &Identity{Subject: id.Subject, Scopes: []string{oidc.ScopeOpenID, "profile"}, Name: claims.Name, Avatar: claims.Picture}, nil
}
