package wire

import (
	"encoding/json"
	"strings"
	"time"
)

// Kind says what a message is for the device. The texts are stored.
type Kind string

// Kinds.
const (
	// Notification is shown by the system, without the app running.
	Notification Kind = "notification"
	// Data is handed to the app, which is started for it where the vendor does that.
	Data Kind = "data"
	// VoIP wakes the app for a call: PushKit, and the vendors' *_push_type 3 or push_type 10.
	VoIP Kind = "voip"
	// Live updates a live activity (APNs) or a live view (the vendors' *_push_type 7 and hm_payload).
	Live Kind = "live"
)

// Class of a message. Vendors treat a wrong one as an offence.
type Class uint8

// Classes, with the numbers of options.classification.
const (
	Marketing Class = 0
	System    Class = 1
)

// IDKey is the key under which every vendor message carries Message.ID to the app, beside its extras: a JSON number for APNs, text
// elsewhere. The device SDKs use it for receipts and to show a message once.
const IDKey = "_j_msgid"

// ReadID is the Message.ID in a text that came back from a vendor, "" if it can be none.
func ReadID(text string) string {
	if len(text) > 20 || strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		return ""
	}
	return text
}

// Message is one push for devices of one channel, in terms that are common to the vendors. It is not changed after it was
// made. Zero values mean that the caller said nothing.
type Message struct {
	// ID of the message: decimal digits. It is what vendors are given to drop repetitions and what receipts name.
	ID   string
	Kind Kind
	// Title and Body of a Notification; of Data the title and the content of the custom message.
	Title, Body string
	// ContentType of Data.
	ContentType string
	// Extras are the app's own keys, a JSON object or nil.
	Extras json.RawMessage
	// TTL is how long the vendor is to keep the message, at least a second.
	TTL time.Duration
	// Replaces is the ID of the message whose notification this one replaces, else "".
	Replaces string
	Class    Class
	// Category is the vendor's message category (Huawei IM, VOIP, …; vivo IM, …), ChannelID the notification channel on the device.
	Category, ChannelID string
	// Priority is -2 to 2, as in notification.android.
	Priority int
	// Sound is the name of a sound file of the app without its ending.
	Sound string
	// SoundDuration is how long HarmonyOS plays Sound, 1 to 60 seconds; 0: once.
	SoundDuration int
	Badge         Badge
	Click         Click
	Style         Style
	// LargeIcon and SmallIcon are addresses of pictures.
	LargeIcon, SmallIcon string
	// Foreground says whether it is shown while the app is in front; nil: yes.
	Foreground *bool
	// ReceiptID is the receipt profile (Huawei, HarmonyOS) or callback id (vivo).
	ReceiptID string
	// Test marks a test message for the vendor.
	Test bool
	// Truncate cuts texts that are too long for the vendor.
	Truncate bool
	// Apple is what APNs gets; nil for the other channels.
	Apple *Apple
	// Options is the vendor's object of third_party_channel, nil if there is none. What it says is stronger than the fields above, as
	// field by field in docs/channels.
	Options json.RawMessage
	// Payload is content in the vendor's own shape that is passed through: hm_payload or extra_data of HarmonyOS. nil if there is none.
	Payload json.RawMessage
	// PushType is the push_type of notification.hmos.
	PushType int
	// CallbackURL is where the vendor shall report what became of the message, for vendors that are told with each
	// message. Empty: nowhere.
	CallbackURL string
}

// Badge is a change of the number at the app's icon. At most one of the two is set.
type Badge struct {
	// Add is 1 to 99; 0: nothing.
	Add int
	// Set is 0 to 99; nil: nothing.
	Set *int
	// Class is the activity that launchers draw the number at.
	Class string
}

// Click says what a touch opens: at most one is set, none opens the app.
type Click struct {
	// URL is an intent: URI, a deep link, or (HarmonyOS) an action; Activity the class name of an activity, Action the action of one.
	URL, Activity, Action string
}

// MainIntent stands in pushes for "open the app".
const MainIntent = "intent:#Intent;action=android.intent.action.MAIN;end"

// Style of a notification: at most one is set.
type Style struct {
	BigText    string
	Inbox      []string
	BigPicture string
}

// Apple is a message in the terms of APNs. Values are JSON, nil if absent.
type Apple struct {
	// Alert is a text or an object with the keys of APNs.
	Alert json.RawMessage
	// Sound is a text or the object of a critical alert.
	Sound json.RawMessage
	// Badge is the number to set; nil leaves it. Steps ("+1") have been resolved by who knows the device's number.
	Badge                                 *int
	ContentAvailable, MutableContent      bool
	Category, ThreadID, InterruptionLevel string
	// CollapseID is at most 64 bytes.
	CollapseID string
	// Live is the `ios` object of live_activity, VoIP the object of notification.voip.
	Live, VoIP json.RawMessage
}
