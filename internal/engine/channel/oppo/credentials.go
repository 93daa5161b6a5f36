package oppo

import "borealis/internal/engine/channel/wire"

// hosts are OPPO's, by the field `region`. Registration ids of devices bought in China work at the first two only.
var hosts = map[string]string{
	"cn":        "https://api.push.oppomobile.com",
	"cn-heytap": "https://api-push-cn.heytapmobi.com",
	"intl":      "https://api-intl.push.oppomobile.com",
}

// credentials of an app at OPPO Push.
type credentials struct {
	appID, appKey, masterSecret, host string
	account                           string
}

// ID is the app key, which OPPO counts limits for.
func (c *credentials) ID() string { return c.appKey }

// Parse reads {"app_key", "master_secret", "app_id", "region"}; the last two are optional.
func (v *Vendor) Parse(raw []byte) (wire.Credentials, error) {
	var in struct {
		AppID        string `json:"app_id"`
		AppKey       string `json:"app_key"`
		MasterSecret string `json:"master_secret"`
		Region       string `json:"region"`
	}
	if err := wire.ReadFields(raw, &in); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name, value string
		needed      bool
	}{{"app_id", in.AppID, false}, {"app_key", in.AppKey, true}, {"master_secret", in.MasterSecret, true}} {
		if err := wire.CheckKey(f.name, f.value, f.needed); err != nil {
			return nil, err
		}
	}
	if in.Region == "" {
		in.Region = "cn"
	}
	host, ok := hosts[in.Region]
	if !ok {
		return nil, &wire.FieldError{Field: "region", Reason: "must be cn, cn-heytap or intl"}
	}
	return &credentials{
		appID: in.AppID, appKey: in.AppKey, masterSecret: in.MasterSecret, host: host, account: wire.AccountKey(in.AppKey, in.MasterSecret, host),
	}, nil
}
