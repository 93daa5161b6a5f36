package schedule

import (
	"errors"
	"net/http"

	"borealis/internal/kernel/web/compat"
)

// Codes of the vendor's schedule API.
const (
	codeInvalid  = 8100
	codeUnknown  = 8104
	codeInternal = 8200
	codeTimeout  = 8203
)

var (
	// errUnknown is the answer for schedules that are not there, are another app's, or are over.
	errUnknown  = compat.Errorf(http.StatusNotFound, codeUnknown, "the schedule does not exist or has been executed")
	errInternal = compat.Errorf(http.StatusInternalServerError, codeInternal, "internal error")
	errTimeout  = compat.Errorf(http.StatusServiceUnavailable, codeTimeout, "timeout, try again")
	errExpired  = invalid("the schedule has expired")
)

func invalid(format string, args ...any) *compat.Error {
	return compat.Errorf(http.StatusBadRequest, codeInvalid, format, args...)
}

// invalidPart turns a refusal of another API into one of this; other errors stay.
func invalidPart(part string, err error) error {
	if e, ok := errors.AsType[*compat.Error](err); ok && e.HTTP < http.StatusInternalServerError {
		return invalid("%s: %s (%d)", part, e.Message, e.Code)
	}
	return err
}
