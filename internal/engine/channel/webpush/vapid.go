package webpush

import (
	"context"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenLife is how long a signed token is good for. Push services take at most 24 h, by their own clocks.
const tokenLife = 12 * time.Hour

// authorization is the header that proves to a push service who sends (RFC 8292). The signature for an origin is made once in
// its life: push services remember the ones they have checked.
func (v *Vendor) authorization(ctx context.Context, c *credentials, origin string) (string, error) {
	token, err := v.tokens.Get(ctx, c.account+" "+origin, func(context.Context) (string, time.Duration, error) {
		claims := jwt.MapClaims{"aud": origin, "exp": v.clock.Now().Add(tokenLife).Unix(), "sub": c.subject}
		token, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(c.key)
		if err != nil {
			return "", 0, fmt.Errorf("webpush: sign: %w", err)
		}
		return token, tokenLife, nil
	})
	if err != nil {
		return "", err
	}
	return "vapid t=" + token + ", k=" + c.public, nil
}
