package push

import (
	"net/http"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web/compat"
)

// paid guards a call that the vendor sells.
func paid(h gate.Handler) gate.Handler {
	return func(w http.ResponseWriter, r *http.Request, app *gate.App) {
		if err := app.RequirePaid(); err != nil {
			compat.WriteError(w, err, errReportInternal)
			return
		}
		h(w, r, app)
	}
}

// own adds up the platforms that the vendor counts under its own channel of Android: that, and with us those it does not
// know. nil: none of them was addressed.
func (f *Funnel) own() *Counts {
	var sum *Counts
	for _, p := range []audience.Platform{audience.Android, audience.Web, audience.Desktop, audience.IoT} {
		if c, addressed := f.ByPlatform[p]; addressed {
			if sum == nil {
				sum = new(Counts)
			}
			sum.add(c)
		}
	}
	return f.without(sum, append(androidVendors(), wire.WebPush)...)
}

// on is what became of the message on our own channel of one platform, nil if it was not addressed.
func (f *Funnel) on(p audience.Platform) *Counts {
	c, addressed := f.ByPlatform[p]
	if !addressed {
		return nil
	}
	switch p {
	case audience.IOS:
		return f.without(&c, wire.APNs)
	case audience.HMOS:
		return f.without(&c, wire.HMOS)
	}
	return &c
}

// androidVendors are the channels that the vendor reports as those of Android.
func androidVendors() []wire.Name {
	return []wire.Name{wire.Xiaomi, wire.Huawei, wire.Honor, wire.Meizu, wire.OPPO, wire.Vivo, wire.FCM}
}

// without takes off what vendors' channels took over.
func (f *Funnel) without(c *Counts, vendors ...wire.Name) *Counts {
	if c == nil {
		return nil
	}
	for _, name := range vendors {
		v := f.ByChannel[name]
		// A device may have been sent the message by us before the vendor took over.
		c.Targets, c.Sent = c.Targets-v.Sent, max(c.Sent-v.Delivered, 0)
		c.Delivered, c.Displayed, c.Clicked = c.Delivered-v.Delivered, c.Displayed-v.Displayed, c.Clicked-v.Clicked
	}
	return c
}

// through is what became of the message on vendors' channels, nil if none of them was used.
func (f *Funnel) through(vendors ...wire.Name) *Counts {
	var sum *Counts
	for _, name := range vendors {
		if c, used := f.ByChannel[name]; used {
			if sum == nil {
				sum = new(Counts)
			}
			sum.add(c)
		}
	}
	return sum
}

// clicks divides the clicks as the vendor does: on the notification, or on a custom message.
func (f *Funnel) clicks(c *Counts) (click, msgClick *int64) {
	if f.Notification {
		return &c.Clicked, nil
	}
	return nil, &c.Clicked
}

// The old report by message.
type oldMessage struct {
	MsgID    string      `json:"msg_id"`
	Android  *oldAndroid `json:"android"`
	IOS      *oldIOS     `json:"ios"`
	WinPhone *struct{}   `json:"winphone"`
}

type oldAndroid struct {
	Received   int64  `json:"received"`
	Target     int64  `json:"target"`
	OnlinePush *int64 `json:"online_push"`
	Click      *int64 `json:"click"`
	MsgClick   *int64 `json:"msg_click"`
}

type oldIOS struct {
	APNsSent     *int64 `json:"apns_sent"`
	APNsTarget   *int64 `json:"apns_target"`
	APNsReceived *int64 `json:"apns_received"`
	Click        *int64 `json:"click"`
	Target       int64  `json:"target"`
	Received     int64  `json:"received"`
}

func (s *Service) compatMessages(w http.ResponseWriter, r *http.Request, app *gate.App) {
	s.reportFunnels(w, r, app, func(f Funnel) any {
		row := oldMessage{MsgID: FormatID(f.Msg)}
		if c := f.own(); c != nil {
			click, msgClick := f.clicks(c)
			row.Android = &oldAndroid{Received: c.Delivered, Target: c.Targets, Click: click, MsgClick: msgClick}
		}
		if c := f.on(audience.IOS); c != nil {
			row.IOS = &oldIOS{Target: c.Targets, Received: c.Delivered, Click: &c.Clicked}
			if apns := f.through(wire.APNs); apns != nil {
				row.IOS.APNsSent, row.IOS.APNsTarget, row.IOS.APNsReceived = &apns.Sent, &apns.Targets, &apns.Delivered
			}
		}
		return row
	})
}

