package wire

import "errors"

// RefusalError is the outcome of a call as an error, where what was asked for is not a message: an access token, say.
type RefusalError struct{ Outcome Outcome }

// Error is what the vendor said.
func (e *RefusalError) Error() string { return e.Outcome.Code + ": " + e.Outcome.Reason }

// Unauthorized is the outcome of a message that was not sent because there was no access token, err being what AccessTokens.Get or Use
// returned: Denied for a *FieldError, what a *RefusalError says, else Failed. It is never Unknown: no message was on its way.
func Unauthorized(err error) Outcome {
	if field, ok := errors.AsType[*FieldError](err); ok {
		return NewOutcome(Denied, "", field.Error())
	}
	refused, ok := errors.AsType[*RefusalError](err)
	if !ok {
		return NewOutcome(Failed, "", "no access token: "+err.Error())
	}
	o := refused.Outcome
	if o.Status == Unknown {
		o.Status = Failed
	}
	return o
}

// ErrForeign is the answer to a Probe with credentials that another vendor's Parse returned; a *FieldError.
var ErrForeign error = &FieldError{Field: "credentials", Reason: "are of another vendor"}

// Foreign is the outcome for n tokens of a Send with such credentials.
func Foreign(n int) []Outcome { return All(n, NewOutcome(Denied, "", ErrForeign.Error())) }
