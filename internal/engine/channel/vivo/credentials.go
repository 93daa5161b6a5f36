package vivo

import (
	"encoding/json"
	"strings"

	"borealis/internal/engine/channel/wire"
)

// credentials of an app at vivo Push.
type credentials struct {
	appID                          json.Number
	appKey, appSecret, packageName string
	account                        string
}

// ID is the app id.
func (c *credentials) ID() string { return c.appID.String() }

// Parse reads {"app_id", "app_key", "app_secret", "package_name"}; the last one is optional.
func (v *Vendor) Parse(raw []byte) (wire.Credentials, error) {
	var in struct {
		AppID       string `json:"app_id"`
		AppKey      string `json:"app_key"`
		AppSecret   string `json:"app_secret"`
		PackageName string `json:"package_name"`
	}
	if err := wire.ReadFields(raw, &in); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name, value string
		needed      bool
	}{{"app_id", in.AppID, true}, {"app_key", in.AppKey, true}, {"app_secret", in.AppSecret, true}, {"package_name", in.PackageName, false}} {
		if err := wire.CheckKey(f.name, f.value, f.needed); err != nil {
			return nil, err
		}
	}
	if len(in.AppID) > 18 || in.AppID[0] == '0' || strings.ContainsFunc(in.AppID, func(r rune) bool { return r < '0' || r > '9' }) {
		return nil, &wire.FieldError{Field: "app_id", Reason: "must be a number"}
	}
	return &credentials{
		appID: json.Number(in.AppID), appKey: in.AppKey, appSecret: in.AppSecret, packageName: in.PackageName, account: wire.AccountKey(in.AppID, in.AppKey, in.AppSecret),
	}, nil
}
