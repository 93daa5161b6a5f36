package push

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/pushevent"
)

const (
	// maxFrames bounds the frames of one group that wait for a device.
	maxFrames = 100
	// maxDeviceFrames bounds those of all its groups: who makes the groups is the device, which may be anybody's.
	maxDeviceFrames = 1000
)

// Refusals of SendFrame.
var (
	// ErrNoDevice says that the device has ended, or never was.
	ErrNoDevice = errors.New("push: the app has no such device")
	// ErrManyFrames says that maxFrames of the group, or maxDeviceFrames in all, wait for the device already.
	ErrManyFrames = errors.New("push: too many frames wait for the device")
)

// DeviceFrame is a frame that another service made for one device. The device gets
//
//	{"id":"<msg>","type":"<Type>","<Type>":<Body>,"expires_at":…}
//
// at least once within its time to live, unless it is replaced or withdrawn. It is forgotten when the device has
// acknowledged it.
type DeviceFrame struct {
	App     int64
	Ordinal uint32
	// Group is of the sender's choice: WithdrawFrames ends all frames of one.
	Group int64
	// Topic: the frame takes the place of those of the same group and topic that still wait. "" is none.
	Topic string
	// Type must need no escaping in JSON; Body is a JSON value.
	Type string
	Body []byte
	// TTL 0 reaches the device only if it is connected now.
	TTL time.Duration
	// Receipt, if not 0, asks for an event pushevent.FrameEnded with this number when the frame ends.
	Receipt int64
}

// SendFrame stores a frame and hands it to the edges; it returns when it is durable. also runs in the transaction that
// stores it, first, and may refuse it by an error, which is returned as it is. Other errors: ErrNoDevice, ErrManyFrames.
func (s *Service) SendFrame(ctx context.Context, f DeviceFrame, also func(context.Context, *db.Tx) error) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()
	platform, err := s.platformOf(ctx, f.App, f.Ordinal)
	if err != nil {
		return 0, err
	}
	id, err := s.ids.Next(ctx)
	if err != nil {
		return 0, err
	}
	m := &message{
		ID: id, App: f.App, Kind: kindFrame, Targets: 1, AcceptedAt: clock.Millis(s.clock.Now()),
		Raw: fmt.Appendf(nil, `{"type":%q,%q:%s}`, f.Type, f.Type, f.Body),
	}
	m.setEnd(f.TTL)
	o := &order{m: m, t: &targets{few: []audience.Target{{Ordinal: f.Ordinal, Platform: platform}}}}
	var replaced []int64
	err = s.db.InTxUrgent(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		replaced = nil
		if err := also(ctx, tx); err != nil {
			return err
		}
		if f.Topic != "" {
			if replaced, err = queryFrames(ctx, tx, f, true); err != nil {
				return err
			}
			for _, old := range replaced { // of these nobody is told anything: the newer one is what is asked about
				if _, err := takeFrame(ctx, tx, f.App, old); err != nil {
					return err
				}
			}
		}
		ofGroup, all, err := countFrames(ctx, tx, f)
		if err == nil && (ofGroup >= maxFrames || all >= maxDeviceFrames) {
			err = ErrManyFrames
		}
		if err == nil {
			err = s.store(ctx, tx, o)
		}
		if err == nil {
			err = insertFrame(ctx, tx, id, f)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	s.stopWriting(replaced)
	if err := s.release(o); err != nil {
		s.log.Warn("frame not handed to the edges; the owner will", "message", id, "err", err)
	}
	return id, nil
}

// platformOf finds the platform of a device. That there is none is only said when everything that was committed has been
// heard: whoever asks forgets the device for ever.
func (s *Service) platformOf(ctx context.Context, app int64, ordinal uint32) (audience.Platform, error) {
	if p, ok := s.audience.PlatformOf(app, ordinal); ok {
		return p, nil
	}
	if err := s.audience.Sync(ctx, app); err != nil {
		return 0, err
	}
	if p, ok := s.audience.PlatformOf(app, ordinal); ok {
		return p, nil
	}
	return 0, ErrNoDevice
}

// WithdrawFrame forgets a frame of an app's group; it reports whether there was one that was not acknowledged.
func (s *Service) WithdrawFrame(ctx context.Context, app, group, msg int64) (bool, error) {
	var found bool
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		found = false
		frame, err := queryFrame(ctx, tx, app, msg)
		if err != nil || frame == nil || frame.group != group {
			return err
		}
		found, err = s.endFrame(ctx, tx, app, msg, false)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("push: withdraw a frame: %w", err)
	}
	if found {
		s.stopWriting([]int64{msg})
	}
	return found, nil
}

