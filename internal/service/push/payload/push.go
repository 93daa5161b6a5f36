package payload

import (
	"encoding/json"
	"time"

	"borealis/internal/kernel/web/compat"
)

// The vendor's limits, used where Rules leaves a field zero.
const (
	DefaultMaxTTL       = 10 * 24 * time.Hour
	DefaultTTL          = 24 * time.Hour
	DefaultIOSLimit     = 3584
	DefaultAndroidLimit = 4000
)

// Rules are what differs from app to app and from call to call. The zero value is the vendor's behaviour without a
// check of the cid's owner.
type Rules struct {
	// StrictKeys refuses unknown keys (1009) inside options and third_party_channel too, where they are dropped
	// otherwise. Everywhere else unknown keys are always refused.
	StrictKeys bool
	// MaxTTL is what a longer time_to_live is cut to; 0 is DefaultMaxTTL.
	MaxTTL time.Duration
	// DefaultTTL is the time to live of a push that names none; 0 is DefaultTTL. It is cut to MaxTTL as well.
	DefaultTTL time.Duration
	// IOSLimit bounds notification.ios in bytes as sent; 0 is DefaultIOSLimit.
	IOSLimit int
	// AndroidLimit bounds the notification of every other platform together with the message, and the message alone,
	// in bytes as sent; 0 is DefaultAndroidLimit.
	AndroidLimit int
	// AppKey is what a cid must begin with; empty skips that check.
	AppKey string
	// IgnoreCID leaves the cid out, as is right for the push inside a schedule.
	IgnoreCID bool
}

func (r Rules) withDefaults() Rules {
	if r.MaxTTL <= 0 {
		r.MaxTTL = DefaultMaxTTL
	}
	if r.DefaultTTL <= 0 {
		r.DefaultTTL = DefaultTTL
	}
	r.DefaultTTL = min(r.DefaultTTL, r.MaxTTL)
	if r.IOSLimit <= 0 {
		r.IOSLimit = DefaultIOSLimit
	}
	if r.AndroidLimit <= 0 {
		r.AndroidLimit = DefaultAndroidLimit
	}
	return r
}

// Push is an accepted push object. It is not changed after Parse or Decode and may be read by many goroutines.
type Push struct {
	// CID is the idempotency key, empty if none was given.
	CID string
	// Platforms the push is addressed to; never empty.
	Platforms PlatformSet
	Audience  Audience
	Options   Options
	// HasNotification says that at least one platform has a notification; HasMessage, that there is a custom message.
	HasNotification, HasMessage bool
	// InApp asks for a reminder inside the app for users who turned notifications off.
	InApp bool
	// SMS is the SMS supplement, nil if there is none.
	SMS *SMS
	// Callback routes the receipts of this push, nil if the app's settings hold.
	Callback *Callback
	// Dropped names unknown keys that were left out, by path; at most 16. It is for the log and not kept in Raw.
	Dropped []string
	// Raw is the canonical JSON of the push. It must not be changed.
	Raw json.RawMessage

	views views
}

// Audience says who gets a push. Lists that are present are intersected. An empty Audience (only possible when
// Options.Geofence is set) selects nobody by itself.
type Audience struct {
	// All is `"audience":"all"`.
	All bool
	// Tag is a union, TagAnd an intersection, TagNot the complement of a union. At most 20 each.
	Tag, TagAnd, TagNot []string
	// Alias and RegistrationID are unions of at most 1,000; registration ids are only known to be 1 to 64 bytes.
	Alias, RegistrationID []string
	// Segment and ABTest have at most one element.
	Segment, ABTest []string
	// LiveActivityID and FileID stand alone: no other field is set beside them.
	LiveActivityID, FileID string
}

