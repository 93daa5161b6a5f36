package borealis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Errors of Run.
var (
	// ErrTakenOver: another connection of this identity replaced this one.
	ErrTakenOver = errors.New("borealis: another connection of this device took over")
	// ErrRunning: Run is running already.
	ErrRunning = errors.New("borealis: Run is running already")
)

// ErrTooMuch says that too much waits to be sent; the call changed nothing.
var ErrTooMuch = errors.New("borealis: too much waits to be sent")

// Client is a device. Its methods may be called from any goroutine.
type Client struct {
	o Options
	// changed is told that there may be something to send or to begin; hurry that the network may be back.
	changed, hurry chan struct{}
	handling       sync.Mutex // held while a message is handled
	ending         sync.Mutex // held while the server is told of an end

	mu      sync.Mutex
	state   *state
	running bool
	session *session // nil while there is none
	flight  flight
	apart   bool           // the pending profile is sent one member at a time, because it was refused as a whole
	failed  map[string]int // failures of OnMessage by Message.key
}

// flight is what was sent on the connection there is and is not acknowledged.
type flight struct {
	profile  *profile
	token    *Token
	receipts int // of the front of state.receipts
}

// New reads the storage. It causes no traffic; Run does.
func New(o Options) (*Client, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	st, err := load(o.Storage)
	if err != nil {
		return nil, err
	}
	return &Client{o: o, state: st, changed: make(chan struct{}, 1), hurry: make(chan struct{}, 1), failed: map[string]int{}}, nil
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// NetworkUp tells that the network may be back: a delay before the next attempt to connect is cut short.
func (c *Client) NetworkUp() { poke(c.hurry) }

// RegistrationID is the device's id, empty while it has none.
func (c *Client) RegistrationID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.identity.RegistrationID
}

// Consent records that the device's owner agreed: to which version of the terms, and to which purposes. It is kept.
func (c *Client) Consent(version string, purposes ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.state.identity
	id.Consent = &consent{version, append([]string{}, purposes...)}
	if id.InstallID == "" {
		id.InstallID = newUUID()
	}
	if err := c.storeIdentityLocked(id); err != nil {
		return err
	}
	if id.RegistrationID != "" {
		return c.sayLocked(profile{Consent: id.Consent})
	}
	poke(c.changed)
	return nil
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// SetTags replaces all tags of the device.
func (c *Client) SetTags(list ...string) error {
	set := append([]string{}, list...)
	return c.say(profile{Tags: &tags{Set: &set}})
}

// AddTags adds tags to the device's.
func (c *Client) AddTags(list ...string) error { return c.say(profile{Tags: &tags{Add: list}}) }

// RemoveTags takes tags from the device.
func (c *Client) RemoveTags(list ...string) error { return c.say(profile{Tags: &tags{Remove: list}}) }

// SetAlias binds the device to an alias; "" unbinds it. signature is the backend's, where the app demands it, else "".
func (c *Client) SetAlias(alias, signature string) error {
	return c.say(profile{Alias: &alias, AliasSignature: signature})
}

// SetAttributes merges attributes into the device's; a nil value deletes one.
func (c *Client) SetAttributes(values map[string]*string) error {
	return c.say(profile{Attributes: values})
}

// SetTimezone tells the device's time zone, an IANA name.
func (c *Client) SetTimezone(name string) error { return c.say(profile{Timezone: &name}) }

// SetNotificationsEnabled tells whether the system lets the program show notifications.
func (c *Client) SetNotificationsEnabled(enabled bool) error {
	return c.say(profile{NotificationsEnabled: &enabled})
}

// SetPushEnabled switches push off or on: while it is off, messages that come are acknowledged and not handed over.
func (c *Client) SetPushEnabled(enabled bool) error { return c.say(profile{PushEnabled: &enabled}) }

// SetSilence sets the hours in which messages are handed over with Silent; nil clears them.
func (c *Client) SetSilence(s *Silence) error {
	if err := s.check(); err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return c.say(profile{Silence: text})
}

func (c *Client) say(p profile) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sayLocked(p)
}

