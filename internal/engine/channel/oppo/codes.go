package oppo

import (
	"strconv"

	"borealis/internal/engine/channel/wire"
)

// Codes of OPPO that are treated on their own.
const (
	codeFlowControl      = -2
	codeUnavailable      = -1
	codeSuccess          = 0
	codeInvalidToken     = 11
	codeCallLimited      = 13
	codeInvalidAppKey    = 14
	codeMissingAppKey    = 15
	codeInvalidSignature = 16
	codeMissingSignature = 17
	codeInvalidTimestamp = 19
	codeMissingTimestamp = 18
	codeBlacklisted      = 26
	codeAccessDenied     = 27
	codeAppDisabled      = 28
	codeMissingToken     = 29
	codeNoPermission     = 30
	codeDuplicate        = 32
	codeDailyLimit       = 33
	codeDailySaves       = 42
	codeTooFrequent      = 55
	codeGlobalLimit      = 69
	codeInvalidID        = 10000
)

// outcome is what a code means. Codes that are not told apart say that this message is not taken: repeating it does not help.
func (v *Vendor) outcome(code int, reason string) wire.Outcome {
	o := wire.NewOutcome(wire.Rejected, strconv.Itoa(code), reason)
	switch code {
	case codeSuccess:
		return wire.Outcome{Status: wire.Accepted}
	case codeDuplicate: // the app_message_id was sent to this device before
		o.Status = wire.Accepted
	case codeUnavailable:
		o.Status = wire.Failed
	case codeFlowControl, codeCallLimited, codeTooFrequent, codeGlobalLimit:
		o.Status = wire.Limited
	case codeInvalidToken, codeMissingToken, codeInvalidAppKey, codeMissingAppKey, codeInvalidSignature, codeMissingSignature,
		codeInvalidTimestamp, codeMissingTimestamp, codeBlacklisted, codeAccessDenied, codeAppDisabled, codeNoPermission:
		o.Status = wire.Denied
	case codeDailyLimit, codeDailySaves:
		o.Status, o.After = wire.Quota, wire.UntilHour(v.clock.Now(), 0)
	case codeInvalidID:
		o.Status = wire.Invalid
	}
	return o
}
