package oppo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// tokenLife is how long an auth_token is good.
const tokenLife = 24 * time.Hour

// answer is the shape of all of OPPO's answers.
type answer struct {
	Code    *int            `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

// call posts a form. The answer has a code; the error is a *wire.RefusalError, or that of Post.
func (v *Vendor) call(ctx context.Context, c *credentials, path string, form url.Values) (answer, error) {
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}}
	got, err := v.caller.Post(ctx, c.host+path, header, []byte(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	var a answer
	if json.Unmarshal(got.Body, &a) != nil || a.Code == nil || got.Status >= http.StatusBadRequest {
		return answer{}, &wire.RefusalError{Outcome: got.Refused()}
	}
	return a, nil
}

// authenticate fetches an access token. The error is a *wire.FieldError for what OPPO refuses, else that of call.
func (v *Vendor) authenticate(ctx context.Context, c *credentials) (string, time.Duration, error) {
	timestamp := strconv.FormatInt(clock.Millis(v.clock.Now()), 10)
	sum := sha256.Sum256([]byte(c.appKey + timestamp + c.masterSecret))
	a, err := v.call(ctx, c, "/server/v1/auth", url.Values{
		"app_key": {c.appKey}, "timestamp": {timestamp}, "sign": {hex.EncodeToString(sum[:])},
	})
	if err != nil {
		return "", 0, err
	}
	switch *a.Code {
	case codeSuccess:
	case codeInvalidAppKey, codeMissingAppKey:
		return "", 0, &wire.FieldError{Field: "app_key", Reason: "OPPO does not know it"}
	case codeInvalidSignature, codeMissingSignature:
		return "", 0, &wire.FieldError{Field: "master_secret", Reason: "does not belong to the app key"}
	default:
		return "", 0, &wire.RefusalError{Outcome: v.outcome(*a.Code, a.Message)}
	}
	var data struct {
		AuthToken string `json:"auth_token"`
	}
	if json.Unmarshal(a.Data, &data) != nil || data.AuthToken == "" {
		return "", 0, &wire.RefusalError{Outcome: wire.NewOutcome(wire.Failed, "0", "no auth_token in the answer")}
	}
	return data.AuthToken, tokenLife, nil
}

// withToken makes the calls for n devices with an access token, and once more with a new one if OPPO no longer takes that.
func (v *Vendor) withToken(ctx context.Context, c *credentials, n int, do func(token string) ([]wire.Outcome, bool)) []wire.Outcome {
	var out []wire.Outcome
	err := v.tokens.Use(ctx, c.account, func(ctx context.Context) (string, time.Duration, error) { return v.authenticate(ctx, c) }, func(token string) (stale bool) {
		out, stale = do(token)
		return stale
	})
	if err != nil {
		return wire.All(n, wire.Unauthorized(err))
	}
	return out
}
