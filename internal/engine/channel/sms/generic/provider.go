package generic

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
)

// Provider is the operator's gateway.
type Provider struct {
	caller *wire.Caller
	config Config
}

var _ smswire.Provider = (*Provider)(nil)

// New returns the provider, or says what is wrong with its description.
func New(d wire.Deps, c Config) (*Provider, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Provider{caller: wire.NewCaller(d), config: c}, nil
}

// Traits of the gateway: a message a call.
func (p *Provider) Traits() smswire.Traits {
	t := smswire.Traits{
		Name: "generic", Batch: 1, Parallel: p.config.Parallel, Rate: wire.Rate{PerSecond: p.config.PerSecond, Unit: wire.Requests},
		Idempotent: p.config.Idempotent,
	}
	if t.Parallel == 0 {
		t.Parallel = 4
	}
	if t.Rate.PerSecond == 0 {
		t.Rate.PerSecond = 10
	}
	return t
}

// Credentials are an app's templates and signatures.
type Credentials struct{ smswire.Book }

// ID is the same for all apps, since they share the operator's account.
func (c *Credentials) ID() string { return "gateway" }

// Parse reads {"templates", "signs"}.
func (p *Provider) Parse(raw []byte) (smswire.Credentials, error) {
	var in smswire.Entries
	if err := wire.ReadFields(raw, &in); err != nil {
		return nil, err
	}
	book, err := smswire.NewBook(in, p.config.SignNeeded)
	if err != nil {
		return nil, err
	}
	return &Credentials{book}, nil
}

// Send makes a call for each message.
func (p *Provider) Send(ctx context.Context, c smswire.Credentials, messages []smswire.Message) []wire.Outcome {
	outcomes := make([]wire.Outcome, len(messages))
	creds, ok := c.(*Credentials)
	if !ok {
		return wire.All(len(messages), wire.NewOutcome(wire.Denied, "credentials", "are not of this gateway"))
	}
	for i := range messages {
		if err := creds.Check(&messages[i]); err != nil {
			outcomes[i] = smswire.Refuse(err)
			continue
		}
		outcomes[i] = p.call(ctx, creds, &messages[i])
	}
	return outcomes
}

func (p *Provider) call(ctx context.Context, c *Credentials, m *smswire.Message) wire.Outcome {
	body, form, err := p.fill(c, m)
	if err != nil {
		return wire.NewOutcome(wire.Rejected, "temp_para", "cannot be written")
	}
	header := make(http.Header)
	address := p.config.URL
	switch {
	case p.config.Method == http.MethodGet:
		body = nil
		mark := "?"
		if strings.Contains(address, "?") {
			mark = "&"
		}
		address += mark + form.Encode()
	case form != nil:
		header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
		body = []byte(form.Encode())
	default:
		header.Set("Content-Type", "application/json; charset=UTF-8")
	}
	for name, value := range p.config.Headers {
		header.Set(name, value)
	}
	got, err := p.caller.Do(ctx, p.config.Method, address, header, body)
	if err != nil {
		return wire.Undelivered(err)
	}
	return p.outcome(got)
}

// fill puts the message into the described body: JSON, or a form.
func (p *Provider) fill(c *Credentials, m *smswire.Message) ([]byte, url.Values, error) {
	parameters := m.Parameters
	if parameters == nil {
		parameters = map[string]string{}
	}
	object, err := json.Marshal(parameters)
	if err != nil {
		return nil, nil, err
	}
	texts := strings.NewReplacer(
		"{mobile}", m.Mobile, "{template}", c.Template(m).ID, "{sign}", c.Sign(m), "{id}", m.ID, "{params}", string(object),
	)
	if p.config.Encoding == formEncoding {
		var fields map[string]string
		if err := json.Unmarshal(p.config.Body, &fields); err != nil {
			return nil, nil, err
		}
		form := make(url.Values, len(fields))
		for name, text := range fields {
			form.Set(name, texts.Replace(text))
		}
		return nil, form, nil
	}
	d := json.NewDecoder(bytes.NewReader(p.config.Body))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, nil, err
	}
	body, err := json.Marshal(fillTree(tree, texts, parameters))
	return body, nil, err
}

// fillTree replaces the texts of decoded JSON.
func fillTree(node any, texts *strings.Replacer, parameters map[string]string) any {
	switch n := node.(type) {
	case string:
		if n == "{params}" {
			return parameters
		}
		return texts.Replace(n)
	case []any:
		for i := range n {
			n[i] = fillTree(n[i], texts, parameters)
		}
	case map[string]any:
		for key := range n {
			n[key] = fillTree(n[key], texts, parameters)
		}
	}
	return node
}

// outcome reads an answer as the operator described it.
func (p *Provider) outcome(got wire.Answer) wire.Outcome {
	good := got.Status >= http.StatusOK && got.Status < http.StatusMultipleChoices
	if len(p.config.Statuses) > 0 {
		good = slices.Contains(p.config.Statuses, got.Status)
	}
	var tree any
	d := json.NewDecoder(bytes.NewReader(got.Body))
	d.UseNumber()
	readable := d.Decode(&tree) == nil
	result, there := field(tree, p.config.ResultField)
	switch {
	case p.config.ResultField != "" && readable && there:
		if slices.Contains(p.config.Success, result) {
			if !good { // the body does not know what happened
				return got.Refused()
			}
			return p.accepted(tree)
		}
		status, known := statuses[p.config.Results[result]]
		switch {
		case !known && !good:
			status = got.Refused().Status
		case !known:
			status = wire.Rejected
		}
		reason, _ := field(tree, p.config.ReasonField)
		o := wire.NewOutcome(status, result, reason)
		o.After = got.After
		return o
	case !good:
		o := got.Refused()
		if o.Status == wire.Unknown && got.Status < http.StatusMultipleChoices { // a success that the operator does not count as one
			o.Status = wire.Rejected
		}
		return o
	case p.config.ResultField != "":
		return wire.NewOutcome(wire.Unknown, strconv.Itoa(got.Status), "the answer has no "+p.config.ResultField)
	}
	return p.accepted(tree)
}

func (p *Provider) accepted(tree any) wire.Outcome {
	id, _ := field(tree, p.config.IDField)
	return wire.Outcome{Status: wire.Accepted, VendorID: wire.CutBytes(id, 128)}
}

// field is the text of a field of decoded JSON, by its path.
func field(tree any, path string) (string, bool) {
	if path == "" {
		return "", false
	}
	for part := range strings.SplitSeq(path, ".") {
		switch node := tree.(type) {
		case map[string]any:
			tree = node[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(node) {
				return "", false
			}
			tree = node[i]
		default:
			return "", false
		}
	}
	switch value := tree.(type) {
	case string:
		return value, true
	case json.Number:
		return value.String(), true
	case bool:
		return strconv.FormatBool(value), true
	}
	return "", false
}
