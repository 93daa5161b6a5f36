package xiaomi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/phone"
)

// Types of receipts.
const (
	delivered = 1
	clicked   = 2
	invalid   = 16
	overQuota = 128
	expired   = 1024
)

// send checks and delivers a message. The caller holds mu.
func (s *Sim) send(f url.Values, fault string) func(http.ResponseWriter) {
	list, no := regids(f, "registration_id")
	var m *message
	if no == nil {
		m, no = read(f)
	}
	var good, bad []string
	for _, r := range list {
		if _, ok := s.d.Phones.Find(s.Channel(), r); ok {
			good = append(good, r)
		} else {
			bad = append(bad, r)
		}
	}
	switch {
	case no != nil:
	case len(good) == 0:
		no = &refusal{"20301", "No valid targets!"}
	case m.channel == "public" && s.used+len(good) > s.quota:
		no = &refusal{"200001", fmt.Sprintf("exceed quota, quota:%d, have acked:%d", s.quota, s.used)}
	}
	if no != nil {
		return func(w http.ResponseWriter) { s.refuse(w, *no) }
	}
	s.ids++
	m.id = "sdm" + strconv.Itoa(s.ids)
	lost, _ := strconv.Atoi(strings.TrimPrefix(fault, "receipt_"))
	reports := make(map[int][]string)
	for _, r := range good {
		kind := lost
		if kind == 0 {
			kind = s.deliver(r, m)
		}
		reports[kind] = append(reports[kind], r)
	}
	for kind, targets := range reports {
		s.report(m, kind, targets)
	}
	data := map[string]any{"id": m.id}
	if len(bad) > 0 {
		data["bad_regids"] = strings.Join(bad, ",")
	}
	return func(w http.ResponseWriter) {
		s.accept(w, data, fmt.Sprintf("Received push messages for %d regid", len(good)))
	}
}

// deliver brings a message to one phone and says what is to be reported, 0 for nothing. The caller holds mu.
func (s *Sim) deliver(regid string, m *message) int {
	p, _ := s.d.Phones.Find(s.Channel(), regid)
	switch {
	case p.State == phone.Uninstalled:
		return invalid
	case p.State == phone.Inactive:
		return expired
	case m.channel == "public" && s.devices[regid] >= perDevice:
		return overQuota
	case m.job != "" && s.seen[seenKey{regid, m.job}]:
		return 0 // the phone shows only the first message of a job
	}
	if len(s.seen) >= maxRemember {
		clear(s.seen)
	}
	if len(s.last) >= maxRemember {
		clear(s.last)
	}
	s.seen[seenKey{regid, m.job}], s.last[regid] = true, m
	if m.channel == "public" {
		s.devices[regid]++
		s.used++
	}
	got := phone.Notification{ID: m.job, Data: raw(m.payload)}
	if !m.passed {
		got.Title, got.Body, got.Tag = m.title, m.description, m.notifyID
	}
	if len(m.focus) > 0 {
		got.Data, _ = json.Marshal(m.focus)
	}
	s.d.Phones.Deliver(s.Channel(), regid, got)
	return delivered
}

// raw is a text that may be JSON.
func raw(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, _ := json.Marshal(text)
	return quoted
}

// report tells the address of a message what became of it, if it asked for that.
func (s *Sim) report(m *message, kind int, targets []string) {
	if m.callback.url == "" || m.callback.types&kind == 0 {
		return
	}
	bar := "Enable"
	if p, _ := s.d.Phones.Find(s.Channel(), targets[0]); p.State == phone.Silent {
		bar = "Disable"
	}
	data, _ := json.Marshal(map[string]any{m.id: map[string]any{
		"param": m.callback.param, "type": kind, "targets": strings.Join(targets, ","), "jobkey": m.job,
		"barStatus": bar, "timestamp": clock.Millis(s.d.Clock.Now()),
	}})
	s.post.Post(m.callback.url, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(url.Values{"data": {string(data)}}.Encode()))
}

// Click is a touch on the last message of a regid. It reports whether there is one.
func (s *Sim) Click(regid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.last[regid]
	if m == nil {
		return false
	}
	s.report(m, clicked, []string{regid})
	return true
}

// Wait waits until all receipts so far have been brought to the server.
func (s *Sim) Wait() { s.post.Wait() }
