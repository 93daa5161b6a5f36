package pushkit

import (
	"errors"

	"borealis/internal/engine/channel/wire"
)

// Refused is the answer of a probe whose account got no token; field is what authorises it.
func Refused(err error, field string) error {
	if r, ok := errors.AsType[*wire.RefusalError](err); ok && r.Outcome.Status == wire.Denied {
		return &wire.FieldError{Field: field, Reason: "Huawei refuses it: " + r.Error()}
	}
	return err
}

// Probed is the answer of a probe that sent to a token nobody has: that the token is bad says that all else is good.
func Probed(o wire.Outcome, field string) error {
	switch o.Code {
	case noneGood, partly:
		return nil
	case badAuth, oauthExpired, jwtExpired, "80300036":
		return &wire.FieldError{Field: field, Reason: "Push Kit refuses it: " + o.Code + " " + o.Reason}
	}
	switch o.Status {
	case wire.Accepted:
		return nil
	case wire.Denied:
		return &wire.FieldError{Field: "project_id", Reason: "Push Kit refuses to send for it, or for the app: " + o.Code + " " + o.Reason}
	}
	return &wire.RefusalError{Outcome: o}
}
