// Package deviceevent holds the events of engine/device.
package deviceevent

// TopicRegistered carries Registered.
const TopicRegistered = "device.registered.v1"

// Registered tells of a device that was given its first registration id.
type Registered struct {
	App     int64  `cbor:"1,keyasint"`
	Ordinal uint32 `cbor:"2,keyasint"`
	// Platform as audience.Platform numbers it.
	Platform uint8 `cbor:"3,keyasint"`
	// At is Unix milliseconds.
	At int64 `cbor:"4,keyasint"`
}
