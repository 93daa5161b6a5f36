package vivo

import (
	"strconv"

	"borealis/internal/engine/channel/wire"
)

// Codes of vivo that are treated on their own.
const (
	codeSuccess      = 0
	codeUnauthorized = 10000
	codeBusy         = 10040
	codeClosed       = 10043
	codeInReview     = 10045
	codeMarketing    = 10070
	codeNight        = 10071
	codeTooFast      = 10072
	codeSystem       = 10073
	codeAuthTooFast  = 10093
	codeOtherApp     = 10094
	codeNoMessage    = 10155
	codeNoAppID      = 10200
	codeNoAppKey     = 10201
	codeWrongAppKey  = 10202
	codeNoTimestamp  = 10203
	codeNoSign       = 10204
	codeUnknownAppID = 10205
	codeWrongSign    = 10206
	codeWrongTime    = 10207
	codeSaves        = 10252
	codeBroadcasts   = 10254
	codeInvalidRegID = 10302
	codeSilenced     = 10311
)

// morning is when vivo begins to send marketing, in hours of Shanghai.
const morning = 7

// Statuses of a device that a message was not sent to.
const (
	userUnknown  = 1
	userGone     = 2
	userInactive = 3
	userNoTester = 4
)

// outcome is what a code means. Codes that are not told apart say that this message is not taken: repeating it does not help.
func (v *Vendor) outcome(code int, reason string) wire.Outcome {
	o := wire.NewOutcome(wire.Rejected, strconv.Itoa(code), reason)
	switch code {
	case codeSuccess:
		return wire.Outcome{Status: wire.Accepted}
	case codeUnauthorized, codeClosed, codeInReview, codeOtherApp, codeNoAppID, codeNoAppKey, codeWrongAppKey, codeNoTimestamp, codeNoSign,
		codeUnknownAppID, codeWrongSign, codeWrongTime:
		o.Status = wire.Denied
	case codeMarketing, codeSystem, codeSaves, codeBroadcasts:
		o.Status, o.After = wire.Quota, wire.UntilHour(v.clock.Now(), 0)
	case codeNight:
		o.Status, o.After = wire.Quota, wire.UntilHour(v.clock.Now(), morning)
	case codeBusy, codeTooFast, codeAuthTooFast:
		o.Status = wire.Limited
	case codeNoMessage: // the saved message ended before it was pushed: a repetition saves it again
		o.Status = wire.Failed
	case codeInvalidRegID:
		o.Status = wire.Invalid
	case codeSilenced:
		o.Status = wire.Silenced
	}
	return o
}

// missed is what the status of one device means.
func missed(status int) wire.Outcome {
	o := wire.NewOutcome(wire.Rejected, "status "+strconv.Itoa(status), "")
	switch status {
	case userUnknown:
		o.Status, o.Reason = wire.Invalid, "vivo does not know the device"
	case userGone:
		o.Status, o.Reason = wire.Invalid, "the app was uninstalled or unsubscribed"
	case userInactive:
		o.Status, o.Reason = wire.Silenced, "the device was not used for long"
	case userNoTester:
		o.Reason = "the device is not registered for tests"
	}
	return o
}
