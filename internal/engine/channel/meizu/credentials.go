package meizu

import (
	"strings"

	"borealis/internal/engine/channel/wire"
)

// credentials of an app. The json tags are the fields that its owner enters.
type credentials struct {
	AppID     string `json:"app_id"`
	AppSecret string `json:"app_secret"`
	// Region is cn or global; cn if empty.
	Region string `json:"region"`
	// ReceiptToken is what Meizu's console has beside the address for receipts; empty if none is registered there.
	ReceiptToken string `json:"receipt_token"`
	// AppName is the title of notifications without one; the app's id if empty.
	AppName string `json:"app_name"`
}

// ID is the app's at Meizu.
func (c *credentials) ID() string { return c.AppID + "@" + c.Region }

// host of the API in the region.
func (c *credentials) host() string {
	if c.Region == "global" {
		return "https://server-api-push.in.meizu.com"
	}
	return "https://server-api-push.meizu.com"
}

// Parse reads credentials.
func (v *Vendor) Parse(raw []byte) (wire.Credentials, error) {
	c := &credentials{}
	if err := wire.ReadFields(raw, c); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, value string }{{"app_id", c.AppID}, {"app_secret", c.AppSecret}} {
		if err := wire.CheckKey(f.name, f.value, true); err != nil {
			return nil, err
		}
	}
	if strings.Trim(c.AppID, "0123456789") != "" {
		return nil, &wire.FieldError{Field: "app_id", Reason: "must be digits"}
	}
	switch c.Region {
	case "":
		c.Region = "cn"
	case "cn", "global":
	default:
		return nil, &wire.FieldError{Field: "region", Reason: "must be cn or global"}
	}
	if c.AppName == "" {
		c.AppName = c.AppID
	}
	return c, nil
}
