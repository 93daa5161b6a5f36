// Package agreementevent holds the events of platform/agreement, for whoever tells people or reacts.
package agreementevent

// Topics.
const (
	// TopicAnnounced carries Announced.
	TopicAnnounced = "agreement.announced.v1"
	// TopicWithdrawn carries Withdrawn.
	TopicWithdrawn = "agreement.withdrawn.v1"
	// TopicEffective carries Effective.
	TopicEffective = "agreement.effective.v1"
	// TopicAccepted carries Accepted.
	TopicAccepted = "agreement.accepted.v1"
	// TopicDeclined carries Declined.
	TopicDeclined = "agreement.declined.v1"
)

// Announced tells that an edition of a set was announced. Whoever is bound by the set must be told (N-AGR-CHANGE),
// unless First or the class is editorial.
type Announced struct {
	Set    string `cbor:"1,keyasint"`
	Number int64  `cbor:"2,keyasint"`
	Hash   string `cbor:"3,keyasint"`
	// Class is editorial, commercial or personal_data.
	Class string `cbor:"4,keyasint"`
	// AnnouncedAt and EffectiveAt are Unix milliseconds.
	AnnouncedAt int64 `cbor:"5,keyasint"`
	EffectiveAt int64 `cbor:"6,keyasint"`
	// First says that the set had no edition before, so nobody is bound by it.
	First bool `cbor:"7,keyasint,omitempty"`
}

// Withdrawn tells that an announced edition will not take effect.
type Withdrawn struct {
	Set    string `cbor:"1,keyasint"`
	Number int64  `cbor:"2,keyasint"`
	Reason string `cbor:"3,keyasint"`
	// At is Unix milliseconds.
	At int64 `cbor:"4,keyasint"`
}

// Effective tells, once and within about half a minute, that an edition has taken effect.
type Effective struct {
	Set    string `cbor:"1,keyasint"`
	Number int64  `cbor:"2,keyasint"`
	Hash   string `cbor:"3,keyasint"`
	Class  string `cbor:"4,keyasint"`
	// EffectiveAt is Unix milliseconds.
	EffectiveAt int64 `cbor:"5,keyasint"`
}

// Accepted tells that an account accepted an edition.
type Accepted struct {
	Account int64 `cbor:"1,keyasint"`
	// App is the app whose use of a service it is about, 0 for the whole account.
	App    int64  `cbor:"2,keyasint,omitempty"`
	Set    string `cbor:"3,keyasint"`
	Number int64  `cbor:"4,keyasint"`
	// State is accepted_click or accepted_continued_use.
	State string `cbor:"5,keyasint"`
	// At and BindsFrom are Unix milliseconds; they differ if it was accepted before it took effect.
	At        int64 `cbor:"6,keyasint"`
	BindsFrom int64 `cbor:"7,keyasint"`
}

// Declined tells that an account does not agree to an edition.
type Declined struct {
	Account int64  `cbor:"1,keyasint"`
	App     int64  `cbor:"2,keyasint,omitempty"`
	Set     string `cbor:"3,keyasint"`
	Number  int64  `cbor:"4,keyasint"`
	// At, ReadOnlyFrom and ExitUntil are Unix milliseconds. The last two are 0 if only the processing concerned stays off.
	At           int64 `cbor:"5,keyasint"`
	ReadOnlyFrom int64 `cbor:"6,keyasint,omitempty"`
	ExitUntil    int64 `cbor:"7,keyasint,omitempty"`
}
