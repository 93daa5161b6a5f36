package aliyun

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
)

const version = "2017-05-25"

// Send hands messages to Aliyun.
func (p *Provider) Send(ctx context.Context, c smswire.Credentials, messages []smswire.Message) []wire.Outcome {
	outcomes := make([]wire.Outcome, len(messages))
	creds, ok := c.(*Credentials)
	if !ok {
		return wire.All(len(messages), wire.NewOutcome(wire.Denied, "credentials", "are not Aliyun's"))
	}
	var order []string
	groups := make(map[string][]int)
	for i := range messages {
		if err := creds.Check(&messages[i]); err != nil {
			outcomes[i] = smswire.Refuse(err)
			continue
		}
		code := creds.Template(&messages[i]).ID
		if groups[code] == nil {
			order = append(order, code)
		}
		groups[code] = append(groups[code], i)
	}
	for _, code := range order {
		p.group(ctx, creds, code, messages, groups[code], outcomes)
	}
	return outcomes
}

// group sends the messages of one template.
func (p *Provider) group(ctx context.Context, c *Credentials, code string, messages []smswire.Message, which []int, outcomes []wire.Outcome) {
	if len(which) > 1 {
		o, alone := p.call(ctx, c, "SendBatchSms", batch(c, code, messages, which))
		if !alone {
			for _, i := range which {
				outcomes[i] = o
			}
			return
		}
	}
	for _, i := range which {
		outcomes[i], _ = p.call(ctx, c, "SendSms", single(c, code, &messages[i]))
	}
}

func single(c *Credentials, code string, m *smswire.Message) map[string]string {
	query := map[string]string{"PhoneNumbers": number(m.Mobile), "SignName": c.Sign(m), "TemplateCode": code}
	if m.ID != "" {
		query["OutId"] = m.ID
	}
	if len(m.Parameters) > 0 {
		query["TemplateParam"] = encode(m.Parameters)
	}
	return query
}

func batch(c *Credentials, code string, messages []smswire.Message, which []int) map[string]string {
	numbers, signs, parameters := make([]string, len(which)), make([]string, len(which)), make([]map[string]string, len(which))
	some := false
	for at, i := range which {
		m := &messages[i]
		numbers[at], signs[at], parameters[at] = number(m.Mobile), c.Sign(m), m.Parameters
		if m.Parameters == nil {
			parameters[at] = map[string]string{}
		}
		some = some || len(m.Parameters) > 0
	}
	query := map[string]string{"PhoneNumberJson": encode(numbers), "SignNameJson": encode(signs), "TemplateCode": code}
	if some {
		query["TemplateParamJson"] = encode(parameters)
	}
	return query
}

// number is how Aliyun wants it: a Chinese one without its country, others without the sign. Where that would look like a Chinese one (country 1),
// 00 goes before it, which Aliyun takes too: a message must not go to another person.
func number(mobile string) string {
	if smswire.IsChinese(mobile) {
		return strings.TrimPrefix(mobile, "+86")
	}
	digits := strings.TrimPrefix(mobile, "+")
	if len(digits) == 11 && digits[0] == '1' {
		return "00" + digits
	}
	return digits
}

// call makes one call. alone says that nothing was sent because of one of several messages.
func (p *Provider) call(ctx context.Context, c *Credentials, action string, query map[string]string) (o wire.Outcome, alone bool) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce)
	signed := call{
		host: c.host, action: action, version: version, date: p.clock.Now().UTC().Format(time.RFC3339), nonce: hex.EncodeToString(nonce), query: query,
	}
	header := make(http.Header)
	for name, value := range signed.headers(c.keyID, c.keySecret) {
		header.Set(name, value)
	}
	got, err := p.caller.Post(ctx, "https://"+c.host+"/?"+signed.encoded(), header, nil)
	if err != nil {
		return wire.Undelivered(err), false
	}
	var a struct {
		Code    string `json:"Code"`
		Message string `json:"Message"`
		BizID   string `json:"BizId"`
	}
	if json.Unmarshal(got.Body, &a) != nil || a.Code == "" {
		return got.Refused(), false
	}
	o, alone = p.outcome(a.Code, a.Message)
	o.After = max(o.After, got.After)
	if o.Status == wire.Accepted {
		o.VendorID = wire.CutBytes(a.BizID, 128)
		o.Code, o.Reason = "", ""
	}
	return o, alone
}

// encode writes texts as JSON, which never fails.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}
