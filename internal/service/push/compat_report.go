package push

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

type pushVerb func(context.Context, *gate.App, *payload.Push) (Accepted, error)

// CompatReportRoutes names the report calls.
func (s *Service) CompatReportRoutes(handle func(pattern string, h gate.Handler)) {
	handle("GET /v3/received", s.compatReceived)
	handle("GET /v3/received/detail", s.compatReceivedDetail)
	handle("POST /v3/status/message", s.compatStatus)
	handle("GET /v3/messages", paid(s.compatMessages))
	handle("GET /v3/messages/detail", paid(s.compatMessagesDetail))
}

// errReportInternal is what a caller of the report API sees of a failure that is ours.
var errReportInternal = compat.Errorf(http.StatusInternalServerError, 10, "internal error")

// refuse answers with a domain error, or logs what it is not to say.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	compat.WriteError(w, s.known(r, err), errInternal)
}

// known makes a coded refusal of what has one; the rest is logged.
func (s *Service) known(r *http.Request, err error) error {
	var known *compat.Error
	switch {
	case errors.As(err, &known):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, errBusy):
		return compat.Errorf(http.StatusServiceUnavailable, 1030, "timed out, try again")
	case db.IsFull(err):
		s.log.Error("the database has no space left", "err", err)
		return compat.Errorf(http.StatusServiceUnavailable, 1030, "the server has no space left; nothing was stored")
	default:
		s.log.Error("push call failed", "path", r.URL.Path, "err", err)
	}
	return err
}

const maxReported = 100

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (s *Service) reportFunnels(w http.ResponseWriter, r *http.Request, app *gate.App, row func(Funnel) any) {
	ids, err := idList(r.URL.Query().Get("msg_ids"), maxReported)
	if err != nil {
		compat.WriteError(w, err, errReportInternal)
		return
	}
	funnels, err := s.Funnels(r.Context(), app.ID, ids)
	if err != nil {
		s.log.Error("report failed", "err", err)
		compat.WriteError(w, err, errReportInternal)
		return
	}
	out := make([]any, 0, len(funnels))
	for _, f := range funnels {
		out = append(out, row(f))
	}
	compat.Write(w, http.StatusOK, out)
}

// received is the old report. Platforms that were not addressed are null.
type received struct {
	MsgID            string `json:"msg_id"`
	AndroidReceived  *int64 `json:"android_received"`
	IOSAPNsSent      *int64 `json:"ios_apns_sent"`
	IOSAPNsReceived  *int64 `json:"ios_apns_received"`
	IOSMsgReceived   *int64 `json:"ios_msg_received"`
	WinPhoneMPNsSent *int64 `json:"wp_mpns_sent"`
}

func (s *Service) compatReceived(w http.ResponseWriter, r *http.Request, app *gate.App) {
	s.reportFunnels(w, r, app, func(f Funnel) any {
		row := received{
			MsgID:           FormatID(f.Msg),
			AndroidReceived: f.deliveredOwn(),
			IOSMsgReceived:  f.delivered(audience.IOS),
		}
		if apns := f.through(wire.APNs); apns != nil {
			row.IOSAPNsSent, row.IOSAPNsReceived = &apns.Sent, &apns.Delivered
		}
		return row
	})
}

// receivedDetail is the report by channel. The misspelt names are the vendor's.
type receivedDetail struct {
	MsgID                string `json:"msg_id"`
	JPushReceived        *int64 `json:"jpush_received"`
	AndroidPNSSent       *int64 `json:"android_pns_sent"`
	AndroidPNSReceived   *int64 `json:"android_pns_received"`
	IOSAPNsSent          *int64 `json:"ios_apns_sent"`
	IOSAPNsReceived      *int64 `json:"ios_apns_received"`
	IOSMsgReceived       *int64 `json:"ios_msg_received"`
	LiveActivitySent     *int64 `json:"live_acivity_sent"`
	LiveActivityReceived *int64 `json:"live_acivity_received"`
	QuickAppReceived     *int64 `json:"quickapp_jpush_received"`
	QuickAppPNSSent      *int64 `json:"quickapp_pns_sent"`
	HMPNsSent            *int64 `json:"hmos_hmpns_sent"`
	HMPNsReceived        *int64 `json:"hmos_hmpns_received"`
	HMOSMsgSent          *int64 `json:"hmos_msg_sent"`
	HMOSMsgReceived      *int64 `json:"hmos_msg_received"`
	WinPhoneMPNsSent     *int64 `json:"wp_mpns_sent"`
}

