package borealis

import "fmt"

// Kind is what happened.
type Kind string

// Kinds of events.
const (
	// Waiting: Run waits for Consent.
	Waiting Kind = "waiting"
	// Registered: the server gave the device its identity, Event.RegistrationID.
	Registered Kind = "registered"
	// Connected: messages can come.
	Connected Kind = "connected"
	// Disconnected: the connection ended, Event.Err says why. Run connects again.
	Disconnected Kind = "disconnected"
	// TakenOver: another connection of this identity replaced this one; Run returns ErrTakenOver.
	TakenOver Kind = "taken_over"
	// Refused: the server refused *RefusedError what it would refuse again.
	Refused Kind = "refused"
	// Trouble: Event.Err is worth a line in a log.
	Trouble Kind = "error"
)

// Event is something that happened to the client.
type Event struct {
	Kind Kind
	// RegistrationID of Registered.
	RegistrationID string
	// Err of Disconnected, Refused (a *RefusedError) and Trouble.
	Err error
}

// What was refused, in RefusedError.
const (
	WhatRegister = "register"
	WhatConnect  = "connect"
	WhatEvents   = "events"
	WhatProfile  = "profile"
	WhatToken    = "token"
)

// RefusedError is a refusal by the server.
type RefusedError struct {
	// What was refused: register, connect, events, profile or token.
	What string
	// Code is an HTTP status (register) or an MQTT reason code.
	Code int
	// Reason is the server's explanation, if it gave one.
	Reason string
}

// Error implements error.
func (e *RefusedError) Error() string {
	text := fmt.Sprintf("%s refused with %d", e.What, e.Code)
	if e.What != WhatRegister {
		text = fmt.Sprintf("%s refused with 0x%02X", e.What, e.Code)
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

func (c *Client) emit(e Event) {
	if c.o.OnEvent != nil {
		c.o.OnEvent(e)
	}
}

func (c *Client) trouble(err error) { c.emit(Event{Kind: Trouble, Err: err}) }
