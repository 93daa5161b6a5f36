package hmos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"borealis/test/sim/phone"
	"borealis/test/sim/pushkit"
	"borealis/test/sim/schema"
)

// message is what is read of a request that has passed the schema.
type message struct {
	Payload struct {
		Notification *notification `json:"notification"`
		ExtraData    string        `json:"extraData"`
	} `json:"payload"`
	PushOptions struct {
		TestMessage bool   `json:"testMessage"`
		TTL         *int64 `json:"ttl"`
		BiTag       string `json:"biTag"`
	} `json:"pushOptions"`
	Target struct {
		Token []string `json:"token"`
	} `json:"target"`
}

type notification struct {
	Category      string   `json:"category"`
	Title         string   `json:"title"`
	Body          string   `json:"body"`
	Style         int      `json:"style"`
	BigTitle      string   `json:"bigTitle"`
	BigBody       string   `json:"bigBody"`
	NotifyID      *int     `json:"notifyId"`
	AppMessageID  string   `json:"appMessageId"`
	Inbox         []string `json:"inboxContent"`
	Sound         string   `json:"sound"`
	SoundDuration int      `json:"soundDuration"`
	Click         struct {
		Type   int             `json:"actionType"`
		Action string          `json:"action"`
		URI    string          `json:"uri"`
		Data   json.RawMessage `json:"data"`
	} `json:"clickAction"`
}

func illegal(format string, args ...any) *pushkit.Refusal {
	return &pushkit.Refusal{HTTP: http.StatusBadRequest, Code: pushkit.BadStructure, Msg: "Illegal payload, " + fmt.Sprintf(format, args...)}
}

func explain(p *schema.Problem) string {
	if p.Unknown {
		return fmt.Sprintf("%s has no field %v", p.Path, p.Value)
	}
	return p.Path + " must be " + p.Want
}

// read checks a message of the kind that the header names.
func (s *Sim) read(header string, body []byte) (*pushkit.Message, *pushkit.Refusal) {
	kind, err := strconv.Atoi(header)
	payload := payloads[kind]
	if err != nil || payload == nil {
		return nil, illegal("The header does not contain valid push-type")
	}
	raw, err := schema.Decode(body)
	if err != nil {
		return nil, illegal("it is no JSON")
	}
	p := request("", raw)
	if p == nil {
		fields, _ := raw.(map[string]any)
		p = payload("payload", fields["payload"])
	}
	if p != nil {
		return nil, illegal("%s", explain(p))
	}
	var in message
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, illegal("%v", err)
	}
	if refused := s.checkTarget(kind, &in, body); refused != nil {
		return nil, refused
	}
	out := &pushkit.Message{
		Tokens: in.Target.Token, BiTag: in.PushOptions.BiTag, PushType: kind, Test: in.PushOptions.TestMessage, Capped: 256,
		Notification: phone.Notification{ID: in.PushOptions.BiTag, Data: asJSON(in.Payload.ExtraData)},
	}
	if n := in.Payload.Notification; n != nil {
		if refused := n.check(kind); refused != nil {
			return nil, refused
		}
		out.Shown, out.Marketing, out.Again = true, n.Category == "MARKETING", s.again(n.AppMessageID)
		out.Title, out.Body = n.Title, n.Body
		if n.NotifyID != nil && *n.NotifyID >= 0 {
			out.Tag = strconv.Itoa(*n.NotifyID)
		}
		if kind == alert {
			out.Data = n.Click.Data
		}
	}
	if kind == form || kind == liveView {
		var whole struct {
			Payload json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(body, &whole) == nil {
			out.Data = whole.Payload
		}
	}
	return out, nil
}

// checkTarget checks what does not depend on the payload.
func (s *Sim) checkTarget(kind int, in *message, body []byte) *pushkit.Refusal {
	n := len(in.Target.Token)
	switch {
	case n == 0, n > pushkit.MaxTokens, kind == form && n > 1:
		return new(codes["80300010"])
	case pushkit.WithoutTokens(body, in.Target.Token) > pushkit.MaxBytes:
		return new(codes["80300008"])
	case in.PushOptions.TTL != nil && *in.PushOptions.TTL <= 0:
		return new(codes["80100004"])
	case in.PushOptions.TestMessage && n > testTokens:
		return new(codes["80300030"])
	case in.PushOptions.TestMessage && !s.Count("test", "", testsPerDay):
		return new(codes["80300029"])
	}
	return nil
}

func (n *notification) check(kind int) *pushkit.Refusal {
	switch {
	case (n.Category == "PLAY_VOICE") != (kind == speech):
		return &pushkit.Refusal{HTTP: http.StatusBadRequest, Code: pushkit.NoneGood, Msg: `{"failure":1,"illegalTokens":{"notSupportPlayVoice":[]}}`}
	case n.Style == 2:
		return illegal("style must be 0, 1 or 3")
	case n.Style == 1 && (n.BigTitle == "" || n.BigBody == ""):
		return illegal("style 1 needs bigTitle and bigBody")
	case n.Style == 3 && len(n.Inbox) == 0:
		return illegal("style 3 needs inboxContent")
	case n.Click.Type == 1 && n.Click.Action == "" && n.Click.URI == "":
		return illegal("actionType 1 needs uri or action")
	case n.SoundDuration != 0 && n.Sound == "":
		return illegal("soundDuration needs sound")
	}
	return nil
}

// revoke takes a notification off the screens.
func (s *Sim) revoke(w http.ResponseWriter, r *http.Request, body []byte) {
	refuse := func(p *pushkit.Refusal) { s.Refuse(w, *p) }
	if kind := r.Header.Get("Push-Type"); kind != "0" && kind != "2" {
		refuse(illegal("The header does not contain valid push-type"))
		return
	}
	raw, err := schema.Decode(body)
	if err != nil {
		refuse(illegal("it is no JSON"))
		return
	}
	if p := revocation("", raw); p != nil {
		refuse(illegal("%s", explain(p)))
		return
	}
	var in struct {
		NotifyID int      `json:"notifyId"`
		Token    []string `json:"token"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		refuse(illegal("%v", err))
		return
	}
	switch {
	case len(in.Token) == 0 || len(in.Token) > pushkit.MaxTokens:
		refuse(new(codes["80300010"]))
		return
	case pushkit.WithoutTokens(body, in.Token) > pushkit.MaxBytes:
		refuse(new(codes["80300008"]))
		return
	}
	known := 0
	for _, token := range in.Token {
		if _, ok := s.Phones.Find("hmos", token); ok {
			known++
			s.Phones.Retract("hmos", token, strconv.Itoa(in.NotifyID))
		}
	}
	if known == 0 {
		refuse(new(codes["80300007"]))
		return
	}
	s.Refuse(w, pushkit.Refusal{HTTP: http.StatusOK, Code: pushkit.Success, Msg: "Success"})
}

// asJSON is data as a phone keeps it: JSON as it is, other text as a JSON text.
func asJSON(data string) json.RawMessage {
	if data == "" {
		return nil
	}
	if json.Valid([]byte(data)) {
		return json.RawMessage(data)
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil
	}
	return encoded
}
