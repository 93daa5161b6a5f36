package route

import (
	"context"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/service/push/payload"
)

// Message is an accepted push as channels see it. It is not changed.
type Message struct {
	App, ID int64
	// AcceptedAt and ExpiresAt are Unix milliseconds.
	AcceptedAt, ExpiresAt int64
	// Root is the message whose place this one takes on screens: the first of a chain of messages that replace each other, 0 if it replaces
	// none. Vendors number notifications by it.
	Root int64
	Push *payload.Push
	// Held: some of its targets are, because channels were to go first when it was accepted or are at it.
	Held bool
	// Targets by platform. The sets are not changed.
	Targets map[audience.Platform]*roaring.Bitmap
	// ReleasedAt is when a device's turn comes, Unix milliseconds: of a paced message later than AcceptedAt.
	ReleasedAt func(ordinal uint32) int64
}

// Step is what becomes of a message on devices.
type Step uint8

// Steps.
const (
	// Held: a vendor's channel is to reach them; our own connections wait.
	Held Step = iota + 1
	// Returned: no channel could, our own connections are to.
	Returned
	// Accepted: a vendor took it over. The pair ends.
	Accepted
	// Unreachable: no channel could, and the push is for channels alone. The pair ends.
	Unreachable
	// Delivered and Clicked: the vendor reported it.
	Delivered
	Clicked
)

// Messages is what routes need of the push service. Marks of pairs that ended otherwise meanwhile do nothing, and doing
// one again changes nothing. Only the node that owns the app's partition may mark.
type Messages interface {
	// Message finds a message; nil if there is none, or if it was withdrawn.
	Message(ctx context.Context, msg int64) (*Message, error)
	// Root is the id under which vendors know a message: the first of the chain that it is the end of, or its own.
	Root(ctx context.Context, msg int64) (int64, error)
	// Left is the part of a set of devices that is still owed the message, held or not, and takes pushes.
	Left(ctx context.Context, app, msg int64, devices *roaring.Bitmap) (*roaring.Bitmap, error)
	// Mark says what became of devices of a message, and returns when it is durable. at is Unix milliseconds.
	Mark(ctx context.Context, app, msg int64, step Step, devices *roaring.Bitmap, at int64) error
}
