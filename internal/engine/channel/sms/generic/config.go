package generic

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"borealis/internal/engine/channel/wire"
)

// Config is the operator's description of a gateway.
type Config struct {
	// URL is absolute, http or https. Method is POST if empty, else POST, PUT or GET; GET sends the form as the query.
	URL    string `json:"url"`
	Method string `json:"method"`
	// Headers of each call, for instance Authorization.
	Headers map[string]string `json:"headers"`
	// Encoding of the body: json (if empty) or form.
	Encoding string `json:"encoding"`
	// Body is JSON with placeholders in its texts; of a form an object of texts.
	Body json.RawMessage `json:"body"`
	// Statuses that mean success; empty: 200 to 299.
	Statuses []int `json:"statuses"`
	// ResultField is the path of a field in the answer ("data.code", "results.0.status") that says whether it was accepted, and
	// Success are its values that do; empty: the status decides.
	ResultField string   `json:"result_field"`
	Success     []string `json:"success"`
	// Results say what other values mean: "invalid", "denied", "quota", "limited", "failed", "silenced", "rejected". A value that is not
	// named is "rejected".
	Results map[string]string `json:"results"`
	// ReasonField and IDField are the paths of the gateway's text and of its id of the message.
	ReasonField string `json:"reason_field"`
	IDField     string `json:"id_field"`
	// SignNeeded: there is no message without a signature.
	SignNeeded bool `json:"sign_needed"`
	// Idempotent: the gateway drops a repetition of the same {id} and {mobile}.
	Idempotent bool `json:"idempotent"`
	// PerSecond is how many messages the gateway takes; 0: 10. Parallel is how many at once; 0: 4.
	PerSecond int `json:"per_second"`
	Parallel  int `json:"parallel"`
}

const (
	jsonEncoding = "json"
	formEncoding = "form"
	// maxBody bounds the described body, in bytes.
	maxBody = 16 << 10
)

// statuses are what Results may say.
var statuses = map[string]wire.Status{
	"invalid": wire.Invalid, "denied": wire.Denied, "quota": wire.Quota, "limited": wire.Limited, "failed": wire.Failed, "silenced": wire.Silenced,
	"rejected": wire.Rejected,
}

// check says what is wrong with a description, and fills in what was left out.
func (c *Config) check() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("sms gateway: url must be an absolute http or https address")
	}
	c.Method, c.Encoding = strings.ToUpper(c.Method), strings.ToLower(c.Encoding)
	if c.Method == "" {
		c.Method = http.MethodPost
	}
	if c.Encoding == "" {
		c.Encoding = jsonEncoding
	}
	switch {
	case !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodGet}, c.Method):
		return errors.New("sms gateway: method must be POST, PUT or GET")
	case c.Encoding != jsonEncoding && c.Encoding != formEncoding:
		return errors.New("sms gateway: encoding must be json or form")
	case c.Method == http.MethodGet && c.Encoding != formEncoding:
		return errors.New("sms gateway: GET needs the encoding form")
	case len(c.Body) == 0 || len(c.Body) > maxBody || !json.Valid(c.Body):
		return errors.New("sms gateway: body must be JSON of at most 16 KiB")
	case !strings.Contains(string(c.Body), "{mobile}"):
		return errors.New("sms gateway: body has no {mobile}")
	case c.ResultField != "" && len(c.Success) == 0:
		return errors.New("sms gateway: result_field needs success")
	case c.ResultField == "" && (len(c.Success) > 0 || len(c.Results) > 0):
		return errors.New("sms gateway: success and results need result_field")
	case c.PerSecond < 0 || c.Parallel < 0:
		return errors.New("sms gateway: per_second and parallel must not be negative")
	}
	var form map[string]string
	if c.Encoding == formEncoding && json.Unmarshal(c.Body, &form) != nil {
		return errors.New("sms gateway: body of a form must be an object of texts")
	}
	for _, s := range c.Statuses {
		if s < 100 || s > 999 {
			return fmt.Errorf("sms gateway: status %d is none", s)
		}
	}
	for _, value := range slices.Sorted(maps.Keys(c.Results)) {
		if _, ok := statuses[c.Results[value]]; !ok {
			return fmt.Errorf("sms gateway: results: %s is not known", c.Results[value])
		}
	}
	for name, value := range c.Headers {
		if textproto.TrimString(name) != name || name == "" || strings.ContainsAny(name+value, "\r\n\x00") || strings.ContainsAny(name, " :") {
			return errors.New("sms gateway: a header is none")
		}
	}
	return nil
}
