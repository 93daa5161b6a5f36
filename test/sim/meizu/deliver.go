package meizu

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"borealis/test/sim/phone"
)

// Types of receipts.
const (
	delivered = 1
	clicked   = 2
)

// waiting is what deliver says of a phone that is not there.
const waiting = "waiting"

// deliver brings a message to one phone. It returns the code for its push id, or "" if it arrived. The caller holds mu.
func (s *Sim) deliver(id string, message *sent) string {
	p, known := s.d.Phones.Find(s.Channel(), id)
	public := message.m.NoticeBar.MsgType == 0
	switch {
	case !known:
		return "110003"
	case p.State == phone.Uninstalled:
		return "110002"
	case p.State == phone.Silent:
		return "110010"
	case p.State == phone.Inactive:
		return waiting
	case s.thisSpell[id] >= perMinute:
		return "520"
	case public && s.today[id] >= perDevice:
		return "110011"
	}
	if len(s.last) >= maxDevices {
		clear(s.last)
	}
	s.thisSpell[id]++
	s.last[id] = message
	if public {
		s.today[id]++
	}
	var data struct {
		ID string `json:"_j_msgid"`
	}
	m := message.m
	_ = json.Unmarshal(m.Click.Parameters, &data)
	got := phone.Notification{ID: data.ID, Title: m.NoticeBar.Title, Body: m.NoticeBar.Content, Data: m.Click.Parameters, Tag: m.Advance.NotifyKey}
	if m.Expand.Type == 1 {
		got.Body = m.Expand.Content
	}
	s.d.Phones.Deliver(s.Channel(), id, got)
	return ""
}

// report tells the address of a message what became of it, if it asked for that.
func (s *Sim) report(message *sent, kind int, targets []string) {
	x := message.m.Extra
	if x == nil || len(targets) == 0 {
		return
	}
	if wanted, err := strconv.Atoi(x.Type.String()); err == nil && wanted&kind == 0 {
		return
	}
	cb, _ := json.Marshal(map[string]any{message.id + "-" + strconv.Itoa(kind): map[string]any{"param": x.Param, "type": kind, "targets": targets}})
	s.post.Post(x.Callback, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		[]byte(url.Values{"cb": {string(cb)}, "access_token": {receiptToken}}.Encode()))
}

// Click is a touch on the last message of a push id. It reports whether there is one.
func (s *Sim) Click(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	message := s.last[id]
	if message == nil {
		return false
	}
	s.report(message, clicked, []string{id})
	return true
}
