package smswire

import (
	"context"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
)

// Message is one text message.
type Message struct {
	// ID of the push that it supplements, decimal digits; providers that can echo it do.
	ID string
	// Mobile is a number as E.164 has it: "+8613800138000".
	Mobile string
	// Template and Sign are the app's numbers for a template and a signature, which its credentials map to the provider's. 0 is the
	// app's default signature.
	Template, Sign int64
	// Parameters of the template by name.
	Parameters map[string]string
}

// Provider is one service that sends text messages. It is safe for concurrent use.
type Provider interface {
	Traits() Traits
	// Parse reads what an app's owner entered: a JSON object with the fields that docs/channels/sms.md names. The error is a
	// *wire.FieldError. It makes no call.
	Parse(raw []byte) (Credentials, error)
	// Send hands messages to the provider; see the package comment. c is of this provider's Parse.
	Send(ctx context.Context, c Credentials, messages []Message) []wire.Outcome
}

// Credentials are what an app has at a provider, read and checked. A value is never changed and may be used by many goroutines.
type Credentials interface {
	wire.Credentials
	// Check says whether a message can be sent: nil, or a *wire.FieldError that names temp_id, signid, temp_para or mobile.
	Check(m *Message) error
}

// Traits of a provider.
type Traits struct {
	Name string
	// Batch is the most messages of one Send, Parallel how many Sends of one account may be under way at once.
	Batch, Parallel int
	// Rate is what the provider allows an account.
	Rate wire.Rate
	// Idempotent: a repetition with the same Message.ID and Mobile is dropped by the provider.
	Idempotent bool
}

// Mobile reads a number: E.164, or a Chinese one of 11 digits without country. "" if it is none.
func Mobile(text string) string {
	if len(text) == 11 && text[0] == '1' {
		text = "+86" + text
	}
	digits, ok := strings.CutPrefix(text, "+")
	if !ok || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return ""
	}
	if local, chinese := strings.CutPrefix(digits, "86"); chinese && (len(local) != 11 || local[0] != '1') {
		return ""
	}
	return text
}

// IsChinese says whether a number of Mobile is one of mainland China.
func IsChinese(mobile string) bool { return strings.HasPrefix(mobile, "+86") }

// Flow is the outcome for a number that got too many messages: per says of which time. Providers count a day from midnight, Beijing time.
func Flow(per time.Duration, now time.Time, code, reason string) wire.Outcome {
	o := wire.NewOutcome(wire.Quota, code, reason)
	o.After = per
	if per >= 24*time.Hour {
		o.After = wire.UntilHour(now, 0)
	}
	return o
}
