package honor

import (
	"encoding/json"
	"net/http"
	"strconv"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/phone"
)

// Statuses of receipts.
const (
	arrived      = 0
	notInstalled = 2
	switchedOff  = 6
	inactive     = 10
	tooMany      = 102
	keptBack     = 201
)

// status is a receipt for one token.
type status struct {
	BiTag     string `json:"biTag"`
	AppID     string `json:"appid"`
	Token     string `json:"token"`
	Status    int    `json:"status"`
	Timestamp int64  `json:"timestamp"`
	RequestID string `json:"requestId"`
}

// maxStatuses is how many receipts go into a call.
const maxStatuses = 100

// report sends receipts.
func (s *Sim) report(list []status) {
	for len(list) > 0 {
		n := min(len(list), maxStatuses)
		body, _ := json.Marshal(map[string]any{"statuses": list[:n]})
		s.post.Post("", http.Header{"Content-Type": {"application/json"}}, body)
		list = list[n:]
	}
}

// deliver brings a message to one phone and says what its receipt says. The caller holds mu.
func (s *Sim) deliver(token string, m *message) int {
	p, _ := s.d.Phones.Find(s.Channel(), token)
	n, test := m.Android.Notification, m.Android.TargetUserType == 1
	marketing := n != nil && n.Importance != "NORMAL" && !test
	hour := (clock.Millis(s.d.Clock.Now()) + ahead) % dayMillis / hourMillis
	switch {
	case p.State == phone.Uninstalled:
		return notInstalled
	case p.State == phone.Inactive:
		return inactive
	case marketing && hour < 6: // nothing is advertised at night
		return keptBack
	case marketing && s.devices[token] >= perDevice:
		return tooMany
	}
	if marketing {
		s.devices[token]++
	}
	got := phone.Notification{Data: raw(m.Data)}
	var data struct {
		ID string `json:"_j_msgid"`
	}
	_ = json.Unmarshal(got.Data, &data)
	got.ID = data.ID
	if n != nil {
		got.Title, got.Body = n.Title, n.Body
		if n.Style == 1 {
			got.Body = n.BigBody
		}
		if n.NotifyID != nil && *n.NotifyID >= 0 {
			got.Tag = strconv.Itoa(int(*n.NotifyID))
		}
	}
	s.d.Phones.Deliver(s.Channel(), token, got)
	if p.State == phone.Silent {
		return switchedOff
	}
	return arrived
}

// raw is a text that may be JSON.
func raw(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, _ := json.Marshal(text)
	return quoted
}
