package huawei

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/channel/pushkit"
	"borealis/internal/engine/channel/wire"
)

// auth of ordinary calls: the service account's signature if there is one, else an access token for the app's secret.
func (v *Vendor) auth(c *credentials) pushkit.Auth {
	if c.account != nil {
		return c.account.Auth(v.clock)
	}
	return pushkit.Auth{Name: c.name, Fetch: func(ctx context.Context) (string, time.Duration, error) {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.app}, "client_secret": {c.secret}}
		header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		answer, err := v.client.Caller.Post(ctx, pushkit.TokenAddress, header, []byte(form.Encode()))
		if err != nil {
			return "", 0, err
		}
		return readGrant(answer)
	}}
}

func readGrant(a wire.Answer) (string, time.Duration, error) {
	var body struct {
		AccessToken string          `json:"access_token"`
		ExpiresIn   int64           `json:"expires_in"`
		Error       json.RawMessage `json:"error"` // a number
		SubError    json.RawMessage `json:"sub_error"`
		Description string          `json:"error_description"`
	}
	err := json.Unmarshal(a.Body, &body)
	if a.Status == http.StatusOK && err == nil && body.AccessToken != "" && body.ExpiresIn > 0 {
		return body.AccessToken, time.Duration(min(body.ExpiresIn, 24*3600)) * time.Second, nil
	}
	refuse := func(s wire.Status, code, reason string) (string, time.Duration, error) {
		o := wire.NewOutcome(s, code, reason)
		o.After = a.After
		return "", 0, &wire.RefusalError{Outcome: o}
	}
	code := strings.Trim(string(body.Error), `"`)
	if sub := strings.Trim(string(body.SubError), `"`); sub != "" {
		code += "/" + sub
	}
	switch {
	case a.Status == http.StatusServiceUnavailable, a.Status == http.StatusTooManyRequests:
		return refuse(wire.Limited, "HTTP "+strconv.Itoa(a.Status), "too many access tokens")
	case a.Status < 500 && err == nil && code != "":
		return refuse(wire.Denied, code, body.Description)
	}
	return refuse(wire.Failed, "HTTP "+strconv.Itoa(a.Status), "no access token")
}
