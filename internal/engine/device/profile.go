package device

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
)

// Actor is who changes a profile.
type Actor uint8

// Actors.
const (
	// ByServer: the app's backend, with the master secret.
	ByServer Actor = iota + 1
	// ByDevice: the device itself, with its own secret. What it says of its owner is unverified.
	ByDevice
)

// Tags is a change of a device's tags.
type Tags struct {
	// Replace: Add is all the tags there shall be.
	Replace     bool
	Add, Remove []string
}

// Silence is when notifications make no sound, in the device's time: "22:00" to "08:00" passes midnight.
type Silence struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// ProfileChange is a change of a device's profile. What is nil stays as it is.
type ProfileChange struct {
	Tags  *Tags
	Alias *string // "" unbinds
	// AliasSignature lets a device set an alias where the app reserves that to its backend: a signature with the claims
	// RegistrationID and Alias.
	AliasSignature string
	Mobile         *string // "" clears
	// Attributes are merged; a nil value deletes.
	Attributes map[string]*string
	Timezone   *string
	// PushEnabled: false takes the device out of all audiences, and what it is owed waits.
	PushEnabled *bool
	// NotificationsEnabled: whether the device shows notifications.
	NotificationsEnabled *bool
	Silence              *Silence // an empty one clears
	Consent              *Consent
}

// Profile is what is kept of a device.
type Profile struct {
	Platform             audience.Platform
	Tags                 []string // sorted
	Alias                string
	Mobile               string
	MobileVerified       bool
	Attributes           map[string]string
	Info                 Info
	PushEnabled          bool
	NotificationsEnabled bool
	Silence              *Silence
	Consent              *Consent
}

// Profile reads a device's profile. Refusal: UnknownDevice.
func (r *Registry) Profile(ctx context.Context, app int64, ordinal uint32) (Profile, error) {
	w, err := r.read(ctx, app, ordinal)
	if err != nil {
		return Profile{}, err
	}
	if err := r.Audience.Sync(ctx, app); err != nil { // the names of the tags
		return Profile{}, err
	}
	p := Profile{Platform: w.platform, Tags: r.Audience.Names(app, w.tags), Alias: w.alias, MobileVerified: w.verified,
		Info: w.info, PushEnabled: w.push, NotificationsEnabled: w.notify, Attributes: map[string]string{}}
	if w.mobile != "" {
		plain, err := r.Sealer.Open(w.mobile, mobileAAD(app, ordinal))
		if err != nil {
			return Profile{}, fmt.Errorf("device: open mobile number: %w", err)
		}
		p.Mobile = string(plain)
	}
	for _, f := range [...]struct {
		text string
		into any
	}{{w.attributes, &p.Attributes}, {w.silence, &p.Silence}, {w.consent, &p.Consent}} {
		if f.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(f.text), f.into); err != nil {
			return Profile{}, fmt.Errorf("device: decode profile: %w", err)
		}
	}
	return p, nil
}

func mobileAAD(app int64, ordinal uint32) []byte {
	return []byte("device/mobile/" + strconv.FormatInt(app, 10) + "/" + strconv.FormatUint(uint64(ordinal), 10))
}

// SetProfile changes a profile in one transaction. Refusals: Invalid, Denied (the app reserves aliases to its backend),
// AliasFull, TooManyTags, UnknownDevice.
func (r *Registry) SetProfile(ctx context.Context, app *gate.App, ordinal uint32, c ProfileChange, by Actor) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := r.mayAlias(ctx, app, ordinal, c, by); err != nil {
		return err
	}
	var mobile string
	if c.Mobile != nil && *c.Mobile != "" {
		var err error
		if mobile, err = r.Sealer.Seal([]byte(*c.Mobile), mobileAAD(app.ID, ordinal)); err != nil {
			return fmt.Errorf("device: seal mobile number: %w", err)
		}
	}
	var switchedOn bool
	err := r.edit(ctx, app, []uint32{ordinal}, func(ctx context.Context, e *editor) (func(*row) error, error) {
		return func(w *row) error {
			if c.Mobile != nil {
				w.mobile, w.verified = mobile, mobile != "" && by == ByServer
			}
			off := !w.push
			err := e.apply(ctx, w, c)
			switchedOn = off && w.push
			return err
		}, nil
	})
	if err == nil && switchedOn {
		r.offer(app.ID, ordinal)
	}
	return err
}

// offer lets a device that takes pushes again have what it is owed, if it is connected. A lost order is made good when it
// connects.
func (r *Registry) offer(app int64, ordinal uint32) {
	if r.Bus == nil {
		return
	}
	if err := r.Bus.Publish(edgewire.SubjectOffer, edgewire.Offer{App: app, Ordinals: []uint32{ordinal}}); err != nil {
		r.Log.Warn("device not offered what it is owed", "app", app, "err", err)
	}
}

// apply writes all of a change but the mobile number into a row.
func (e *editor) apply(ctx context.Context, w *row, c ProfileChange) error {
	if c.Tags != nil {
		t, err := e.tagEdit(ctx, *c.Tags)
		if err != nil {
			return err
		}
		if err := e.setTags(ctx, w, t); err != nil {
			return err
		}
	}
	if c.Alias != nil {
		if err := e.setAlias(ctx, w, *c.Alias); err != nil {
			return err
		}
	}
	if c.Timezone != nil {
		w.info.Timezone = *c.Timezone
	}
	if c.PushEnabled != nil {
		w.push = *c.PushEnabled
	}
	if c.NotificationsEnabled != nil {
		w.notify = *c.NotificationsEnabled
	}
	if c.Silence != nil {
		if w.silence = ""; *c.Silence != (Silence{}) {
			if err := encodeInto(&w.silence, c.Silence); err != nil {
				return err
			}
		}
	}
	if c.Consent != nil {
		if err := encodeInto(&w.consent, c.Consent); err != nil {
			return err
		}
	}
	return mergeAttributes(w, c.Attributes)
}

