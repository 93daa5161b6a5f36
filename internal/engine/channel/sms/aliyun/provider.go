package aliyun

import (
	"encoding/json"
	"strings"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// hosts are Aliyun's, by the field `region`: of the Chinese site and of the international one.
var hosts = map[string]string{"cn": "dysmsapi.aliyuncs.com", "intl": "dysmsapi.ap-southeast-1.aliyuncs.com"}

// Provider is Aliyun.
type Provider struct {
	caller *wire.Caller
	clock  clock.Clock
}

var _ smswire.Provider = (*Provider)(nil)

// New returns the provider.
func New(d wire.Deps) *Provider { return &Provider{caller: wire.NewCaller(d), clock: d.Clock} }

// Traits of Aliyun.
func (p *Provider) Traits() smswire.Traits {
	return smswire.Traits{Name: "aliyun", Batch: 100, Parallel: 8, Rate: wire.Rate{PerSecond: 100, Unit: wire.Requests}}
}

// Credentials of an app at Aliyun.
type Credentials struct {
	smswire.Book
	keyID, keySecret, host string
}

// ID is the access key's id.
func (c *Credentials) ID() string { return c.keyID }

// Parse reads {"access_key_id", "access_key_secret", "region", "templates", "signs"}; region is optional.
func (p *Provider) Parse(raw []byte) (smswire.Credentials, error) {
	var in struct {
		KeyID     string                     `json:"access_key_id"`
		KeySecret string                     `json:"access_key_secret"`
		Region    string                     `json:"region"`
		Templates map[string]json.RawMessage `json:"templates"`
		Signs     map[string]string          `json:"signs"`
	}
	if err := wire.ReadFields(raw, &in); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, value string }{{"access_key_id", in.KeyID}, {"access_key_secret", in.KeySecret}} {
		if err := wire.CheckKey(f.name, f.value, true); err != nil {
			return nil, err
		}
		if strings.Contains(f.value, ",") { // it would end a part of the header that is signed
			return nil, &wire.FieldError{Field: f.name, Reason: "must not have a comma"}
		}
	}
	if in.Region == "" {
		in.Region = "cn"
	}
	host, ok := hosts[in.Region]
	if !ok {
		return nil, &wire.FieldError{Field: "region", Reason: "must be cn or intl"}
	}
	book, err := smswire.NewBook(smswire.Entries{Templates: in.Templates, Signs: in.Signs}, true)
	if err != nil {
		return nil, err
	}
	return &Credentials{Book: book, keyID: in.KeyID, keySecret: in.KeySecret, host: host}, nil
}
