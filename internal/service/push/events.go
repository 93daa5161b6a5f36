package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
)

// DeviceEvent is what a device reports of a message.
type DeviceEvent struct {
	ID    string `json:"id" doc:"message id" maxLength:"20"`
	Event string `json:"event" enum:"displayed,clicked,dismissed" doc:"what happened"`
	At    int64  `json:"at" doc:"when, Unix milliseconds"`
}

// maxEvents bounds one report.
const maxEvents = 100

// Report records what a device tells of messages. Events of messages that are not addressed to it count for nothing.
// Any node may be asked; one that does not own the app asks the owner.
func (s *Service) Report(ctx context.Context, app int64, ordinal uint32, events []DeviceEvent) error {
	if s.owns(app) {
		return s.record(ctx, app, ordinal, events)
	}
	body, err := json.Marshal(eventsBody{events})
	if err != nil {
		return fmt.Errorf("push: encode events: %w", err)
	}
	var reply edgewire.UpReply
	up := edgewire.Up{App: app, Ordinal: ordinal, Topic: TopicEvents, Payload: body}
	if err := s.bus.Request(ctx, edgewire.SubjectUp(app), up, &reply); err != nil {
		return fmt.Errorf("push: report to the owner: %w", err)
	}
	if reply.Code != edgewire.UpOK {
		return fmt.Errorf("push: the owner answered %d: %s", reply.Code, reply.Reason)
	}
	return nil
}

// record merges events on the owner. Ids are looked at here, in the caller's time, so that what a device makes up costs
// the merger nothing.
func (s *Service) record(ctx context.Context, app int64, ordinal uint32, events []DeviceEvent) error {
	var ids []int64
	for _, e := range events {
		if id, ok := ParseID(e.ID); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	own, err := queryOwn(ctx, s.db, app, ids)
	if err != nil {
		return err
	}
	now := clock.Millis(s.clock.Now())
	marks := make([]mark, 0, len(events))
	for _, e := range events {
		id, _ := ParseID(e.ID)
		if !own[id] {
			continue
		}
		m := mark{msg: id, stage: stageDisplayed, ordinals: []uint32{ordinal}, at: e.At}
		if m.at <= 0 || m.at > now {
			m.at = now // clocks of devices are what they are
		}
		if e.Event == "clicked" { // what was dismissed had been shown
			m.stage = stageClicked
		}
		marks = append(marks, m)
	}
	if len(marks) == 0 {
		return nil
	}
	return s.merge(ctx, app, marks)
}

// TopicEvents is the topic on which devices report.
const TopicEvents = "up/events"

type eventsBody struct {
	Events []DeviceEvent `json:"events"`
}

// Up handles the topic up/events.
func (s *Service) Up(ctx context.Context, up edgewire.Up) edgewire.UpReply {
	var body eventsBody
	if err := decodeEvents(up.Payload, &body); err != nil {
		return edgewire.UpReply{Code: edgewire.UpInvalid, Reason: err.Error()}
	}
	if err := checkEvents(body.Events); err != nil {
		return edgewire.UpReply{Code: edgewire.UpInvalid, Reason: err.Error()}
	}
	if err := s.record(ctx, up.App, up.Ordinal, body.Events); err != nil {
		s.log.Warn("events not recorded", "err", err)
		return edgewire.UpReply{Code: edgewire.UpBusy, Reason: "not recorded, try again"}
	}
	return edgewire.UpReply{Code: edgewire.UpOK}
}

func decodeEvents(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errors.New("payload is not UTF-8")
	}
	if err := json.Unmarshal(data, into); err != nil {
		return errors.New("payload is not a JSON object with a list of events")
	}
	return nil
}

func checkEvents(events []DeviceEvent) error {
	if len(events) == 0 || len(events) > maxEvents {
		return fmt.Errorf("events: %d given, 1 to %d are allowed", len(events), maxEvents)
	}
	for i, e := range events {
		if e.Event != "displayed" && e.Event != "clicked" && e.Event != "dismissed" {
			return fmt.Errorf("events[%d].event: must be displayed, clicked or dismissed", i)
		}
	}
	return nil
}

// MergeReceipts records what an edge reports, and returns when it is durable.
func (s *Service) MergeReceipts(ctx context.Context, r edgewire.Receipts) error {
	marks, err := receiptMarks(r)
	if err != nil {
		return err
	}
	if len(marks) == 0 {
		return nil
	}
	return s.merge(ctx, r.App, marks)
}
