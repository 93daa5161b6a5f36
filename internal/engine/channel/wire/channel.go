package wire

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"borealis/internal/kernel/clock"
)

// Name of a channel, as in the tokens of devices and in third_party_channel.
type Name string

// Names. The texts are stored and on the wire.
const (
	APNs    Name = "apns"
	FCM     Name = "fcm"
	Huawei  Name = "huawei"
	HMOS    Name = "hmos"
	Honor   Name = "honor"
	Xiaomi  Name = "xiaomi"
	OPPO    Name = "oppo"
	Vivo    Name = "vivo"
	Meizu   Name = "meizu"
	WebPush Name = "webpush"
)

// Token is the address of a device at a vendor.
type Token struct {
	// Value as the vendor gave it to the device; of web push the subscription as JSON.
	Value string
	// Sandbox: it belongs to the vendor's environment for development; only APNs has one.
	Sandbox bool
}

// Credentials are what an app got from a vendor, read and checked. Each vendor has a type of its own; a value is never
// changed and may be used by many goroutines.
type Credentials interface {
	// ID names the account at the vendor that limits are counted for. It is no secret and safe in a log: app ids, project ids, bundle ids.
	ID() string
}

// Vendor is one push service. It is safe for concurrent use.
type Vendor interface {
	Traits() Traits
	// Parse reads what an app's owner entered: a JSON object with the fields that docs/channels names. The error is a
	// *FieldError. It makes no call.
	Parse(raw []byte) (Credentials, error)
	// Send hands a message to the vendor for devices; see the package comment. c is of this vendor's Parse.
	Send(ctx context.Context, c Credentials, tokens []Token, m *Message) []Outcome
	// Probe finds out whether the vendor takes the credentials, without a device: nil, a *FieldError for what it
	// refuses, or what prevented the answer.
	Probe(ctx context.Context, c Credentials) error
}

// MaxReceipts bounds the receipts of one call: more are refused whole.
const MaxReceipts = 50_000

// Receiver is a Vendor that reports to us later what became of messages.
type Receiver interface {
	// Receipts reads one call of the vendor. The signature is checked with the credentials first; ErrSignature if it is
	// wrong, another error if the body is not understood. answer is the body to answer with, status 200.
	Receipts(c Credentials, r *http.Request, body []byte) (receipts []Receipt, answer []byte, err error)
}

// Retractor is a Vendor that can take a notification off the screens.
type Retractor interface {
	// Retract asks for the message with that id to be taken back, from devices it was sent to.
	Retract(ctx context.Context, c Credentials, tokens []Token, id string) []Outcome
}

// Deps are what every vendor is made of.
type Deps struct {
	// BaseURL replaces the scheme and host of every address of the vendor, with a path in front: a simulator. Empty:
	// the vendor's own addresses.
	BaseURL string
	// Transport of the calls; nil: HTTP/2 where the vendor has it, with verified TLS.
	Transport http.RoundTripper
	// Allow are networks that may be called although they are not public, by vendors whose addresses come from devices.
	Allow []netip.Prefix
	Clock clock.Clock
}

// Traits of a vendor.
type Traits struct {
	Name Name
	// Batch is the most tokens of one Send.
	Batch int
	// Parallel is how many Sends of one account may be under way at once.
	Parallel int
	// Rate is what the vendor allows an account, and in which unit. It is a default: credentials may say that more was agreed.
	Rate Rate
	// Idempotent: the vendor drops or replaces a repetition of the same Message.ID, so Unknown can be repeated.
	Idempotent bool
	// Kinds the vendor carries.
	Kinds []Kind
	// MaxTTL is the longest time a vendor keeps a message. Longer ones are cut to it by the vendor's package.
	MaxTTL time.Duration
	// Marketing is how many messages of class Marketing the vendor shows a device of one app on a day; 0: any number. The day
	// is one of Asia/Shanghai.
	Marketing int
}

// Rate is a limit in the vendor's unit.
type Rate struct {
	// PerSecond allowed on average, and at once.
	PerSecond int
	Unit      Unit
}

// Unit of a Rate.
type Unit uint8

// Units.
const (
	// Requests: each Send counts once, however many tokens it has.
	Requests Unit = iota
	// Messages: each token counts.
	Messages
)
