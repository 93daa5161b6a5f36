package tencent

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
)

// request is the body of SendSms.
type request struct {
	PhoneNumbers   []string `json:"PhoneNumberSet"`
	AppID          string   `json:"SmsSdkAppId"`
	TemplateID     string   `json:"TemplateId"`
	Sign           string   `json:"SignName,omitempty"`
	Parameters     []string `json:"TemplateParamSet,omitempty"`
	SessionContext string   `json:"SessionContext,omitempty"`
}

// problem is an error for the whole call.
type problem struct {
	Code    string `json:"Code"`
	Message string `json:"Message"`
}

// Send hands messages to Tencent.
func (p *Provider) Send(ctx context.Context, c smswire.Credentials, messages []smswire.Message) []wire.Outcome {
	outcomes := make([]wire.Outcome, len(messages))
	creds, ok := c.(*Credentials)
	if !ok {
		return wire.All(len(messages), wire.NewOutcome(wire.Denied, "credentials", "are not Tencent's"))
	}
	var order []string
	groups := make(map[string][]int)
	requests := make(map[string]*request)
	for i := range messages {
		m := &messages[i]
		if err := creds.Check(m); err != nil {
			outcomes[i] = smswire.Refuse(err)
			continue
		}
		t := creds.Template(m)
		r := &request{AppID: creds.appID, TemplateID: t.ID, SessionContext: m.ID}
		if smswire.IsChinese(m.Mobile) { // others have none
			r.Sign = creds.Sign(m)
			if r.Sign == "" {
				outcomes[i] = wire.NewOutcome(wire.Rejected, "signid", "a Chinese number needs a signature")
				continue
			}
		}
		for _, name := range t.Parameters {
			r.Parameters = append(r.Parameters, m.Parameters[name])
		}
		key := string(encode(r))
		if groups[key] == nil {
			order, requests[key] = append(order, key), r
		}
		groups[key] = append(groups[key], i)
		requests[key].PhoneNumbers = append(requests[key].PhoneNumbers, m.Mobile)
	}
	for _, key := range order {
		got := p.call(ctx, creds, requests[key])
		for at, i := range groups[key] {
			outcomes[i] = got[at]
		}
	}
	return outcomes
}

// call sends to the numbers of a request and has an outcome for each.
func (p *Provider) call(ctx context.Context, c *Credentials, r *request) []wire.Outcome {
	n := len(r.PhoneNumbers)
	now := p.clock.Now()
	signed := call{host: host, service: "sms", action: "SendSms", at: now, body: encode(r)}
	header := http.Header{"Content-Type": {contentType}, "Authorization": {signed.authorization(c.secretID, c.secretKey)}}
	header.Set("X-Tc-Action", signed.action)
	header.Set("X-Tc-Version", "2021-01-11")
	header.Set("X-Tc-Timestamp", strconv.FormatInt(now.Unix(), 10))
	header.Set("X-Tc-Region", c.region)
	got, err := p.caller.Post(ctx, "https://"+host+"/", header, signed.body)
	if err != nil {
		return wire.All(n, wire.Undelivered(err))
	}
	var a struct {
		Response struct {
			Error         *problem `json:"Error"`
			SendStatusSet []struct {
				SerialNo    string `json:"SerialNo"`
				PhoneNumber string `json:"PhoneNumber"`
				Code        string `json:"Code"`
				Message     string `json:"Message"`
			} `json:"SendStatusSet"`
		} `json:"Response"`
	}
	if json.Unmarshal(got.Body, &a) != nil || a.Response.Error == nil && a.Response.SendStatusSet == nil {
		return wire.All(n, got.Refused())
	}
	if e := a.Response.Error; e != nil {
		o := p.outcome(e.Code, e.Message)
		o.After = max(o.After, got.After)
		if o.Status == wire.Accepted { // no error has the code of success
			o.Status = wire.Unknown
		}
		return wire.All(n, o)
	}
	found := make(map[string][]wire.Outcome)
	for _, s := range a.Response.SendStatusSet {
		o := p.outcome(s.Code, s.Message)
		if o.Status == wire.Accepted {
			o = wire.Outcome{Status: wire.Accepted, VendorID: wire.CutBytes(s.SerialNo, 128)}
		}
		found[s.PhoneNumber] = append(found[s.PhoneNumber], o)
	}
	outcomes := wire.All(n, wire.NewOutcome(wire.Unknown, "", "the answer does not name the number"))
	for i, number := range r.PhoneNumbers {
		if of := found[number]; len(of) > 0 {
			outcomes[i] = of[0]
			if len(of) > 1 {
				found[number] = of[1:]
			}
		}
	}
	return outcomes
}

// encode writes texts as JSON, which never fails.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return text
}