func encodeInto(to *string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("device: encode profile: %w", err)
	}
	*to = string(text)
	return nil
}

func mergeAttributes(w *row, change map[string]*string) error {
	if len(change) == 0 {
		return nil
	}
	all := map[string]string{}
	if w.attributes != "" {
		if err := json.Unmarshal([]byte(w.attributes), &all); err != nil {
			return fmt.Errorf("device: decode attributes: %w", err)
		}
	}
	for k, v := range change {
		if v == nil {
			delete(all, k)
		} else {
			all[k] = *v
		}
	}
	if len(all) > maxAttributes {
		return invalid("attributes", fmt.Sprintf("the device would have %d attributes, the most is %d", len(all), maxAttributes))
	}
	if len(all) == 0 {
		w.attributes = ""
		return nil
	}
	return encodeInto(&w.attributes, all)
}

// mayAlias: whoever holds the public AppKey could take another person's alias, so an app may reserve them.
func (r *Registry) mayAlias(ctx context.Context, app *gate.App, ordinal uint32, c ProfileChange, by Actor) error {
	if c.Alias == nil || by == ByServer || app.Settings.DeviceAlias == "device" {
		return nil
	}
	if c.AliasSignature == "" {
		return &Error{Kind: Denied, Field: "alias", Detail: "this app sets aliases from its backend only"}
	}
	claims, bad := verify(app, c.AliasSignature, r.Clock.Now())
	if bad != nil {
		return &Error{Kind: bad.Kind, Field: "alias_signature", Detail: bad.Detail}
	}
	named, err := r.named(ctx, app.ID, claims.RegistrationID)
	if err != nil {
		return err
	}
	if named != ordinal || claims.Alias != *c.Alias {
		return &Error{Kind: Denied, Field: "alias_signature", Detail: "is for another device or another alias"}
	}
	return nil
}

func (c *ProfileChange) check() error {
	if c.Tags != nil {
		if err := c.Tags.check(); err != nil {
			return err
		}
	}
	if c.Alias != nil && *c.Alias != "" {
		if err := audience.CheckAlias(*c.Alias); err != nil {
			return invalid("alias", err.Error())
		}
	}
	if c.Mobile != nil && *c.Mobile != "" {
		if err := checkMobile(*c.Mobile); err != nil {
			return err
		}
	}
	if err := checkAttributes(c.Attributes); err != nil {
		return err
	}
	if c.Timezone != nil {
		if err := checkTimezone("timezone", *c.Timezone); err != nil {
			return err
		}
	}
	if err := c.Silence.check(); err != nil {
		return err
	}
	return c.Consent.check()
}

func checkAttributes(change map[string]*string) error {
	if len(change) > maxAttributes {
		return invalid("attributes", fmt.Sprintf("must not have more than %d members", maxAttributes))
	}
	for k, v := range change {
		if k == "" || len(k) > maxAttributeKey {
			return invalid("attributes", fmt.Sprintf("names must have 1 to %d bytes", maxAttributeKey))
		}
		if !utf8.ValidString(k) {
			return invalid("attributes", "names must be valid UTF-8")
		}
		if v == nil {
			continue
		}
		if err := checkText("attributes."+k, *v, maxAttributeText); err != nil {
			return err
		}
	}
	return nil
}

func (s *Silence) check() error {
	if s == nil || *s == (Silence{}) {
		return nil
	}
	if !clockTime(s.From) {
		return invalid("silence.from", "must be a time of day such as 22:00")
	}
	if !clockTime(s.To) {
		return invalid("silence.to", "must be a time of day such as 08:00")
	}
	return nil
}

// Limits of one change of tags.
const (
	maxTagList      = 100
	maxTagListBytes = 1000
)

func (t *Tags) check() error {
	if t.Replace {
		// Replacing may set all the tags a device can have.
		return checkTags("tags.set", t.Add, MaxTags, MaxTags*audience.MaxNameBytes)
	}
	if err := checkTags("tags.add", t.Add, maxTagList, maxTagListBytes); err != nil {
		return err
	}
	return checkTags("tags.remove", t.Remove, maxTagList, maxTagListBytes)
}

func checkTags(field string, tags []string, limit, maxBytes int) error {
	if len(tags) > limit {
		return invalid(field, fmt.Sprintf("must not have more than %d tags", limit))
	}
	bytes := 0
	for i, t := range tags {
		if err := audience.CheckTag(t); err != nil {
			return invalid(fmt.Sprintf("%s[%d]", field, i), err.Error())
		}
		bytes += len(t)
	}
	if bytes > maxBytes {
		return invalid(field, fmt.Sprintf("must not have more than %d bytes in all", maxBytes))
	}
	return nil
}

func checkMobile(number string) error {
	digits := strings.TrimPrefix(number, "+")
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return invalid("mobile", "must be digits, with or without a leading +")
		}
	}
	if len(digits) < 5 || len(digits) > 20 {
		return invalid("mobile", "must have 5 to 20 digits")
	}
	return nil
}

// clockTime: "00:00" to "23:59".
func clockTime(s string) bool {
	return len(s) == 5 && s[2] == ':' && '0' <= s[1] && s[1] <= '9' && '0' <= s[4] && s[4] <= '9' &&
		('0' <= s[0] && s[0] <= '1' || s[0] == '2' && s[1] <= '3') && '0' <= s[3] && s[3] <= '5'
}
