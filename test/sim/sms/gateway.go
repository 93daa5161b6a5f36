package sms

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"borealis/test/sim/phone"
)

// gatewayKey is the operator's.
const gatewayKey = "sim-gateway-key"

var gatewayTemplates = map[string]string{"code": "您的验证码是{code},{minutes}分钟内有效。", "news": "您有一条新消息。"}

// Gateway is a simulated HTTP gateway of a small provider. It is safe for concurrent use.
type Gateway struct{ service }

var _ phone.Simulator = (*Gateway)(nil)

// NewGateway returns a gateway of one account, the operator's.
func NewGateway(d phone.Deps) *Gateway {
	return &Gateway{newService(d, rule{30 * time.Second, 1}, rule{day, 20})}
}

// Channel is sms_generic.
func (s *Gateway) Channel() string { return "sms_generic" }

// Credentials of an app: template 1 has the parameters code and minutes, template 2 has none.
func (s *Gateway) Credentials() json.RawMessage {
	return json.RawMessage(`{"templates":{"1":"code","2":"news"},"signs":{"0":"仿真","1":"另一个"}}`)
}

// Description is what the operator of a server configures for the gateway, which is at an address.
func (s *Gateway) Description(address string) json.RawMessage {
	text, err := json.Marshal(map[string]any{
		"url": address + "/v1/messages", "headers": map[string]string{"Authorization": "Bearer " + gatewayKey},
		"body":         map[string]any{"to": "{mobile}", "template": "{template}", "sender": "{sign}", "ref": "{id}", "vars": "{params}"},
		"result_field": "status", "success": []string{"queued"}, "reason_field": "detail", "id_field": "message.id", "idempotent": true,
		"results": map[string]string{
			"bad_number": "invalid", "bad_key": "denied", "no_credit": "denied", "too_many": "quota", "slow_down": "limited", "opted_out": "silenced", "down": "failed",
		},
	})
	if err != nil {
		return nil
	}
	return text
}

// gatewayFaults are results, and the HTTP status they come with.
var gatewayFaults = map[string]int{
	"bad_number": http.StatusUnprocessableEntity, "bad_key": http.StatusUnauthorized, "no_credit": http.StatusPaymentRequired, "too_many": http.StatusOK,
	"slow_down": http.StatusTooManyRequests, "opted_out": http.StatusOK, "bad_template": http.StatusUnprocessableEntity, "down": http.StatusServiceUnavailable,
}

// FaultNames are the names of Faults.
func (s *Gateway) FaultNames() []string {
	names := slices.Clone(transport)
	for name := range gatewayFaults {
		names = append(names, name)
	}
	return names
}

// ServeHTTP answers one call.
func (s *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := s.Faults.Take()
	if broken(w, fault) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	result := fault
	if result == "" {
		result = s.take(r, body)
	}
	if result != "queued" {
		status := gatewayFaults[result]
		if status == 0 {
			status = http.StatusBadRequest
		}
		answer(w, status, map[string]string{"status": result, "detail": "refused: " + result})
		return
	}
	answer(w, http.StatusOK, map[string]any{"status": result, "message": map[string]string{"id": newID()}})
}

// take sends one message and has the result. A repetition of the same reference and number is taken and dropped.
func (s *Gateway) take(r *http.Request, body []byte) string {
	var in struct {
		To       string            `json:"to"`
		Template string            `json:"template"`
		Sender   string            `json:"sender"`
		Ref      string            `json:"ref"`
		Vars     map[string]string `json:"vars"`
	}
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/v1/messages":
		return "no_such_call"
	case r.Header.Get("Authorization") != "Bearer "+gatewayKey:
		return "bad_key"
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || json.Unmarshal(body, &in) != nil:
		return "bad_request"
	}
	text, known := gatewayTemplates[in.Template]
	for name, value := range in.Vars {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	switch {
	case !e164(in.To):
		return "bad_number"
	case !known || strings.Contains(text, "{"):
		return "bad_template"
	case s.silent(in.To):
		return "opted_out"
	case in.Ref != "" && s.repeated(in.Ref+" "+in.To):
		return "queued"
	case s.over(in.To) != nil:
		return "too_many"
	case !s.pay(1):
		return "no_credit"
	}
	s.fresh(in.Ref + " " + in.To)
	s.deliver(in.To, phone.Notification{ID: in.Ref, Title: in.Sender, Body: text}, in.Vars)
	return "queued"
}
