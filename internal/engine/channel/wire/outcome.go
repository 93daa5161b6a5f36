package wire

import (
	"errors"
	"strconv"
	"time"
)

// Status says what became of a message for one token. The numbers are stored; never reuse one.
type Status uint8

// Statuses.
const (
	// Unknown: no complete answer. The message may have been accepted.
	Unknown Status = iota
	// Accepted by the vendor, who will deliver it.
	Accepted
	// Invalid: the token will never work again. Forget it.
	Invalid
	// Rejected: the vendor does not take this message (content, size, category) for this or any token. Do not repeat.
	Rejected
	// Denied: the credentials or the app's rights at the vendor are wrong. Nothing of the app will pass until somebody acts.
	Denied
	// Quota: a quota of the account or the device is used up. After says when it is renewed, if the vendor says it.
	Quota
	// Limited: too fast. Repeat after After.
	Limited
	// Failed: the vendor is not well; it did not accept. Repeat after After.
	Failed
	// Silenced: the vendor will not show it on this device now: notifications are off, or the app was not used for long. The token stays good.
	Silenced
	statusEnd
)

var statusNames = [statusEnd]string{"unknown", "accepted", "invalid", "rejected", "denied", "quota", "limited", "failed", "silenced"}

// String is the status as reports show it.
func (s Status) String() string {
	if s >= statusEnd {
		return strconv.Itoa(int(s))
	}
	return statusNames[s]
}

// Outcome is what became of a message for one token.
type Outcome struct {
	Status Status
	// VendorID is the vendor's id of the message, "" if there is none.
	VendorID string
	// Code and Reason are the vendor's, for people: "80300007", "Unregistered". They are bounded by NewOutcome, and without tokens.
	Code, Reason string
	// After is how long to wait before a repetition; 0: the caller's own back-off.
	After time.Duration
	// Alone: nothing follows for other tokens of the account. Web push has a service for each browser, and a device may name any:
	// that one is slow or down must not hold up messages to the others.
	Alone bool
	// Token replaces the device's token: the vendor moved it.
	Token string
	// Since is when an Invalid token was last known to be dead, in Unix milliseconds; 0 if the vendor does not say. If the device
	// brought the same token later, it is good again.
	Since int64
}

// maxReason is how much of a vendor's text is kept, in bytes.
const maxReason = 200

// NewOutcome is an outcome with the vendor's code and text, cut to what is kept.
func NewOutcome(s Status, code, reason string) Outcome {
	return Outcome{Status: s, Code: clip(code), Reason: clip(reason)}
}

// All is the same outcome for n tokens.
func All(n int, o Outcome) []Outcome {
	out := make([]Outcome, n)
	for i := range out {
		out[i] = o
	}
	return out
}

// Receipt is what a vendor reports later.
type Receipt struct {
	// Token of the device, and ID of our message: one of the two may be missing.
	Token, ID string
	Event     Event
	// Code and Reason of a failure.
	Code, Reason string
	// At is Unix milliseconds; 0 if the vendor does not say.
	At int64
}

// Event of a receipt.
type Event uint8

// Events.
const (
	// Arrived on the device.
	Arrived Event = iota + 1
	// Shown on its screen.
	Shown
	// Clicked by its user.
	Clicked
	// Lost: it will not be shown; Code says why.
	Lost
	// Unregistered: the token is no longer good. There may be no ID.
	Unregistered
)

// ErrSignature is the answer to a call that claims to be the vendor's is not.
var ErrSignature = errors.New("wire: signature is wrong")

// FieldError says which field of credentials is wrong and why. It holds no secret.
type FieldError struct{ Field, Reason string }

// Error makes *FieldError an error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }
