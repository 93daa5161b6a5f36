package oppo

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/phone"
)

// target is a message for one device.
type target struct {
	Type         number `json:"target_type"`
	Value        string `json:"target_value"`
	Notification notice `json:"notification"`
}

func (s *Sim) unicast(w http.ResponseWriter, r *http.Request) {
	var t target
	if json.Unmarshal([]byte(r.PostForm.Get("message")), &t) != nil {
		say(w, 41, nil)
		return
	}
	id, code := s.serve(r, &t)
	if code != 0 {
		say(w, code, nil)
		return
	}
	say(w, 0, map[string]any{"messageId": id})
}

func (s *Sim) unicastBatch(w http.ResponseWriter, r *http.Request) {
	var targets []target
	if json.Unmarshal([]byte(r.PostForm.Get("messages")), &targets) != nil || len(targets) == 0 || len(targets) > maxBatch {
		say(w, 41, nil)
		return
	}
	results := make([]map[string]any, len(targets))
	for i := range targets {
		id, code := s.serve(r, &targets[i])
		if code != 0 {
			results[i] = map[string]any{"registrationId": targets[i].Value, "errorCode": code, "errorMessage": codes[code]}
			continue
		}
		results[i] = map[string]any{"registrationId": targets[i].Value, "messageId": id}
	}
	say(w, 0, results)
}

// serve brings a message to one device. It answers with the id of the message or a code.
func (s *Sim) serve(r *http.Request, t *target) (string, int) {
	if t.Value == "" {
		return "", 40
	}
	if t.Type != 2 {
		return "", 41
	}
	if code := t.Notification.check(false); code != 0 {
		return "", code
	}
	return s.deliver(r, &t.Notification, t.Value, "")
}

// deliver counts the quota and brings it to the phone; a repetition of an app_message_id is answered as before.
func (s *Sim) deliver(r *http.Request, n *notice, device, taskID string) (string, int) {
	p, known := s.Phones.Find(s.Channel(), device)
	if !known || p.State == phone.Uninstalled {
		return "", 10000
	}
	s.mu.Lock()
	key := [2]string{n.AppMessageID, device}
	if id, again := s.seen[key]; again && n.AppMessageID != "" {
		s.mu.Unlock()
		return id, 0
	}
	if today := s.Clock.Now().In(time.FixedZone("CST", 8*60*60)).Format(time.DateOnly); today != s.day {
		s.day, s.sent = today, 0
	}
	if !n.isPrivate() {
		if s.sent >= s.quota {
			s.mu.Unlock()
			return "", 33
		}
		s.sent++
	}
	id := newID()
	if n.AppMessageID != "" {
		if len(s.seen) >= maxSeen {
			clear(s.seen)
		}
		s.seen[key] = id
	}
	report := s.reportTo
	s.mu.Unlock()
	if report == "" {
		report = n.CallBackURL
	}
	s.Phones.Deliver(s.Channel(), device, phone.Notification{
		ID: n.id(), Title: n.Title, Body: n.Content, Data: json.RawMessage(n.ActionParameters), Tag: strconv.FormatInt(int64(n.NotifyID), 10),
	})
	if n.CallBackURL != "" {
		go s.report(context.WithoutCancel(r.Context()), report, n, device, id, taskID)
	}
	return id, 0
}

// id is the server's id of the message: of the field for it, or of what the app gets.
func (n *notice) id() string {
	if n.AppMessageID != "" {
		return n.AppMessageID
	}
	var parameters map[string]any
	_ = json.Unmarshal([]byte(n.ActionParameters), &parameters)
	id, _ := parameters["_j_msgid"].(string)
	return id
}

func (s *Sim) save(w http.ResponseWriter, r *http.Request) {
	n, ok := fromForm(r.PostForm)
	if !ok {
		say(w, 41, nil)
		return
	}
	if code := n.check(true); code != 0 {
		say(w, code, nil)
		return
	}
	if n.isPrivate() { // private messages are for one device each
		say(w, 67, nil)
		return
	}
	id := newID()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.saved) >= maxSaved {
		say(w, 13, nil)
		return
	}
	s.saved[id] = n
	say(w, 0, map[string]any{"message_id": id})
}

func (s *Sim) broadcast(w http.ResponseWriter, r *http.Request) {
	id := r.PostForm.Get("message_id")
	s.mu.Lock()
	n, known := s.saved[id]
	s.mu.Unlock()
	devices := strings.Split(r.PostForm.Get("target_value"), ";")
	switch {
	case id == "" || r.PostForm.Get("target_value") == "":
		say(w, 40, nil)
		return
	case !known:
		say(w, 31, nil)
		return
	case r.PostForm.Get("target_type") != "2" || len(devices) > maxBatch:
		say(w, 41, nil)
		return
	}
	taskID := newID()
	data := map[string]any{"message_id": id, "task_id": taskID}
	var invalid []string
	for _, device := range devices {
		switch _, code := s.deliver(r, &n, device, taskID); code {
		case 0:
		case 10000:
			invalid = append(invalid, device)
		default:
			say(w, code, nil)
			return
		}
	}
	if invalid != nil {
		data["10000"] = invalid
	}
	say(w, 0, data)
}

// report tells the app's server that a message arrived.
func (s *Sim) report(ctx context.Context, address string, n *notice, device, messageID, taskID string) {
	if taskID == "" {
		taskID = messageID
	}
	body, err := json.Marshal([]map[string]any{{
		"messageId": messageID, "appId": appID, "taskId": taskID, "registrationIds": device,
		"eventTime": strconv.FormatInt(clock.Millis(s.Clock.Now()), 10), "param": n.CallBackParameter, "eventType": "push_arrive",
	}})
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
