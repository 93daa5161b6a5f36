package gate

import (
	"errors"
	"net/http"

	"borealis/internal/kernel/web/compat"
)

// Refusal is what a caller of the vendor's API is told of an error of Admit.
func Refusal(err error) *compat.Error {
	var r *RefusedError
	if !errors.As(err, &r) {
		return compat.Errorf(http.StatusInternalServerError, 1000, "internal error")
	}
	switch r.Reason {
	case NotEnabled:
		return compat.Errorf(http.StatusForbidden, 2003, "The appKey is in black list.")
	case AddressNotAllowed:
		return compat.Errorf(http.StatusForbidden, 2004, "The IP address of the caller is not in the white list of the app.")
	case TooManyCalls:
		return compat.Errorf(http.StatusTooManyRequests, 2002, "%s", r.Detail)
	default:
		return compat.Errorf(http.StatusForbidden, 2005, "%s", r.Detail)
	}
}

// RequirePaid refuses with 2006 unless the app may use the calls that the vendor sells.
func (a *App) RequirePaid() error {
	if !a.Settings.PaidCalls {
		return compat.Errorf(http.StatusForbidden, 2006, "the app may not use this call: its setting paid_calls is off")
	}
	return nil
}
