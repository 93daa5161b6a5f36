package vivo

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/phone"
)

// read decodes a message and checks the access token.
func (s *Sim) read(w http.ResponseWriter, r *http.Request) (message, bool) {
	var m message
	if json.NewDecoder(r.Body).Decode(&m) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return m, false
	}
	if code := s.admit(r, m.AppID); code != 0 {
		say(w, code, nil)
		return m, false
	}
	return m, true
}

func (s *Sim) send(w http.ResponseWriter, r *http.Request) {
	m, ok := s.read(w, r)
	if !ok {
		return
	}
	code := m.check(s.Clock.Now())
	if m.RegID == "" {
		code = 10050
	}
	s.one(w, r, &m, code)
}

func (s *Sim) live(w http.ResponseWriter, r *http.Request) {
	m, ok := s.read(w, r)
	if !ok {
		return
	}
	code := m.checkLive()
	if m.RegID == "" {
		code = 10050
	}
	s.one(w, r, &m, code)
}

// one sends a message to one device, unless a code speaks against it.
func (s *Sim) one(w http.ResponseWriter, r *http.Request, m *message, code int) {
	if code != 0 {
		say(w, code, nil)
		return
	}
	if taskID, again := s.repeated(m.RequestID); again {
		say(w, 0, map[string]any{"taskId": taskID})
		return
	}
	switch s.status(m, m.RegID) {
	case 1, 2:
		say(w, 10302, nil)
		return
	case 3:
		say(w, 10311, nil)
		return
	case 4:
		say(w, 0, map[string]any{"taskId": newID(), "invalidUser": map[string]any{"userid": m.RegID, "status": 4}})
		return
	}
	if code := s.count(m, 1); code != 0 {
		say(w, code, nil)
		return
	}
	taskID := newID()
	s.remember(m.RequestID, taskID)
	s.deliver(r, m, m.RegID, taskID)
	say(w, 0, map[string]any{"taskId": taskID})
}

func (s *Sim) save(w http.ResponseWriter, r *http.Request) {
	m, ok := s.read(w, r)
	if !ok {
		return
	}
	if code := m.check(s.Clock.Now()); code != 0 {
		say(w, code, nil)
		return
	}
	if taskID, again := s.repeated(m.RequestID); again {
		say(w, 0, map[string]any{"taskId": taskID})
		return
	}
	taskID := newID()
	s.remember(m.RequestID, taskID)
	s.mu.Lock()
	if len(s.saved) >= maxKept {
		clear(s.saved)
	}
	s.saved[taskID] = m
	s.mu.Unlock()
	say(w, 0, map[string]any{"taskId": taskID})
}

func (s *Sim) pushToList(w http.ResponseWriter, r *http.Request) {
	var in struct {
		AppID     int64    `json:"appId"`
		RegIDs    []string `json:"regIds"`
		TaskID    string   `json:"taskId"`
		RequestID string   `json:"requestId"`
		PushMode  int      `json:"pushMode"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	code := s.admit(r, in.AppID)
	s.mu.Lock()
	m, known := s.saved[in.TaskID]
	s.mu.Unlock()
	switch {
	case code != 0:
	case len(in.RegIDs) == 0:
		code = 10150
	case len(in.RegIDs) < 2 || len(in.RegIDs) > 1000:
		code = 10153
	case in.TaskID == "":
		code = 10151
	case !known:
		code = 10155
	case in.RequestID == "":
		code = 10352
	case len(in.RequestID) > 64:
		code = 10353
	case m.PushMode != in.PushMode:
		code = 10152
	}
	if code != 0 {
		say(w, code, nil)
		return
	}
	if _, again := s.repeated(in.RequestID); again {
		say(w, 0, map[string]any{"requestId": in.RequestID})
		return
	}
	invalid := []map[string]any{}
	var good []string
	for _, regID := range in.RegIDs {
		if status := s.status(&m, regID); status != 0 {
			invalid = append(invalid, map[string]any{"userid": regID, "status": status})
			continue
		}
		good = append(good, regID)
	}
	if code := s.count(&m, len(good)); code != 0 {
		say(w, code, nil)
		return
	}
	s.remember(in.RequestID, in.TaskID)
	for _, regID := range good {
		s.deliver(r, &m, regID, in.TaskID)
	}
	say(w, 0, map[string]any{"requestId": in.RequestID, "invalidUsers": invalid})
}

// status of a device for a message: 0 good, 1 unknown, 2 gone, 3 not reached, 4 no tester.
func (s *Sim) status(m *message, regID string) int {
	p, known := s.Phones.Find(s.Channel(), regID)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !known:
		return 1
	case p.State == phone.Uninstalled:
		return 2
	case p.State == phone.Silent, p.State == phone.Inactive:
		return 3
	case m.PushMode == 1 && !s.testers[regID]:
		return 4
	}
	return 0
}

// count takes from the quota of the class.
func (s *Sim) count(m *message, n int) int {
	if m.PushMode == 1 || m.Live != nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if today := s.Clock.Now().In(time.FixedZone("CST", 8*60*60)).Format(time.DateOnly); today != s.day {
		s.day, s.sent = today, [2]int{}
	}
	if s.sent[m.Classification]+n > s.quota[m.Classification] {
		return []int{10070, 10073}[m.Classification]
	}
	s.sent[m.Classification] += n
	return 0
}

func (s *Sim) repeated(requestID string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taskID, again := s.done[requestID]
	return taskID, again
}

func (s *Sim) remember(requestID, taskID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.done) >= maxKept {
		clear(s.done)
	}
	s.done[requestID] = taskID
}

func (s *Sim) deliver(r *http.Request, m *message, regID, taskID string) {
	got := phone.Notification{ID: m.Custom["_j_msgid"], Title: m.Title, Body: m.Content}
	if got.ID == "" {
		got.ID = m.Extra["callback.param"]
	}
	if m.NotifyID != nil {
		got.Tag = strconv.FormatInt(*m.NotifyID, 10)
	}
	var data any = m.Custom
	if m.Live != nil {
		data = m.Live
	}
	if text, err := json.Marshal(data); err == nil {
		got.Data = text
	}
	s.Phones.Deliver(s.Channel(), regID, got)
	s.mu.Lock()
	address := s.reportTo
	s.mu.Unlock()
	if address == "" {
		address = m.Extra["callback"]
	}
	if address != "" && len(m.Extra) > 0 && m.PushMode == 0 {
		kind := "0"
		if m.Live != nil {
			kind = "300"
		}
		go s.report(context.WithoutCancel(r.Context()), address, map[string]any{taskID: map[string]any{
			"param": m.Extra["callback.param"], "targets": regID, "ackType": kind,
			"ackTime": strconv.FormatInt(clock.Millis(s.Clock.Now()), 10),
		}})
	}
}

// report tells the app's server what became of a message.
func (s *Sim) report(ctx context.Context, address string, report map[string]any) {
	body, err := json.Marshal(report)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
}
