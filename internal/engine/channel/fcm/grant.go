package fcm

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"borealis/internal/engine/channel/wire"
)

const (
	tokenAddress = "https://oauth2.googleapis.com/token" //nolint:gosec // an address
	scope        = "https://www.googleapis.com/auth/firebase.messaging"
	grantType    = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	// assertionLife is the longest that Google takes.
	assertionLife = time.Hour
)

// grant exchanges a signed assertion for an access token.
func (v *Vendor) grant(c *credentials) wire.Fetch {
	return func(ctx context.Context) (string, time.Duration, error) {
		now := v.clock.Now()
		assertion := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": c.email, "scope": scope, "aud": tokenAddress,
			"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
		})
		if c.keyID != "" {
			assertion.Header["kid"] = c.keyID
		}
		signed, err := assertion.SignedString(c.key)
		if err != nil {
			return "", 0, &wire.RefusalError{Outcome: wire.NewOutcome(wire.Denied, "", "the private key does not sign")}
		}
		form := url.Values{"grant_type": {grantType}, "assertion": {signed}}
		answer, err := v.caller.Post(ctx, tokenAddress, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode()))
		if err != nil {
			return "", 0, err
		}
		return readGrant(answer)
	}
}

func readGrant(a wire.Answer) (string, time.Duration, error) {
	var body struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	err := json.Unmarshal(a.Body, &body)
	switch {
	case a.Status == http.StatusOK && err == nil && body.AccessToken != "" && body.ExpiresIn > 0:
		return body.AccessToken, time.Duration(min(body.ExpiresIn, 24*3600)) * time.Second, nil
	case a.Status == http.StatusTooManyRequests:
		return "", 0, &wire.RefusalError{Outcome: after(wire.NewOutcome(wire.Limited, body.Error, body.Description), a.After)}
	case a.Status >= 400 && a.Status < 500 && body.Error != "":
		return "", 0, &wire.RefusalError{Outcome: wire.NewOutcome(wire.Denied, body.Error, body.Description)}
	}
	return "", 0, &wire.RefusalError{Outcome: after(wire.NewOutcome(wire.Failed, httpCode(a.Status), "no access token"), a.After)}
}

func after(o wire.Outcome, d time.Duration) wire.Outcome {
	o.After = d
	return o
}
