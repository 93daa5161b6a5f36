package simulate

import (
	"fmt"

	"borealis/internal/engine/edge/mqtt"
)

// RefusedError says that the server answered CONNECT with a refusal, or ended a connection with DISCONNECT.
type RefusedError struct {
	Version mqtt.Version
	// Code is a reason code at MQTT 5 and a CONNACK return code at MQTT 3.1.1.
	Code mqtt.Code
	// Reason is the server's Reason String, if it gave one.
	Reason string
	// Reference is the server to use instead, as "host:port", if it named one.
	Reference string
	// Accepted: the connection had been accepted before.
	Accepted bool
}

// Error implements error.
func (e *RefusedError) Error() string {
	what := "connection refused"
	if e.Accepted {
		what = "connection ended by the server"
	}
	text := e.explain()
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return fmt.Sprintf("%s: %s (0x%02X)", what, text, byte(e.Code))
}

func (e *RefusedError) explain() string {
	if e.Version != mqtt.V5 {
		switch byte(e.Code) {
		case mqtt.UnacceptableVersion:
			return "protocol version not supported"
		case mqtt.IdentifierRejected:
			return "registration id not valid"
		case mqtt.ServerUnavailable311:
			return "server unavailable"
		case mqtt.BadUserNameOrPass311:
			return "wrong AppKey, registration id or secret"
		case mqtt.NotAuthorized311:
			return "not authorised"
		}
		return "unknown return code"
	}
	if text, ok := explanations[e.Code]; ok {
		return text
	}
	return "reason code"
}

var explanations = map[mqtt.Code]string{
	mqtt.UnspecifiedError:           "unspecified error",
	mqtt.MalformedPacket:            "malformed packet",
	mqtt.ProtocolError:              "protocol error",
	mqtt.UnsupportedProtocolVersion: "protocol version not supported",
	mqtt.ClientIdentifierNotValid:   "registration id not valid",
	mqtt.BadUserNameOrPassword:      "wrong AppKey, registration id or secret",
	mqtt.NotAuthorized:              "not authorised",
	mqtt.ServerUnavailable:          "server unavailable",
	mqtt.ServerBusy:                 "server busy",
	mqtt.Banned:                     "banned",
	mqtt.ServerShuttingDown:         "server is shutting down",
	mqtt.KeepAliveTimeout:           "no sign of life in time",
	mqtt.SessionTakenOver:           "another connection of this device took over",
	mqtt.QuotaExceeded:              "quota exceeded",
	mqtt.AdministrativeAction:       "administrative action",
	mqtt.UseAnotherServer:           "use another server",
	mqtt.ServerMoved:                "server moved",
	mqtt.ConnectionRateExceeded:     "too many connections in this time",
}

// Permanent reports whether connecting again would be answered the same way.
func (e *RefusedError) Permanent() bool {
	if e.Version != mqtt.V5 {
		switch byte(e.Code) {
		case mqtt.UnacceptableVersion, mqtt.IdentifierRejected, mqtt.BadUserNameOrPass311, mqtt.NotAuthorized311:
			return true
		}
		return false
	}
	switch e.Code {
	case mqtt.MalformedPacket, mqtt.ProtocolError, mqtt.UnsupportedProtocolVersion, mqtt.ClientIdentifierNotValid,
		mqtt.BadUserNameOrPassword, mqtt.NotAuthorized, mqtt.Banned, mqtt.BadAuthenticationMethod, mqtt.SessionTakenOver:
		return true
	default:
		return false
	}
}