// stages is the funnel of one channel.
type stages struct {
	Target   int64 `json:"target"`
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
	Display  int64 `json:"display"`
	Click    int64 `json:"click"`
}

func stagesOf(c *Counts) *stages {
	if c == nil {
		return nil
	}
	return &stages{c.Targets, c.Sent, c.Delivered, c.Displayed, c.Clicked}
}

// byChannel are the funnels of the channels of a platform, by the vendor's names.
type byChannel map[string]*stages

// channels are the own channel of a platform and those of vendors that were used.
func (f *Funnel) channels(own string, c *Counts, vendors map[string]wire.Name) byChannel {
	if c == nil {
		return nil
	}
	out := byChannel{own: stagesOf(c)}
	for name, vendor := range vendors {
		if c := f.through(vendor); c != nil {
			out[name] = stagesOf(c)
		}
	}
	return out
}

// detailKind is a funnel of one kind of message by platform and channel. Platforms that were not addressed are left out.
type detailKind struct {
	stages
	Android  byChannel `json:"sub_android,omitempty"`
	IOS      byChannel `json:"sub_ios,omitempty"`
	QuickApp byChannel `json:"sub_quickapp,omitempty"`
	HMOS     byChannel `json:"sub_hmos,omitempty"`
}

type details struct {
	Notification *detailKind `json:"notification,omitempty"`
	Message      *detailKind `json:"message,omitempty"`
	InApp        *detailKind `json:"inapp,omitempty"`
	LiveActivity *detailLive `json:"live_activity,omitempty"`
}

// detailLive is the funnel of a live activity, which iOS alone has.
type detailLive struct {
	stages

	IOS *stages `json:"sub_ios,omitempty"`
}

func namesOf(vendors []wire.Name) map[string]wire.Name {
	out := make(map[string]wire.Name, len(vendors))
	for _, name := range vendors {
		out[string(name)] = name
	}
	return out
}

func detailsOf(f *Funnel) details {
	kind := &detailKind{
		stages: *stagesOf(&f.Total), Android: f.channels("jg_android", f.own(), namesOf(androidVendors())),
		IOS:      f.channels("jg_ios", f.on(audience.IOS), map[string]wire.Name{"apns": wire.APNs}),
		QuickApp: f.channels("quick_jg", f.on(audience.QuickApp), nil),
		HMOS:     f.channels("jg_hmos", f.on(audience.HMOS), map[string]wire.Name{"hmpns": wire.HMOS}),
	}
	switch {
	case f.Live:
		return details{LiveActivity: &detailLive{stages: *stagesOf(&f.Total), IOS: stagesOf(f.on(audience.IOS))}}
	case f.InApp:
		return details{Notification: kind, InApp: kind}
	case f.Notification:
		return details{Notification: kind}
	}
	return details{Message: kind}
}

// The blocks of the report before 2021, which older clients read.
type (
	oldOwn struct {
		Target     int64  `json:"target"`
		OnlinePush *int64 `json:"online_push"`
		Sent       int64  `json:"sent"`
		Received   int64  `json:"received"`
		Display    int64  `json:"display"`
		Click      *int64 `json:"click"`
		MsgClick   *int64 `json:"msg_click"`
	}
	oldApple struct {
		APNsTarget   *int64 `json:"apns_target"`
		APNsSent     *int64 `json:"apns_sent"`
		APNsReceived *int64 `json:"apns_received"`
		APNsClick    *int64 `json:"apns_click"`
		APNsDisplay  *int64 `json:"apns_display"`
		MsgTarget    int64  `json:"msg_target"`
		MsgReceived  int64  `json:"msg_received"`
		MsgClick     int64  `json:"msg_click"`
		MsgDisplay   int64  `json:"msg_display"`
	}
	oldQuickApp struct {
		Target     int64  `json:"target"`
		OnlinePush *int64 `json:"online_push"`
		Received   int64  `json:"received"`
		Click      *int64 `json:"click"`
		MsgClick   *int64 `json:"msg_click"`
	}
	oldVendor struct {
		Target   *int64 `json:"pns_target"`
		Sent     *int64 `json:"pns_sent"`
		Received *int64 `json:"pns_received"`
		Display  *int64 `json:"pns_display"`
	}
	oldHMOS struct {
		VendorTarget   *int64 `json:"hmpns_target"`
		VendorSent     *int64 `json:"hmpns_sent"`
		VendorReceived *int64 `json:"hmpns_received"`
		VendorClick    *int64 `json:"hmpns_click"`
		MsgTarget      int64  `json:"msg_target"`
		MsgReceived    int64  `json:"msg_received"`
		MsgClick       int64  `json:"msg_click"`
	}
)

