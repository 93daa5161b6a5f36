package external

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/oauth2"
)

// GitHub is GitHub's OAuth 2. It asks for no scope: the public profile is enough.
type GitHub struct {
	id, secret, site, api string
	client                *http.Client
}

// NewGitHub returns the provider. site and api are "https://github.com" and "https://api.github.com", or those of a server of
// one's own.
func NewGitHub(clientID, clientSecret, site, api string, client *http.Client) *GitHub {
	return &GitHub{id: clientID, secret: clientSecret, site: strings.TrimSuffix(site, "/"), api: strings.TrimSuffix(api, "/"), client: client}
}

// Name is "github".
func (*GitHub) Name() string { return "github" }

func (g *GitHub) config(redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: g.id, ClientSecret: g.secret, RedirectURL: redirect,
		Endpoint: oauth2.Endpoint{AuthURL: g.site + "/login/oauth/authorize", TokenURL: g.site + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams},
	}
}

// URL is the authorisation page with state and challenge. There is no nonce, as there is no ID token.
func (g *GitHub) URL(_ context.Context, r Request) (string, error) {
	return g.config(r.Redirect).AuthCodeURL(r.State, oauth2.SetAuthURLParam("code_challenge", r.Challenge), oauth2.SetAuthURLParam("code_challenge_method", "S256")), nil
}

// Identity exchanges the code and reads the user; the subject is their number, which, unlike the name, stays.
func (g *GitHub) Identity(ctx context.Context, a Answer) (*Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	token, err := g.config(a.Redirect).Exchange(context.WithValue(ctx, oauth2.HTTPClient, g.client), a.Code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, fmt.Errorf("external: exchange the code at github: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.api+"/user", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("external: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	var user struct {
		ID     int64  `json:"id"`
		Login  string `json:"login"`
		Name   string `json:"name"`
		Avatar string `json:"avatar_url"`
	}
	if err := call(g.client, r, &user); err != nil {
		return nil, err
	}
	if user.ID <= 0 {
		return nil, errors.New("external: github names no user")
	}
	if user.Name == "" {
		user.Name = user.Login
	}
	return &Identity{Subject: strconv.FormatInt(user.ID, 10), Name: user.Name, Avatar: user.Avatar}, nil
}