func (s *Service) compatReceivedDetail(w http.ResponseWriter, r *http.Request, app *gate.App) {
	s.reportFunnels(w, r, app, func(f Funnel) any {
		d := receivedDetail{
			MsgID:            FormatID(f.Msg),
			JPushReceived:    f.deliveredOwn(),
			IOSMsgReceived:   f.delivered(audience.IOS),
			QuickAppReceived: f.delivered(audience.QuickApp),
			HMOSMsgReceived:  f.delivered(audience.HMOS),
		}
		if c, addressed := f.ByPlatform[audience.HMOS]; addressed {
			d.HMOSMsgSent = &c.Sent
		}
		if c := f.on(audience.IOS); f.Live && c != nil {
			d.LiveActivitySent, d.LiveActivityReceived, d.IOSMsgReceived = &c.Sent, &c.Delivered, nil
		}
		if c := f.through(androidVendors()...); c != nil {
			d.AndroidPNSSent, d.AndroidPNSReceived = &c.Sent, &c.Delivered
		}
		if c := f.through(wire.APNs); c != nil {
			d.IOSAPNsSent, d.IOSAPNsReceived = &c.Sent, &c.Delivered
		}
		if c := f.through(wire.HMOS); c != nil {
			d.HMPNsSent, d.HMPNsReceived = &c.Sent, &c.Delivered
		}
		return d
	})
}

// delivered is the number for one platform, nil when it was not addressed.
func (f *Funnel) delivered(p audience.Platform) *int64 {
	if c := f.on(p); c != nil {
		return &c.Delivered
	}
	return nil
}

// deliveredOwn is what the vendor counts under its own channel.
func (f *Funnel) deliveredOwn() *int64 {
	if c := f.own(); c != nil {
		return &c.Delivered
	}
	return nil
}

// flexibleID accepts a message id as a number or as text.
type flexibleID string

func (f *flexibleID) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		*f = flexibleID(text)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	*f = flexibleID(n.String())
	return nil
}

type statusRequest struct {
	MsgID           *flexibleID `json:"msg_id"`
	RegistrationIDs []string    `json:"registration_ids"`
	Date            string      `json:"date"`
	Data            string      `json:"data"` // what the PHP client calls it
}

func (s *Service) compatStatus(w http.ResponseWriter, r *http.Request, app *gate.App) {
	fail := func(err error) { compat.WriteError(w, err, errReportInternal) }
	var in statusRequest
	body, err := compat.Body(r, payload.MaxBody)
	if err != nil {
		fail(err)
		return
	}
	if err := compat.Decode(body, &in); err != nil {
		fail(compat.Errorf(400, 1003, "%s", err))
		return
	}
	if in.MsgID == nil || len(in.RegistrationIDs) == 0 {
		fail(compat.Errorf(400, 1002, "Missing parameter: a message id and registration_ids are required"))
		return
	}
	if len(in.RegistrationIDs) > maxRows {
		fail(compat.Errorf(400, 1003, "registration_ids: %d given, at most %d are allowed", len(in.RegistrationIDs), maxRows))
		return
	}
	id, ok := ParseID(string(*in.MsgID))
	if !ok && !digits(string(*in.MsgID)) {
		fail(compat.Errorf(400, 1003, "%q is not a message id", string(*in.MsgID)))
		return
	}
	for _, date := range []string{in.Date, in.Data} {
		if _, err := time.Parse(time.DateOnly, date); date != "" && err != nil {
			fail(compat.Errorf(400, 1003, "date must have the form yyyy-MM-dd"))
			return
		}
	}
	out, err := s.statusByID(r.Context(), app, id, in.RegistrationIDs)
	if err != nil {
		s.log.Error("status failed", "err", err)
		fail(err)
		return
	}
	compat.Write(w, http.StatusOK, out)
}

type deviceStatus struct {
	Status TargetStatus `json:"status"`
}

func (s *Service) statusByID(ctx context.Context, app *gate.App, msg int64, rids []string) (map[string]deviceStatus, error) {
	ordinals, err := s.devices.Lookup(ctx, app, rids)
	if err != nil {
		return nil, err
	}
	known, unknown := device.Found(rids, slices.Clone(ordinals))
	statuses, err := s.Status(ctx, app.ID, msg, known)
	if err != nil {
		return nil, err
	}
	out := make(map[string]deviceStatus, len(rids))
	for _, rid := range unknown {
		out[rid] = deviceStatus{StatusUnknownDevice}
	}
	for i, o := range ordinals {
		if o != 0 { // by the id that was asked for: an imported device has two
			out[rids[i]] = deviceStatus{statuses[o]}
		}
	}
	return out, nil
}
