package apns

import (
	"net/http"
	"strings"

	"borealis/internal/kernel/clock"
)

// statuses of Apple's reasons.
var statuses = map[string]int{
	"BadCollapseId": 400, "BadDeviceToken": 400, "BadExpirationDate": 400, "BadMessageId": 400, "BadPriority": 400, "BadTopic": 400,
	"DeviceTokenNotForTopic": 400, "DuplicateHeaders": 400, "IdleTimeout": 400, "InvalidPushType": 400, "MissingDeviceToken": 400,
	"MissingTopic": 400, "PayloadEmpty": 400, "TopicDisallowed": 400,
	"BadCertificate": 403, "BadCertificateEnvironment": 403, "ExpiredProviderToken": 403, "Forbidden": 403, "InvalidProviderToken": 403,
	"MissingProviderToken": 403, "UnrelatedKeyIdInToken": 403, "BadEnvironmentKeyIdInToken": 403,
	"BadPath": 404, "MethodNotAllowed": 405, "ExpiredToken": 410, "Unregistered": 410, "PayloadTooLarge": 413,
	"TooManyProviderTokenUpdates": 429, "TooManyRequests": 429,
	"InternalServerError": 500, "ServiceUnavailable": 503, "Shutdown": 503,

	"FeatureNotEnabled": 400, "MissingChannelId": 400, "BadChannelId": 400, "ChannelNotRegistered": 400, "BadRequestParams": 400,
	"BadRequestPayload": 400, "MissingPushType": 400, "CannotCreateChannelConfig": 400, "TopicMismatch": 403,
}

// fail answers a request with the fault that is asked for, if there is one.
func (s *Sim) fail(w http.ResponseWriter, r *request) bool {
	if s.deps.Faults == nil {
		return false
	}
	switch name := s.deps.Faults.Take(); name {
	case "":
		return false
	case "cut":
		panic(http.ErrAbortHandler)
	case "html", "login":
		w.Header().Del(r.idHeader)
		w.Header().Set("Content-Type", "text/html")
		if name == "html" {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = w.Write([]byte("<html><body>not Apple</body></html>"))
	case "Unregistered", "ExpiredToken":
		s.refuse(w, refusal{reason: name, since: clock.Millis(s.deps.Clock.Now())})
	case "ExpiredProviderToken", "InvalidProviderToken":
		s.authority.revoke(r.RemoteAddr, strings.TrimPrefix(r.Header.Get("Authorization"), "bearer "))
		s.refuse(w, refusal{reason: name})
	default:
		if statuses[name] == 0 {
			name = "InternalServerError"
		}
		s.refuse(w, refusal{reason: name})
	}
	return true
}
