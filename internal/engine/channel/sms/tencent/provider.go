package tencent

import (
	"encoding/json"
	"slices"
	"strings"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// regions that serve messages, and the address of all of them.
var regions = []string{"ap-guangzhou", "ap-beijing", "ap-nanjing", "ap-singapore"}

const host = "sms.tencentcloudapi.com"

// Provider is Tencent Cloud.
type Provider struct {
	caller *wire.Caller
	clock  clock.Clock
}

var _ smswire.Provider = (*Provider)(nil)

// New returns the provider.
func New(d wire.Deps) *Provider { return &Provider{caller: wire.NewCaller(d), clock: d.Clock} }

// Traits of Tencent.
func (p *Provider) Traits() smswire.Traits {
	return smswire.Traits{Name: "tencent", Batch: 200, Parallel: 8, Rate: wire.Rate{PerSecond: 3000, Unit: wire.Requests}}
}

// Credentials of an app at Tencent.
type Credentials struct {
	smswire.Book
	secretID, secretKey, appID, region string
}

// ID is the SMS application's id.
func (c *Credentials) ID() string { return c.appID }

// Parse reads {"secret_id", "secret_key", "sdk_app_id", "region", "templates", "signs"}; region is optional.
func (p *Provider) Parse(raw []byte) (smswire.Credentials, error) {
	var in struct {
		SecretID  string                     `json:"secret_id"`
		SecretKey string                     `json:"secret_key"`
		AppID     string                     `json:"sdk_app_id"`
		Region    string                     `json:"region"`
		Templates map[string]json.RawMessage `json:"templates"`
		Signs     map[string]string          `json:"signs"`
	}
	if err := wire.ReadFields(raw, &in); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, value string }{{"secret_id", in.SecretID}, {"secret_key", in.SecretKey}, {"sdk_app_id", in.AppID}} {
		if err := wire.CheckKey(f.name, f.value, true); err != nil {
			return nil, err
		}
		if strings.Contains(f.value, ",") { // it would end a part of the header that is signed
			return nil, &wire.FieldError{Field: f.name, Reason: "must not have a comma"}
		}
	}
	if in.Region == "" {
		in.Region = regions[0]
	}
	if !slices.Contains(regions, in.Region) {
		return nil, &wire.FieldError{Field: "region", Reason: "must be " + strings.Join(regions, ", ")}
	}
	book, err := smswire.NewBook(smswire.Entries{Templates: in.Templates, Signs: in.Signs}, false)
	if err != nil {
		return nil, err
	}
	return &Credentials{Book: book, secretID: in.SecretID, secretKey: in.SecretKey, appID: in.AppID, region: in.Region}, nil
}
