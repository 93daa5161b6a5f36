// Package pushevent holds the events of service/push, for whoever counts or reacts.
package pushevent

// Topics.
const (
	// TopicAccepted carries Accepted.
	TopicAccepted = "push.message.accepted.v1"
	// TopicProgress carries Progress.
	TopicProgress = "push.message.progress.v1"
	// TopicFrameEnded carries FrameEnded.
	TopicFrameEnded = "push.frame.ended.v1"
)

// Accepted tells of pushes of an app that were accepted in one transaction.
type Accepted struct {
	App int64 `cbor:"1,keyasint"`
	// Msg is the id of one that was accepted alone.
	Msg int64 `cbor:"2,keyasint,omitempty"`
	// Targets are those of all of them together.
	Targets int64 `cbor:"3,keyasint"`
	// At is Unix milliseconds.
	At int64 `cbor:"4,keyasint"`
	// More are the pushes beside the first.
	More int64 `cbor:"5,keyasint,omitempty"`
}

// Progress tells how many (device, message) pairs of an app newly reached a stage. A pair is counted once for each
// stage, however often its receipt arrives.
type Progress struct {
	App int64 `cbor:"1,keyasint"`
	// At is when they were counted, Unix milliseconds.
	At        int64 `cbor:"2,keyasint"`
	Sent      int64 `cbor:"3,keyasint,omitempty"`
	Delivered int64 `cbor:"4,keyasint,omitempty"`
	Displayed int64 `cbor:"5,keyasint,omitempty"`
	Clicked   int64 `cbor:"6,keyasint,omitempty"`
	// Failed are those that ended without delivery: expired, displaced, replaced, withdrawn, gone.
	Failed int64 `cbor:"7,keyasint,omitempty"`
}

// FrameEnded tells what became of a frame for one device whose sender asked for it. A frame that a newer one of its topic took the
// place of ends without.
type FrameEnded struct {
	App int64 `cbor:"1,keyasint"`
	// Group of the frame.
	Group int64 `cbor:"2,keyasint"`
	Msg   int64 `cbor:"3,keyasint"`
	// Receipt is the number that the sender gave it.
	Receipt int64 `cbor:"4,keyasint"`
	// Delivered: the device has acknowledged it; else it was withdrawn, or its time to live is over.
	Delivered bool `cbor:"5,keyasint,omitempty"`
	// At is Unix milliseconds.
	At int64 `cbor:"6,keyasint"`
}
