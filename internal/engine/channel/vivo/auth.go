package vivo

import (
	"context"
	"crypto/md5" //nolint:gosec // vivo signs with it
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

func rejected(code, reason string) *wire.RefusalError {
	return &wire.RefusalError{Outcome: wire.NewOutcome(wire.Rejected, code, reason)}
}

// answer is the shape of all of vivo's answers.
type answer struct {
	Result    *int   `json:"result"`
	Desc      string `json:"desc"`
	AuthToken string `json:"authToken"`
	TaskID    string `json:"taskId"`
	// InvalidUsers is an array, InvalidUser an object: which of the two is there depends on the call.
	InvalidUsers invalidUsers `json:"invalidUsers"`
	InvalidUser  invalidUsers `json:"invalidUser"`
}

// invalidUsers are devices that a message was not sent to.
type invalidUsers []struct {
	UserID string `json:"userid"`
	Status int    `json:"status"`
}

// UnmarshalJSON reads an array, or one object. What is neither names nobody.
func (u *invalidUsers) UnmarshalJSON(raw []byte) error {
	type plain invalidUsers
	if json.Unmarshal(raw, (*plain)(u)) == nil {
		return nil
	}
	*u = nil
	one := make(plain, 1)
	if json.Unmarshal(raw, &one[0]) == nil {
		*u = invalidUsers(one)
	}
	return nil
}

// call posts JSON. The answer has a result; the error is a *wire.RefusalError, or that of Post.
func (v *Vendor) call(ctx context.Context, path, token string, body any) (answer, error) {
	header := http.Header{"Content-Type": {"application/json; charset=UTF-8"}}
	if token != "" {
		header["Authtoken"] = []string{token}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return answer{}, rejected("message", "cannot be written as JSON")
	}
	got, err := v.caller.Post(ctx, host+path, header, text)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if json.Unmarshal(got.Body, &a) != nil || a.Result == nil || got.Status >= http.StatusBadRequest {
		return answer{}, &wire.RefusalError{Outcome: got.Refused()}
	}
	return a, nil
}

// authenticate fetches an access token. The error is a *wire.FieldError for what vivo refuses, else that of call.
func (v *Vendor) authenticate(ctx context.Context, c *credentials) (string, time.Duration, error) {
	timestamp := clock.Millis(v.clock.Now())
	sum := md5.Sum([]byte(c.appID.String() + c.appKey + strconv.FormatInt(timestamp, 10) + c.appSecret)) //nolint:gosec // vivo signs with it
	a, err := v.call(ctx, "/message/auth", "", map[string]any{
		"appId": c.appID, "appKey": c.appKey, "timestamp": timestamp, "sign": hex.EncodeToString(sum[:]),
	})
	if err != nil {
		return "", 0, err
	}
	switch *a.Result {
	case codeSuccess:
	case codeNoAppID, codeUnknownAppID:
		return "", 0, &wire.FieldError{Field: "app_id", Reason: "vivo does not know it"}
	case codeNoAppKey, codeWrongAppKey:
		return "", 0, &wire.FieldError{Field: "app_key", Reason: "does not belong to the app id"}
	case codeNoSign, codeWrongSign:
		return "", 0, &wire.FieldError{Field: "app_secret", Reason: "does not belong to the app id"}
	default:
		return "", 0, &wire.RefusalError{Outcome: v.outcome(*a.Result, a.Desc)}
	}
	if a.AuthToken == "" {
		return "", 0, &wire.RefusalError{Outcome: wire.NewOutcome(wire.Failed, "0", "no authToken in the answer")}
	}
	return a.AuthToken, tokenLife, nil
}

// withToken makes the calls for n devices with an access token, and once more with a new one if vivo no longer takes that.
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
