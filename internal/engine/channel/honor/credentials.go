package honor

import (
	"cmp"
	"strings"

	"borealis/internal/engine/channel/wire"
)

// credentials of an app. The json tags are the fields that its owner enters.
type credentials struct {
	AppID        string `json:"app_id"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	// PackageName is needed to open activities, BadgeClass for badges of pushes that name no class.
	PackageName string `json:"package_name"`
	BadgeClass  string `json:"badge_class"`
	// AppName is the title of notifications without one; the package's name or the app's id if empty.
	AppName string `json:"app_name"`
}

// ID is the app's at HONOR.
func (c *credentials) ID() string { return c.AppID }

// account tells apart credentials that differ in their secret.
func (c *credentials) account() string {
	return wire.AccountKey(c.ClientID, c.ClientSecret)
}

// Parse reads credentials.
func (v *Vendor) Parse(raw []byte) (wire.Credentials, error) {
	c := &credentials{}
	if err := wire.ReadFields(raw, c); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, value string }{{"app_id", c.AppID}, {"client_id", c.ClientID}, {"client_secret", c.ClientSecret}} {
		if err := wire.CheckKey(f.name, f.value, true); err != nil {
			return nil, err
		}
	}
	if strings.Trim(c.AppID, "0123456789") != "" {
		return nil, &wire.FieldError{Field: "app_id", Reason: "must be digits; client id and app secret are other fields of the console"}
	}
	for _, f := range []struct{ name, value string }{{"package_name", c.PackageName}, {"badge_class", c.BadgeClass}} {
		if f.value != "" && !isClass(f.value) {
			return nil, &wire.FieldError{Field: f.name, Reason: "must be names with dots between, as com.example.app"}
		}
	}
	if c.AppName == "" {
		c.AppName = cmp.Or(c.PackageName, c.AppID)
	}
	return c, nil
}

// isClass tells whether a text can be the name of a package or class.
func isClass(s string) bool {
	return len(s) <= 255 && strings.Contains(s, ".") && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '.' && r != '_' && r != '$' && !(r >= 'a' && r <= 'z') && !(r >= 'A' && r <= 'Z') && !(r >= '0' && r <= '9')
	})
}
