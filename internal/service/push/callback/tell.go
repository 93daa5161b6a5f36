package callback

import (
	"context"
	"encoding/json"
	"strconv"

	"borealis/internal/engine/audience"
)

const (
	// maxBody is the size in bytes at which a delivery is full, whatever the number of its records.
	maxBody = 256 << 10
	// maxBodies is the size in bytes at which a slice is full: params can be large.
	maxBodies = 2 << 20
)

// writer makes bodies: arrays of records.
type writer struct {
	appKey string
	room   int
	bodies [][]byte
	bytes  int // of bodies
	body   []byte
	n      int // records in body
	// What the records of a row have in common, before and after the registration id.
	head, tail []byte
}

func newWriter(appKey string, room int) *writer { return &writer{appKey: appKey, room: room} }

// full tells that there is no room for another record.
func (w *writer) full() bool { return len(w.bodies) >= w.room || w.bytes >= maxBodies }

// begin prepares for the records of a row.
func (w *writer) begin(r *record, params []byte) {
	w.head = append(w.head[:0], `{"appkey":`...)
	w.head = appendText(w.head, w.appKey)
	w.head = append(w.head, `,"msg_id":"`...)
	w.head = strconv.AppendInt(w.head, r.msg, 10)
	w.head = append(w.head, '"')

	t := w.tail[:0]
	if r.platform > 0 && r.platform < audience.PlatformEnd {
		t = append(t, `,"platform":`...)
		t = appendText(t, r.platform.String())
	}
	if r.channel != "" {
		t = append(t, `,"channel":`...)
		t = appendText(t, r.channel)
	}
	t = append(t, `,"type":`...)
	t = strconv.AppendInt(t, int64(r.kind), 10)
	t = append(t, `,"time":`...)
	t = strconv.AppendInt(t, r.at, 10)
	if r.sendNo != 0 {
		t = append(t, `,"sendno":"`...)
		t = strconv.AppendInt(t, r.sendNo, 10)
		t = append(t, '"')
	}
	if len(params) > 0 && json.Valid(params) {
		t = append(t, `,"params":`...)
		t = append(t, params...)
	}
	if r.kind == NotDelivered && r.reason != "" {
		t = append(t, `,"reason":`...)
		t = appendText(t, r.reason)
	}
	t = append(t, '}')
	w.tail = t
}

// add writes a record; id is empty if it is about no device.
func (w *writer) add(id string) {
	if w.n == 0 {
		w.body = append(make([]byte, 0, perDelivery*(len(w.head)+len(w.tail)+64)/2), '[')
	} else {
		w.body = append(w.body, ',')
	}
	w.body = append(w.body, w.head...)
	if id != "" {
		w.body = append(w.body, `,"registration_id":`...)
		w.body = appendText(w.body, id)
	}
	w.body = append(w.body, w.tail...)
	if w.n++; w.n == perDelivery || len(w.body) >= maxBody {
		w.end()
	}
}

func (w *writer) end() {
	if w.n > 0 {
		w.bytes += len(w.body)
		w.bodies = append(w.bodies, append(w.body, ']'))
		w.body, w.n = nil, 0
	}
}

func (w *writer) finish() [][]byte {
	w.end()
	return w.bodies
}

// appendText writes a JSON string.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) //nolint:errchkjson // a string can always be written
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// cursor is a row that is told slice by slice: decoded once, and where it stands.
type cursor struct {
	row     int64
	from    int64 // the next record's ordinal is at least this
	params  []byte
	devices devices
}

// open prepares the cursor for a row, unless it stands there already.
func (c *cursor) open(ctx context.Context, s *Service, r *row) error {
	if c.row == r.id && c.from == r.from && r.from > 0 {
		return nil
	}
	params, data := r.params, r.devices
	if r.size > inlined {
		var err error
		if params, data, err = queryBlobs(ctx, s.db, r.id); err != nil {
			return err
		}
	}
	d, err := decodeDevices(data, r.from)
	if err != nil {
		return err
	}
	*c = cursor{row: r.id, from: r.from, params: params, devices: d}
	return nil
}

// tell writes at most limit records of a row. It returns how many, and whether none is left.
func (s *Service) tell(ctx context.Context, w *writer, r *row, limit int64, c *cursor) (told int64, done bool, err error) {
	if limit <= 0 || w.full() {
		return 0, false, nil
	}
	if err := c.open(ctx, s, r); err != nil {
		return 0, false, err
	}
	w.begin(&r.record, c.params)
	if r.kind == Accepted {
		w.add("")
		return 1, true, nil
	}
	for told < limit && c.devices.more() && !w.full() {
		ordinal := c.devices.next()
		w.add(s.id(r.app, ordinal))
		c.from = int64(ordinal) + 1
		told++
	}
	return told, !c.devices.more(), nil
}