func (c *Client) sayLocked(p profile) error {
	w := c.state.words.clone()
	w.Said, w.Pending = w.Said.then(p), w.Pending.then(p)
	if t := w.Pending.Tags; len(w.Said.Attributes) > maxMembers || t != nil && (len(t.Add)+len(t.Remove) > maxTags || t.Set != nil && len(*t.Set) > maxTags) {
		return ErrTooMuch
	}
	if t := w.Said.Tags; t != nil && t.Set == nil { // what is not there need not be remembered
		w.Said.Tags = &tags{Add: t.Add}
	}
	if p.PushEnabled != nil {
		w.Off = !*p.PushEnabled
	}
	if p.Silence != nil {
		w.Silence = nil
		if err := json.Unmarshal(p.Silence, &w.Silence); err != nil {
			return err
		}
	}
	return c.storeWordsLocked(w)
}

// PutToken tells a vendor's token of the device; an empty one deletes it. What the server has is not sent again.
func (c *Client) PutToken(t Token) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.state.words.clone()
	pending, waits := w.PendingTokens[t.Channel]
	if known, ok := w.Tokens[t.Channel]; ok && known == t && (!waits || pending == t) {
		return nil
	}
	if w.Tokens == nil {
		w.Tokens = map[string]Token{}
	}
	if w.PendingTokens == nil {
		w.PendingTokens = map[string]Token{}
	}
	w.Tokens[t.Channel], w.PendingTokens[t.Channel] = t, t
	if len(w.Tokens) > maxMembers {
		return ErrTooMuch
	}
	return c.storeWordsLocked(w)
}

// storeWordsLocked keeps w: in the storage first, so that what a call said is not lost once it returned.
func (c *Client) storeWordsLocked(w words) error {
	stored := w
	if c.flight.profile != nil {
		stored.Pending = c.flight.profile.then(w.Pending)
	}
	if err := put(c.o.Storage, docProfile, stored); err != nil {
		return err
	}
	c.state.words = w
	poke(c.changed)
	return nil
}

func (c *Client) storeIdentityLocked(id identity) error {
	if err := put(c.o.Storage, docIdentity, id); err != nil {
		return err
	}
	c.state.identity = id
	return nil
}

// Displayed reports that a message was shown.
func (c *Client) Displayed(id string) error { return c.report(id, "displayed") }

// Clicked reports that the owner opened a message.
func (c *Client) Clicked(id string) error { return c.report(id, "clicked") }

// Dismissed reports that the owner put a message away.
func (c *Client) Dismissed(id string) error { return c.report(id, "dismissed") }

func (c *Client) report(id, event string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := receipt{id, event, c.serverNowLocked().UnixMilli()}
	if slices.ContainsFunc(c.state.receipts, func(o receipt) bool { return o.ID == id && o.Event == event }) {
		return nil
	}
	list := append(slices.Clone(c.state.receipts), r)
	dropped := max(0, len(list)-maxReceipts)
	list = list[dropped:]
	if err := put(c.o.Storage, docReceipts, list); err != nil {
		return err
	}
	c.state.receipts = list
	c.flight.receipts = max(0, c.flight.receipts-dropped)
	poke(c.changed)
	return nil
}

// serverNowLocked is the time by the server's clock.
func (c *Client) serverNowLocked() time.Time {
	return c.o.Now().Add(time.Duration(c.state.identity.Offset) * time.Millisecond)
}

// setOffset learns the server's clock.
func (c *Client) setOffset(serverTime int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.state.identity
	offset := serverTime - c.o.Now().UnixMilli()
	if d := offset - id.Offset; serverTime <= 0 || -1000 < d && d < 1000 { // not worth a write
		return
	}
	id.Offset = offset
	if err := c.storeIdentityLocked(id); err != nil {
		c.state.identity = id
	}
}

// End ends the registration: everything is forgotten at once, the consent too, and the server is told. If it cannot be
// reached, the error says so; Run then tells it before anything else.
func (c *Client) End(ctx context.Context) error {
	c.mu.Lock()
	old := c.state.identity
	id := identity{Ending: old.Ending}
	if old.RegistrationID != "" {
		id.Ending = &credentials{old.RegistrationID, old.Secret}
	}
	err := c.storeIdentityLocked(id)
	for _, name := range [...]string{docProfile, docReceipts, docSeen} {
		err = errors.Join(err, c.o.Storage.Remove(name))
	}
	c.state.words, c.state.receipts, c.state.seen, c.flight = words{}, nil, seen{}, flight{}
	s := c.session
	c.mu.Unlock()
	if s != nil {
		s.end(errReset)
	}
	poke(c.changed)
	return errors.Join(err, c.tellEnd(ctx))
}
