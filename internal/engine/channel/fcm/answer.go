package fcm

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
)

// limitPause is what Google asks to wait after a quota was exceeded when the answer names no time: quotas are counted by the minute.
const limitPause = time.Minute

// fault is the error of an answer.
type fault struct {
	Message string `json:"message"`
	Status  string `json:"status"`
	Details []struct {
		Type       string `json:"@type"`
		ErrorCode  string `json:"errorCode"`
		Violations []struct {
			Field string `json:"field"`
		} `json:"fieldViolations"`
	} `json:"details"`
}

// code is FCM's own, or else Google's.
func (f *fault) code() (code string, own bool) {
	for _, d := range f.Details {
		if strings.HasSuffix(d.Type, "google.firebase.fcm.v1.FcmError") && d.ErrorCode != "" {
			return d.ErrorCode, true
		}
	}
	return f.Status, false
}

// token reports whether the token is what is wrong with the arguments.
func (f *fault) token() bool {
	for _, d := range f.Details {
		for _, v := range d.Violations {
			if v.Field == "message.token" {
				return true
			}
			if v.Field != "" {
				return false
			}
		}
	}
	return strings.Contains(strings.ToLower(f.Message), "registration token")
}

// read makes an outcome of an answer. expired reports that the access token was not taken. The text never has the token in it.
func read(a wire.Answer, token string) (o wire.Outcome, expired bool) {
	var body struct {
		Name  string `json:"name"`
		Error *fault `json:"error"`
	}
	isJSON := json.Unmarshal(a.Body, &body) == nil
	if a.Status == http.StatusOK {
		if !isJSON || body.Name == "" {
			return wire.NewOutcome(wire.Unknown, "", "the answer names no message"), false
		}
		return wire.Outcome{Status: wire.Accepted, VendorID: wire.CutBytes(body.Name, 256)}, false
	}
	if !isJSON || body.Error == nil {
		return after(wire.NewOutcome(byHTTP(a.Status), httpCode(a.Status), "the answer is not FCM's"), a.After), a.Status == http.StatusUnauthorized
	}
	code, own := body.Error.code()
	if code == "" {
		code = httpCode(a.Status)
	}
	o = wire.NewOutcome(byCode(code, own, body.Error, a.Status), code, strings.ReplaceAll(body.Error.Message, token, "…"))
	o.After = a.After
	if o.Status == wire.Limited && o.After == 0 {
		o.After = limitPause
	}
	return o, a.Status == http.StatusUnauthorized && !own
}

// byCode is the status of an error. own says that the code is FCM's.
func byCode(code string, own bool, f *fault, status int) wire.Status {
	switch code {
	case "UNREGISTERED":
		return wire.Invalid
	case "INVALID_ARGUMENT":
		if f.token() {
			return wire.Invalid
		}
		return wire.Rejected
	case "SENDER_ID_MISMATCH", "THIRD_PARTY_AUTH_ERROR":
		// The token may be another project's, or the credentials: all tokens would be lost over one wrong key file. And a
		// key that Apple or a browser does not take is no reason to stop sending to phones that Google reaches itself.
		return wire.Rejected
	case "QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED":
		return wire.Limited
	case "UNAVAILABLE", "INTERNAL":
		return wire.Failed
	case "UNAUTHENTICATED", "PERMISSION_DENIED":
		return wire.Denied
	case "NOT_FOUND":
		if !own {
			return wire.Denied // the project: a token that is gone has a code of its own
		}
	}
	return byHTTP(status)
}

func byHTTP(status int) wire.Status {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return wire.Denied
	case status == http.StatusTooManyRequests:
		return wire.Limited
	case status == http.StatusRequestTimeout:
		return wire.Failed
	case status >= 400 && status < 500:
		return wire.Rejected
	case status >= 200 && status < 300:
		return wire.Unknown
	}
	return wire.Failed
}

func httpCode(status int) string { return "HTTP " + strconv.Itoa(status) }
