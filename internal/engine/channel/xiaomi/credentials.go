package xiaomi

import (
	"slices"
	"strings"
	"unicode"

	"borealis/internal/engine/channel/wire"
)

// hosts of the API by region. India's was Mumbai's, hence its name.
var hosts = map[string]string{
	"cn": "https://api.xmpush.xiaomi.com",
	"ru": "https://ru-api.xmpush.global.xiaomi.com",
	"in": "https://idmb-api.xmpush.global.xiaomi.com",
	"fr": "https://fr-api.xmpush.global.xiaomi.com",
	"sg": "https://sgp-api.xmpush.global.xiaomi.com",
}

// home is the region whose rules about notification channels and quotas are the ones of docs/channels/xiaomi.md.
const home = "cn"

// credentials of an app. The json tags are the fields that its owner enters.
type credentials struct {
	AppSecret   string `json:"app_secret"`
	PackageName string `json:"package_name"`
	// Region of the phones: a key of hosts; cn if empty.
	Region string `json:"region"`
	// AppName is the title of notifications without one; the package's name if empty.
	AppName string `json:"app_name"`
	// ChannelID is for messages that name no channel, SystemChannelID for those of class System.
	ChannelID       string `json:"channel_id"`
	SystemChannelID string `json:"system_channel_id"`
}

// ID is the package and its region: a package has one account in each.
func (c *credentials) ID() string { return c.PackageName + "@" + c.Region }

// Parse reads credentials.
func (v *Vendor) Parse(raw []byte) (wire.Credentials, error) {
	c := &credentials{}
	if err := wire.ReadFields(raw, c); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, value string }{{"app_secret", c.AppSecret}, {"package_name", c.PackageName}} {
		if err := wire.CheckKey(f.name, f.value, true); err != nil {
			return nil, err
		}
	}
	if !isPackage(c.PackageName) {
		return nil, &wire.FieldError{Field: "package_name", Reason: "must be the name of an Android package, as com.example.app"}
	}
	if c.Region == "" {
		c.Region = home
	}
	if hosts[c.Region] == "" {
		return nil, &wire.FieldError{Field: "region", Reason: "must be cn, ru, in, fr or sg"}
	}
	if c.AppName == "" {
		c.AppName = c.PackageName
	}
	return c, nil
}

// isPackage tells whether a text is two or more identifiers with dots between.
func isPackage(s string) bool {
	parts := strings.Split(s, ".")
	return len(s) <= 255 && len(parts) > 1 && !slices.ContainsFunc(parts, func(part string) bool {
		return part == "" || unicode.IsDigit(rune(part[0])) || strings.ContainsFunc(part, func(r rune) bool {
			return r != '_' && !(r >= 'a' && r <= 'z') && !(r >= 'A' && r <= 'Z') && !(r >= '0' && r <= '9')
		})
	})
}
