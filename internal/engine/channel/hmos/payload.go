package hmos

import "encoding/json"

// Kinds of messages, the values of push-type.
const (
	alert      = 0
	form       = 1
	speech     = 2
	background = 6
	liveView   = 7
	call       = 10
)

// request is the body of messages:send.
type request struct {
	Payload any         `json:"payload"`
	Options pushOptions `json:"pushOptions"`
	Target  target      `json:"target"`
}

type pushOptions struct {
	TestMessage bool   `json:"testMessage,omitempty"`
	TTL         int64  `json:"ttl"`
	BiTag       string `json:"biTag,omitempty"`
	ReceiptID   string `json:"receiptId,omitempty"`
}

type target struct {
	Token []string `json:"token"`
}

// payload of the kinds that are not passed through.
type payload struct {
	Notification *notification `json:"notification,omitempty"`
	ExtraData    string        `json:"extraData,omitempty"`
}

type notification struct {
	Category       string      `json:"category"`
	Title          string      `json:"title"`
	Body           string      `json:"body"`
	Image          string      `json:"image,omitempty"`
	Style          int         `json:"style,omitempty"`
	Inbox          []string    `json:"inboxContent,omitempty"`
	NotifyID       int         `json:"notifyId"`
	AppMessageID   string      `json:"appMessageId,omitempty"`
	ClickAction    clickAction `json:"clickAction"`
	Badge          *badge      `json:"badge,omitempty"`
	Sound          string      `json:"sound,omitempty"`
	SoundDuration  int         `json:"soundDuration,omitempty"`
	ForegroundShow *bool       `json:"foregroundShow,omitempty"`
}

type clickAction struct {
	Type   int                        `json:"actionType"`
	Action string                     `json:"action,omitempty"`
	URI    string                     `json:"uri,omitempty"`
	Data   map[string]json.RawMessage `json:"data,omitempty"`
}

type badge struct {
	Add int  `json:"addNum,omitempty"`
	Set *int `json:"setNum,omitempty"`
}

// revocation is the body of messages:revoke.
type revocation struct {
	NotifyID int      `json:"notifyId"`
	Token    []string `json:"token"`
}
