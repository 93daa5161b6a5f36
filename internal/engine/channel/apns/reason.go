package apns

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"borealis/internal/engine/channel/wire"
)

// afterFailure is how long Apple asks to wait after an answer of 5xx.
const afterFailure = 15 * time.Minute

// verdict is what a reason of Apple means.
type verdict struct {
	status wire.Status
	// reconnect: the connection is tied to other rights than the app's.
	reconnect bool
}

// reasons that Apple documents, for requests to devices and to broadcast channels.
var reasons = map[string]verdict{
	"BadCollapseId":      {status: wire.Rejected},
	"BadDeviceToken":     {status: wire.Invalid},
	"BadExpirationDate":  {status: wire.Rejected},
	"BadMessageId":       {status: wire.Rejected},
	"BadPriority":        {status: wire.Rejected},
	"DuplicateHeaders":   {status: wire.Rejected},
	"InvalidPushType":    {status: wire.Rejected},
	"MissingDeviceToken": {status: wire.Rejected},
	"PayloadEmpty":       {status: wire.Rejected},
	"BadPath":            {status: wire.Rejected},
	"MethodNotAllowed":   {status: wire.Rejected},
	"PayloadTooLarge":    {status: wire.Rejected},
	// The token is one of another app, or of another push type of this one.
	"DeviceTokenNotForTopic": {status: wire.Invalid},
	"ExpiredToken":           {status: wire.Invalid},
	"Unregistered":           {status: wire.Invalid},
	// The connection was silent for too long and closes; the request was not looked at.
	"IdleTimeout": {status: wire.Failed},

	"BadTopic":        {status: wire.Denied, reconnect: true},
	"MissingTopic":    {status: wire.Denied},
	"TopicDisallowed": {status: wire.Denied, reconnect: true},
	"TopicMismatch":   {status: wire.Denied, reconnect: true},

	"BadCertificate":            {status: wire.Denied, reconnect: true},
	"BadCertificateEnvironment": {status: wire.Denied, reconnect: true},
	"ExpiredProviderToken":      {status: wire.Denied},
	"Forbidden":                 {status: wire.Denied, reconnect: true},
	"InvalidProviderToken":      {status: wire.Denied, reconnect: true},
	"MissingProviderToken":      {status: wire.Denied},
	// A connection that began with another key: a new one will do.
	"UnrelatedKeyIdInToken": {status: wire.Failed, reconnect: true},
	// The documents have the first name, answers the second.
	"BadEnvironmentKeyIdInToken": {status: wire.Denied, reconnect: true},
	"BadEnvironmentKeyInToken":   {status: wire.Denied, reconnect: true},

	"TooManyProviderTokenUpdates": {status: wire.Limited},
	"TooManyRequests":             {status: wire.Limited},

	"InternalServerError": {status: wire.Failed},
	"ServiceUnavailable":  {status: wire.Failed},
	"Service Unavailable": {status: wire.Failed}, // as in the table for channels
	"Shutdown":            {status: wire.Failed, reconnect: true},

	"FeatureNotEnabled":         {status: wire.Denied},
	"MissingChannelId":          {status: wire.Rejected},
	"BadChannelId":              {status: wire.Rejected},
	"ChannelNotRegistered":      {status: wire.Rejected},
	"BadRequestParams":          {status: wire.Rejected},
	"BadRequestPayload":         {status: wire.Rejected},
	"MissingPushType":           {status: wire.Rejected},
	"CannotCreateChannelConfig": {status: wire.Quota},
}

// judge is the outcome of an answer. ownTopic says that the request was for the bundle id itself: without rights for another topic (calls,
// live activities) the app still has those for notifications.
func judge(a wire.Answer, ownTopic bool) wire.Outcome {
	r := readRefusal(a.Body)
	status := byStatus(a, r.Reason)
	if known, ok := reasons[r.Reason]; ok && a.Status >= http.StatusBadRequest {
		status = known.status
	}
	switch r.Reason {
	case "BadTopic", "TopicDisallowed":
		if status == wire.Denied && !ownTopic {
			status = wire.Rejected
		}
	}
	reason := r.Reason
	if reason == "" && status != wire.Accepted {
		reason = "an answer without a reason of Apple"
	}
	code := ""
	if status != wire.Accepted {
		code = strconv.Itoa(a.Status)
	}
	o := wire.NewOutcome(status, code, reason)
	o.VendorID = vendorID(a.Header.Get("Apns-Id"))
	switch status {
	case wire.Failed, wire.Limited, wire.Quota:
		o.After = a.After
		if o.After == 0 && a.Status >= http.StatusInternalServerError {
			o.After = afterFailure
		}
	case wire.Invalid:
		o.Since = since(r.Timestamp)
	}
	return o
}

// byStatus judges an answer whose reason is not known. Without any it is not Apple's answer but that of something between, which
// says nothing about the token or the app.
func byStatus(a wire.Answer, reason string) wire.Status {
	switch {
	case a.Status == http.StatusOK && vendorID(a.Header.Get("Apns-Id")) != "":
		return wire.Accepted
	case a.Status == http.StatusTooManyRequests:
		return wire.Limited
	case a.Status >= http.StatusInternalServerError:
		return wire.Failed
	case reason == "":
		return wire.Unknown
	case a.Status == http.StatusForbidden:
		return wire.Denied
	case a.Status == http.StatusGone:
		return wire.Invalid
	case a.Status >= http.StatusBadRequest:
		return wire.Rejected
	}
	return wire.Unknown
}

// vendorID is an id of Apple, "" for what cannot be one.
func vendorID(text string) string {
	if len(text) > 64 {
		return ""
	}
	return text
}

func since(raw json.RawMessage) int64 {
	var ms int64
	if json.Unmarshal(raw, &ms) != nil || ms < 0 {
		return 0
	}
	return ms
}
