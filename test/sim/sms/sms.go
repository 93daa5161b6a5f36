// Package sms is simulated services for text messages: Aliyun, Tencent Cloud, and a gateway such as the operator of a
// server would describe. They are written from the services' documents and share no code with the packages that send, so that each checks the
// other.
//
// What arrives is on the phones of channel "sms", whose tokens are numbers as E.164 has them: the title is the
// signature, the body the text with its parameters, the data the parameters. A number without a phone takes
// messages as well, as the services cannot know; they go nowhere.
package sms

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"borealis/test/sim/phone"
)

// channel is that of the phones.
const channel = "sms"

const (
	// maxBody of a call, in bytes; maxKept bounds what is remembered of each kind.
	maxBody = 1 << 20
	maxKept = 1_000_000
)

// rule is a limit of one number: n messages in the time.
type rule struct {
	per time.Duration
	n   int
}

const day = 24 * time.Hour

// service is what all of them have. It is safe for concurrent use.
type service struct {
	phone.Deps
	rules []rule

	mu sync.Mutex
	// sent are the times of a number's messages of the last day.
	sent map[string][]time.Time
	// balance is how many messages are paid.
	balance int
	seen    map[string]bool
}

func newService(d phone.Deps, rules ...rule) service {
	return service{Deps: d, rules: rules, sent: make(map[string][]time.Time), seen: make(map[string]bool), balance: maxKept}
}

// SetBalance changes how many messages are paid.
func (s *service) SetBalance(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.balance = n
}

// over is the rule that one more message to a number breaks, or nil. A day begins at midnight, Beijing time.
func (s *service) over(number string) *rule {
	now := s.Clock.Now()
	beijing := time.FixedZone("CST", 8*60*60)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rules {
		r := &s.rules[i]
		n := 0
		for _, at := range s.sent[number] {
			if r.per == day && at.In(beijing).Format(time.DateOnly) == now.In(beijing).Format(time.DateOnly) || r.per < day && now.Sub(at) < r.per {
				n++
			}
		}
		if n >= r.n {
			return r
		}
	}
	return nil
}

// pay takes n messages from the balance, if there are as many.
func (s *service) pay(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.balance < n {
		return false
	}
	s.balance -= n
	return true
}

// fresh says whether a text was not seen before, and remembers it.
func (s *service) fresh(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[text] {
		return false
	}
	if len(s.seen) >= maxKept {
		clear(s.seen)
	}
	s.seen[text] = true
	return true
}

func (s *service) repeated(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[text]
}

// deliver brings a text message to a number and counts it.
func (s *service) deliver(number string, got phone.Notification, parameters map[string]string) {
	now := s.Clock.Now()
	s.mu.Lock()
	if len(s.sent) >= maxKept {
		clear(s.sent)
	}
	kept := s.sent[number][:0]
	for _, at := range s.sent[number] {
		if now.Sub(at) < day {
			kept = append(kept, at)
		}
	}
	s.sent[number] = append(kept, now)
	s.mu.Unlock()
	if text, err := json.Marshal(parameters); err == nil && len(parameters) > 0 {
		got.Data = text
	}
	s.Phones.Deliver(channel, number, got)
}

// silent says whether the owner of a number wants no messages.
func (s *service) silent(number string) bool {
	p, known := s.Phones.Find(channel, number)
	return known && p.State == phone.Silent
}

// transport are faults that every service has.
var transport = []string{"cut", "html", "http_500", "http_503"}

// broken answers with a fault of the transport.
func broken(w http.ResponseWriter, fault string) bool {
	switch fault {
	case "cut":
		panic(http.ErrAbortHandler)
	case "html":
		_, _ = io.WriteString(w, "<html><body>maintenance</body></html>")
	case "http_500":
		w.WriteHeader(http.StatusInternalServerError)
	case "http_503":
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		return false
	}
	return true
}

// e164 reads "+" and 7 to 15 digits.
func e164(text string) bool {
	digits, plus := strings.CutPrefix(text, "+")
	if !plus || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	local, chinese := strings.CutPrefix(digits, "86")
	return !chinese || len(local) == 11 && local[0] == '1'
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func keyed(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text))
	return h.Sum(nil)
}

func hashed(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func newID() string {
	b := make([]byte, 10)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