// blocks are the old blocks of one message. Those of channels that were not used are null, except android_pns: the
// older Java client cannot read a null there, and drops the rows of a group that have none.
type blocks struct {
	JPush      *oldOwn   `json:"jpush"`
	AndroidPNS oldVendor `json:"android_pns"`
	IOS        *oldApple `json:"ios"`
}

func blocksOf(f *Funnel) blocks {
	var b blocks
	if c := f.own(); c != nil {
		click, msgClick := f.clicks(c)
		b.JPush = &oldOwn{Target: c.Targets, Sent: c.Sent, Received: c.Delivered, Display: c.Displayed, Click: click, MsgClick: msgClick}
	}
	if c := f.on(audience.IOS); c != nil {
		b.IOS = &oldApple{MsgTarget: c.Targets, MsgReceived: c.Delivered, MsgClick: c.Clicked, MsgDisplay: c.Displayed}
		if apns := f.through(wire.APNs); apns != nil {
			b.IOS.APNsTarget, b.IOS.APNsSent, b.IOS.APNsReceived = &apns.Targets, &apns.Sent, &apns.Delivered
			b.IOS.APNsClick, b.IOS.APNsDisplay = &apns.Clicked, &apns.Displayed
		}
	}
	if c := f.through(androidVendors()...); c != nil {
		b.AndroidPNS = oldVendor{Target: &c.Targets, Sent: &c.Sent, Received: &c.Delivered, Display: &c.Displayed}
	}
	return b
}

type messageDetail struct {
	blocks

	MsgID    string       `json:"msg_id"`
	Details  details      `json:"details"`
	QuickApp *oldQuickApp `json:"quickapp_jpush"`
}

func (s *Service) compatMessagesDetail(w http.ResponseWriter, r *http.Request, app *gate.App) {
	s.reportFunnels(w, r, app, func(f Funnel) any {
		row := messageDetail{MsgID: FormatID(f.Msg), Details: detailsOf(&f), blocks: blocksOf(&f)}
		if c := f.on(audience.QuickApp); c != nil {
			click, msgClick := f.clicks(c)
			row.QuickApp = &oldQuickApp{Target: c.Targets, Received: c.Delivered, Click: click, MsgClick: msgClick}
		}
		return row
	})
}

// groupDetail is the report of a push to a group. Clients know its number by one of two names.
type groupDetail struct {
	blocks

	GroupMsgID  string   `json:"group_msgid"`
	GroupMsgIDs string   `json:"group_msgids"`
	HMOS        *oldHMOS `json:"hmos"`
}

func groupDetailOf(id int64, f *Funnel) groupDetail {
	row := groupDetail{GroupMsgID: FormatID(id), GroupMsgIDs: FormatID(id), blocks: blocksOf(f)}
	if c := f.on(audience.HMOS); c != nil {
		row.HMOS = &oldHMOS{MsgTarget: c.Targets, MsgReceived: c.Delivered, MsgClick: c.Clicked}
		if v := f.through(wire.HMOS); v != nil {
			row.HMOS.VendorTarget, row.HMOS.VendorSent, row.HMOS.VendorReceived, row.HMOS.VendorClick = &v.Targets, &v.Sent, &v.Delivered, &v.Clicked
		}
	}
	return row
}
