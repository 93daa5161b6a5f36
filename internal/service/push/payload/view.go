package payload

import (
	"encoding/json"

	"borealis/internal/engine/audience"
)

// The parts below are canonical JSON inside Raw, nil if absent, and must not be changed. They are what vendor channels
// build their own messages from.

// Alert is notification.alert, a JSON string.
func (p *Push) Alert() json.RawMessage { return p.views.alert.of(p.Raw) }

// Notification is the platform's object of the notification, without what it inherits from Alert.
func (p *Push) Notification(platform Platform) json.RawMessage {
	if platform >= audience.PlatformEnd {
		return nil
	}
	return p.views.platforms[platform].of(p.Raw)
}

// VoIP is notification.voip.
func (p *Push) VoIP() json.RawMessage { return p.views.voip.of(p.Raw) }

// Message is the custom message with the member names of the API (msg_content, …).
func (p *Push) Message() json.RawMessage { return p.views.message.of(p.Raw) }

// LiveActivity is live_activity. Such a push has neither a notification nor a custom message.
func (p *Push) LiveActivity() json.RawMessage { return p.views.liveActivity.of(p.Raw) }

// Notification3rd is notification_3rd in the version of Options.Notification3rdVersion.
func (p *Push) Notification3rd() json.RawMessage { return p.views.third.of(p.Raw) }
