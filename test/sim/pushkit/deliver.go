package pushkit

import (
	"encoding/json"
	"net/http"

	"borealis/test/sim/phone"
)

// Results that receipts name.
const (
	arrived, notShown, inactive, tooMany = 0, 6, 10, 102
	// perDevice is how many messages of an app a device gets on a day, marketing how many of them may be marketing.
	perDevice, marketing = 3000, 2
)

// Message is a checked message on its way to phones.
type Message struct {
	phone.Notification
	Tokens   []string
	BiTag    string
	PushType int
	// Marketing counts for the day; a test message does not. Capped is the result that receipts name for one too many.
	Marketing, Test bool
	Capped          int
	// Shown: it is a notification, which a phone may have switched off.
	Shown bool
	// Again reports that the device has had this message, and shows it no more.
	Again func(token string) bool
}

// Deliver sends a message to its phones, answers the call and has receipts on their way. A token that no phone has is bad.
func (s *Service) Deliver(w http.ResponseWriter, r *http.Request, m *Message, bad func(tokens []string) string) {
	request := s.Request()
	var illegal []string
	var receipts []receipt
	for _, token := range m.Tokens {
		p, ok := s.Phones.Find(s.Channel, token)
		if !ok || p.State == phone.Uninstalled {
			illegal = append(illegal, token)
			continue
		}
		receipts = append(receipts, receipt{token, m.BiTag, request, m.PushType, s.one(token, p.State, m)})
	}
	good := len(m.Tokens) - len(illegal)
	switch {
	case len(illegal) == 0:
		s.answer(w, Refusal{http.StatusOK, Success, "Success"}, request)
	case good == 0:
		s.answer(w, Refusal{http.StatusBadRequest, NoneGood, bad(illegal)}, request)
	default:
		s.answer(w, Refusal{http.StatusOK, Partly, bad(illegal)}, request)
	}
	s.report(r.Context(), receipts)
}

// one brings the message to a phone; the result is what a receipt says.
func (s *Service) one(token string, state phone.State, m *Message) int {
	if !m.Test {
		if !s.Count("message", token, perDevice) {
			return tooMany
		}
		if m.Marketing && !s.Count("marketing", token, marketing) {
			return m.Capped
		}
	}
	if state == phone.Inactive {
		return inactive
	}
	if m.Again != nil && m.Again(token) {
		return arrived
	}
	if !s.Phones.Deliver(s.Channel, token, m.Notification) {
		return 2 // it was uninstalled just now
	}
	if state == phone.Silent && m.Shown {
		return notShown
	}
	return arrived
}

// List is the list of bad tokens as Android's answers have it.
func List(all int) func([]string) string {
	return func(illegal []string) string {
		if len(illegal) == all {
			return "All the tokens are invalid"
		}
		return text(map[string]any{"success": all - len(illegal), "failure": len(illegal), "illegal_tokens": illegal})
	}
}

// ByReason is the list of bad tokens as HarmonyOS's answers have it.
func ByReason(all int) func([]string) string {
	return func(illegal []string) string {
		list := map[string]any{"failure": len(illegal), "illegalTokens": map[string][]string{"tokenFormatError": illegal}}
		if len(illegal) < all {
			list["success"] = all - len(illegal)
		}
		return text(list)
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of texts and numbers
	}
	return string(b)
}