// Options are the delivery options with their defaults filled in.
type Options struct {
	// SendNo is echoed in the answer; 0 if none was given (0 itself is not accepted).
	SendNo int64
	// TTL is how long the push is kept for devices that are away; 0 addresses only those connected now.
	TTL time.Duration
	// OverrideID is the id of the push that this one replaces, 0 for none. Whether it exists is for the caller.
	OverrideID int64
	// APNsProduction chooses the APNs environment; true by default.
	APNsProduction bool
	// APNsCollapseID is at most 64 bytes.
	APNsCollapseID string
	// BigPushDuration spreads the push over so many minutes, 1 to 1400; 0 is off.
	BigPushDuration int
	// Classification is 0 for marketing, 1 for system messages.
	Classification int
	// TargetEvent are the conversion events counted for this push.
	TargetEvent []string
	// ReceiptID is the receipt profile of Huawei and HarmonyOS.
	ReceiptID string
	// BusinessOperationCode is the name of a push plan.
	BusinessOperationCode string
	// PortalTask is the console's note about what the push belongs to.
	PortalTask string
	// Notification3rdVersion is 1 or 2.
	Notification3rdVersion int
	// ActivePush delivers when the screen is turned on between 07:00 and 22:00; NeedBackup, only with it, delivers in
	// the ordinary way when the time to live has passed.
	ActivePush, NeedBackup bool
	// TestMessage marks a test for the vendors; TestModel delivers to test devices only.
	TestMessage, TestModel bool
	// AlternateSet uses the fallback texts of personalised copy.
	AlternateSet bool
	// AutoTruncation cuts texts that are too long for a vendor; true by default.
	AutoTruncation bool
	// MktEnable uses the paid quota of a vendor.
	MktEnable bool
	// NotificationSwitchFilter skips users who turned notifications off.
	NotificationSwitchFilter bool
	// Geofence and ThirdPartyChannel are canonical JSON objects, nil if absent.
	Geofence, ThirdPartyChannel json.RawMessage
}

// SMS is the SMS supplement of a push.
type SMS struct {
	// TemplateID is positive; SignID is 0 for the default signature.
	TemplateID, SignID int64
	// Delay is how long the push may take before the SMS is sent, 0 to 24 h; with 0 both go out together.
	Delay time.Duration
	// Params are the template's parameters, a canonical JSON object or nil.
	Params json.RawMessage
	// ActiveFilter is true by default.
	ActiveFilter bool
}

// Callback routes the receipts of one push.
type Callback struct {
	// URL is empty if the app's own holds.
	URL string
	// Params are returned in each receipt, a canonical JSON object or nil.
	Params json.RawMessage
	// Type is a mask: 1 delivered, 2 clicked, 4 not delivered, 8 accepted. 0 is everything the app has enabled.
	Type int
}

// Parse reads and checks a push object as a client sent it. An error is always a *compat.Error. The Push keeps nothing
// of body.
func Parse(body []byte, rules Rules) (*Push, error) {
	return parse(body, rules, false)
}

// Decode reads back a Push.Raw. It skips what Parse has checked then and may hold no longer (sizes, the owner of the
// cid, keys of older versions); what it cannot read at all is an error as of Parse.
func Decode(raw []byte, rules Rules) (*Push, error) {
	return parse(raw, rules, true)
}

func parse(body []byte, rules Rules, kept bool) (*Push, error) {
	if len(body) > MaxBody {
		return nil, compat.Errorf(400, codeSize, "body must not be larger than %d bytes", MaxBody)
	}
	if blank(body) {
		return nil, compat.Errorf(400, codeMissing, "body is required")
	}
	nodes, err := scan(body)
	if err != nil {
		return nil, compat.Errorf(400, codeInvalid, "body is not valid JSON: %s", err)
	}
	switch root := nodes[0]; {
	case root.kind == kindNull:
		return nil, compat.Errorf(400, codeMissing, "body is required")
	case root.kind == kindObject || root.emptyArray():
	default:
		return nil, compat.Errorf(400, codeInvalid, "body must be a JSON object")
	}
	c := checker{
		src: body, nodes: nodes, out: make([]byte, 0, len(body)+32),
		push: &Push{}, rules: rules.withDefaults(), kept: kept,
	}
	return c.check()
}

func blank(body []byte) bool {
	for _, b := range body {
		if b != ' ' && b != '\t' && b != '\n' && b != '\r' {
			return false
		}
	}
	return true
}