// WithdrawFrames forgets all frames of a group that wait for a device.
func (s *Service) WithdrawFrames(ctx context.Context, app int64, ordinal uint32, group int64) error {
	var all []int64
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		all, err = queryFrames(ctx, tx, DeviceFrame{App: app, Ordinal: ordinal, Group: group}, false)
		for _, msg := range all {
			if err == nil {
				_, err = s.endFrame(ctx, tx, app, msg, false)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	s.stopWriting(all)
	return nil
}

// stopWriting tells the edges of messages that are not to be written any more.
func (s *Service) stopWriting(messages []int64) {
	for _, msg := range messages {
		if err := s.bus.Publish(edgewire.SubjectWithdraw, edgewire.Withdraw{Msg: msg}); err != nil {
			s.log.Warn("edges not told of a withdrawal", "message", msg, "err", err)
		}
	}
}

// frame is the content of a message of kindFrame.
func (m *message) frame() []byte {
	out := make([]byte, 0, len(m.Raw)+64)
	out = append(strconv.AppendInt(append(out, `{"id":"`...), m.ID, 10), `",`...)
	out = append(out, m.Raw[1:len(m.Raw)-1]...)
	return append(strconv.AppendInt(append(out, `,"expires_at":`...), m.ExpiresAt, 10), '}')
}

// end notes that the time to live of a message kept as rows is over.
func (s *Service) end(ctx context.Context, tx *db.Tx, m *message) error {
	if m.Kind == kindFrame {
		_, err := s.endFrame(ctx, tx, m.App, m.ID, false)
		return err
	}
	return endMessage(ctx, tx, m.ID)
}

func insertFrame(ctx context.Context, tx *db.Tx, msg int64, f DeviceFrame) error {
	_, err := tx.Exec(ctx, `insert into push_frame (msg_id, app_id, ordinal, group_no, topic, receipt_no) values ($1, $2, $3, $4, $5, $6)`,
		msg, f.App, int64(f.Ordinal), f.Group, f.Topic, f.Receipt)
	if err != nil {
		return fmt.Errorf("push: insert a frame: %w", err)
	}
	return nil
}

// queryFrames lists the frames of a group that wait for a device: all of them, or those of one topic. Acknowledged ones are
// deleted with their receipt.
func queryFrames(ctx context.Context, tx *db.Tx, f DeviceFrame, ofTopic bool) ([]int64, error) {
	rows, err := tx.Query(ctx, `select msg_id from push_frame where app_id = $1 and ordinal = $2 and group_no = $3 and ($4 = false or topic = $5)
		order by msg_id`, f.App, int64(f.Ordinal), f.Group, ofTopic, f.Topic)
	if err != nil {
		return nil, fmt.Errorf("push: waiting frames: %w", err)
	}
	return collectIDs(rows)
}

// countFrames counts the frames that wait for a device: those of the group, and all.
func countFrames(ctx context.Context, tx *db.Tx, f DeviceFrame) (ofGroup, all int, err error) {
	err = tx.QueryRow(ctx, `select coalesce(sum(case when group_no = $3 then 1 else 0 end), 0), count(*) from push_frame where app_id = $1 and ordinal = $2`,
		f.App, int64(f.Ordinal), f.Group).Scan(&ofGroup, &all)
	if err != nil {
		return 0, 0, fmt.Errorf("push: count frames: %w", err)
	}
	return ofGroup, all, nil
}

// waiting is a frame that is not acknowledged.
type waiting struct {
	ordinal        uint32
	group, receipt int64
}

// queryFrame is a frame of an app that waits; nil if there is none.
func queryFrame(ctx context.Context, tx *db.Tx, app, msg int64) (*waiting, error) {
	return scanFrame(tx.QueryRow(ctx, `select ordinal, group_no, receipt_no from push_frame where msg_id = $1 and app_id = $2`, msg, app))
}

// takeFrame deletes everything of a frame and returns what it was; nil if another transaction was first.
func takeFrame(ctx context.Context, tx *db.Tx, app, msg int64) (*waiting, error) {
	frame, err := scanFrame(tx.QueryRow(ctx, `delete from push_frame where msg_id = $1 and app_id = $2 returning ordinal, group_no, receipt_no`, msg, app))
	if err != nil {
		return nil, err
	}
	for _, from := range []string{"push_target where", "push_message where kind = 2 and"} {
		if _, err := tx.Exec(ctx, `delete from `+from+` msg_id = $1 and app_id = $2`, msg, app); err != nil {
			return nil, fmt.Errorf("push: delete a frame: %w", err)
		}
	}
	return frame, nil
}

func scanFrame(row *sql.Row) (*waiting, error) {
	frame := new(waiting)
	err := row.Scan(&frame.ordinal, &frame.group, &frame.receipt)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("push: a frame: %w", err)
	}
	return frame, nil
}

// endFrame deletes a frame and tells whoever asked what became of it; found is false if it had ended.
func (s *Service) endFrame(ctx context.Context, tx *db.Tx, app, msg int64, delivered bool) (found bool, err error) {
	frame, err := takeFrame(ctx, tx, app, msg)
	if err != nil || frame == nil {
		return false, err
	}
	if frame.receipt == 0 {
		return true, nil
	}
	return true, s.outbox.Publish(ctx, tx, pushevent.TopicFrameEnded, pushevent.FrameEnded{
		App: app, Group: frame.group, Msg: msg, Receipt: frame.receipt, Delivered: delivered, At: clock.Millis(s.clock.Now()),
	})
}

// acknowledgeFrame ends a frame that the device it was made for has. Marks name other devices too: any device may say that it
// showed any message.
func (s *Service) acknowledgeFrame(ctx context.Context, tx *db.Tx, app int64, m *mark) error {
	frame, err := queryFrame(ctx, tx, app, m.msg)
	if err != nil || frame == nil {
		return err
	}
	own := false
	_ = m.each(func(ordinal uint32) error {
		own = own || ordinal == frame.ordinal
		return nil
	})
	if !own {
		return nil
	}
	_, err = s.endFrame(ctx, tx, app, m.msg, true)
	return err
}
