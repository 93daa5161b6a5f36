package device

import "errors"

// Kind of a refusal.
type Kind uint8

// Kinds.
const (
	// Invalid: Field has a value that cannot be.
	Invalid Kind = iota + 1
	// UnknownApp: no app has the key.
	UnknownApp
	// AppDisabled: the app is disabled or sanctioned.
	AppDisabled
	// UnknownDevice: the device does not exist or is gone.
	UnknownDevice
	// WrongCredentials: registration id and secret do not belong together, or the secret was revoked.
	WrongCredentials
	// Denied: valid, but the app's settings do not let a device do this.
	Denied
	// AliasFull: the alias has as many devices as the app allows.
	AliasFull
	// TooManyTags: the device would have more than MaxTags tags, or the app more than audience.MaxTags tag names.
	TooManyTags
	// Exhausted: the app has issued all ordinals there are.
	Exhausted
	// AlreadyClaimed: another installation has claimed the imported device.
	AlreadyClaimed
)

// Error is a refusal: nothing was stored.
type Error struct {
	Kind Kind
	// Field that is at fault, as a path of the JSON document ("tags.add[3]"), "" if none is.
	Field string
	// Detail for people.
	Detail string
}

// Error makes *Error an error.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

func invalid(field, detail string) *Error { return &Error{Kind: Invalid, Field: field, Detail: detail} }

// IsKind tells whether err is, or wraps, a refusal of the kind.
func IsKind(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}
