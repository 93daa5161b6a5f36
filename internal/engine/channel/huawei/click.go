package huawei

import (
	"strings"

	"borealis/internal/engine/channel/wire"
)

// clickAction is what a touch does.
type clickAction struct {
	Type   int    `json:"type"`
	Intent string `json:"intent,omitempty"`
	URL    string `json:"url,omitempty"`
	Action string `json:"action,omitempty"`
}

// Types of a clickAction.
const (
	openPage = 1
	openURL  = 2
	openApp  = 3
)

// newClick is the action of a click. An activity needs the app's package, and opens the app without it.
func newClick(c wire.Click, pkg string) clickAction {
	switch {
	case c.Action != "":
		return clickAction{Type: openPage, Action: c.Action}
	case c.Activity != "" && pkg != "":
		return clickAction{Type: openPage, Intent: "intent:#Intent;component=" + pkg + "/" + c.Activity + ";end"}
	case strings.HasPrefix(c.URL, "https://"):
		return clickAction{Type: openURL, URL: c.URL}
	case strings.HasPrefix(c.URL, "intent:"):
		if strings.Contains(c.URL, "action=android.intent.action.MAIN;") {
			return clickAction{Type: openApp}
		}
		return clickAction{Type: openPage, Intent: c.URL}
	}
	if scheme, rest, ok := strings.Cut(c.URL, "://"); ok && scheme != "" {
		// A deep link, written the way Push Kit takes it.
		return clickAction{Type: openPage, Intent: "intent://" + rest + "#Intent;scheme=" + scheme + ";end"}
	}
	return clickAction{Type: openApp}
}
