// Package phone is the phones behind the simulated push services: who has which token, in which state, and what arrived.
// All simulators of one server share a Network.
package phone

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"

	"borealis/internal/kernel/clock"
)

// State of an app on a phone, as its vendor knows it.
type State string

// States. The zero value is Installed.
const (
	Installed State = ""
	// Uninstalled: the token is dead.
	Uninstalled State = "uninstalled"
	// Silent: notifications are switched off.
	Silent State = "silent"
	// Inactive: not used for so long that the vendor keeps messages back.
	Inactive State = "inactive"
)

// Notification is what a phone got.
type Notification struct {
	// ID of our message, of whatever field the vendor carries it in.
	ID    string `json:"id"`
	Title string `json:"title,omitempty"`
	Body  string `json:"body,omitempty"`
	// Data is what the app gets: the extras, or the whole of a data message.
	Data json.RawMessage `json:"data,omitempty"`
	// Tag: a notification takes the place of one with the same tag. Empty: its own.
	Tag string `json:"tag,omitempty"`
	// At is Unix milliseconds.
	At int64 `json:"at"`
}

// Phone is one app on one phone at one vendor.
type Phone struct {
	Channel string `json:"channel"`
	Token   string `json:"token"`
	State   State  `json:"state,omitempty"`
	// Got is everything that arrived, Screen what is still shown.
	Got    []Notification `json:"got"`
	Screen []Notification `json:"screen"`
}

// maxGot bounds what is remembered of one phone.
const maxGot = 10_000

// Network is all phones. It is safe for concurrent use.
type Network struct {
	clock clock.Clock

	mu     sync.Mutex
	phones map[key]*Phone
	// arrived is closed and made anew with each arrival.
	arrived chan struct{}
	// hear is called for each arrival, outside of the lock.
	hear func(channel, token string, n Notification)
}

type key struct{ channel, token string }

// NewNetwork returns a network without phones.
func NewNetwork(c clock.Clock) *Network {
	return &Network{clock: c, phones: make(map[key]*Phone), arrived: make(chan struct{})}
}

// Hear names a function that is called with everything that arrives.
func (n *Network) Hear(hear func(channel, token string, got Notification)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hear = hear
}

// Add makes a phone; an empty token is made up: 64 hex digits.
func (n *Network) Add(channel, token string) string {
	if token == "" {
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		token = hex.EncodeToString(b)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.phones[key{channel, token}] = &Phone{Channel: channel, Token: token}
	return token
}

// SetState changes a phone's state; it makes the phone if there is none.
func (n *Network) SetState(channel, token string, s State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.phones[key{channel, token}]
	if p == nil {
		p = &Phone{Channel: channel, Token: token}
		n.phones[key{channel, token}] = p
	}
	p.State = s
}

// Find is a copy of a phone.
func (n *Network) Find(channel, token string) (Phone, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.phones[key{channel, token}]
	if p == nil {
		return Phone{}, false
	}
	c := *p
	c.Got, c.Screen = slices.Clone(p.Got), slices.Clone(p.Screen)
	return c, true
}

// All is a copy of all phones of a channel, in the order of their tokens; "" is every channel.
func (n *Network) All(channel string) []Phone {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []Phone
	for k, p := range n.phones {
		if channel == "" || k.channel == channel {
			c := *p
			c.Got, c.Screen = slices.Clone(p.Got), slices.Clone(p.Screen)
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Phone) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Token, b.Token))
	})
	return out
}

// Deliver brings a notification to a phone, which shows it in place of one with the same tag. It reports whether there is such a
// phone with the app on it. A silent phone gets it and shows nothing.
func (n *Network) Deliver(channel, token string, got Notification) bool {
	n.mu.Lock()
	p := n.phones[key{channel, token}]
	if p == nil || p.State == Uninstalled {
		n.mu.Unlock()
		return false
	}
	got.At = clock.Millis(n.clock.Now())
	if len(p.Got) < maxGot {
		p.Got = append(p.Got, got)
	}
	if p.State != Silent && (got.Title != "" || got.Body != "") {
		p.Screen = slices.DeleteFunc(p.Screen, func(s Notification) bool { return got.Tag != "" && s.Tag == got.Tag })
		if len(p.Screen) < maxGot {
			p.Screen = append(p.Screen, got)
		}
	}
	hear := n.hear
	close(n.arrived)
	n.arrived = make(chan struct{})
	n.mu.Unlock()
	if hear != nil {
		hear(channel, token, got)
	}
	return true
}

// Retract takes the notifications with a tag or an id off a phone's screen.
func (n *Network) Retract(channel, token, tagOrID string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.phones[key{channel, token}]
	if p == nil {
		return false
	}
	before := len(p.Screen)
	p.Screen = slices.DeleteFunc(p.Screen, func(s Notification) bool { return s.Tag == tagOrID || s.ID == tagOrID })
	return len(p.Screen) < before
}

// Arrived is closed when something arrives after this call.
func (n *Network) Arrived() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.arrived
}
