// Package deviceevent holds the events of engine/device.
package deviceevent

// Topics.
const (
	// TopicRegistered carries Registered.
	TopicRegistered = "device.registered.v1"
	// TopicSeen carries Seen.
	TopicSeen = "device.seen.v1"
)

// Registered tells of a device that was given its first registration id.
type Registered struct {
	App     int64  `cbor:"1,keyasint"`
	Ordinal uint32 `cbor:"2,keyasint"`
	// Platform as audience.Platform numbers it.
	Platform uint8 `cbor:"3,keyasint"`
	// At is Unix milliseconds.
	At int64 `cbor:"4,keyasint"`
}

// Seen tells of devices of one platform that were in contact: connected, disconnected or called the device API, within
// the ten seconds before At. A device that stays connected is told of at both ends only.
type Seen struct {
	App int64 `cbor:"1,keyasint"`
	// Platform as audience.Platform numbers it.
	Platform uint8 `cbor:"2,keyasint"`
	// Seen is the set of their ordinals, in Roaring's portable form.
	Seen []byte `cbor:"3,keyasint"`
	// Active are those of them that did something of their own, in the same form; empty: none.
	Active []byte `cbor:"4,keyasint,omitempty"`
	// At is Unix milliseconds.
	At int64 `cbor:"5,keyasint"`
}
