package device

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"borealis/internal/engine/audience"
)

// Limits of what a device says of itself.
const (
	maxText          = 128 // bytes of a package, model, version, time zone or locale
	minInstallID     = 16
	maxInstallID     = 64
	maxPurposes      = 16
	maxAttributes    = 64
	maxAttributeKey  = 64  // bytes
	maxAttributeText = 512 // bytes
)

// checkText demands valid UTF-8 without control characters, at most limit bytes.
func checkText(field, v string, limit int) error {
	switch {
	case len(v) > limit:
		return invalid(field, fmt.Sprintf("must not be longer than %d bytes", limit))
	case !utf8.ValidString(v):
		return invalid(field, "must be valid UTF-8")
	case strings.ContainsFunc(v, unicode.IsControl):
		return invalid(field, "must not contain control characters")
	}
	return nil
}

func (reg Registration) check() error {
	if !audience.AllPlatforms.Has(reg.Platform) || reg.Platform == audience.WinPhone {
		return invalid("platform", "must be one of android, ios, quickapp, hmos, web, desktop, iot")
	}
	if err := checkInstallID(reg.InstallID); err != nil {
		return err
	}
	for _, f := range [...]struct{ field, value string }{
		{"package", reg.Package},
		{"device.model", reg.Device.Model},
		{"device.os_version", reg.Device.OSVersion},
		{"device.app_version", reg.Device.AppVersion},
		{"device.sdk_version", reg.Device.SDKVersion},
		{"device.locale", reg.Device.Locale},
	} {
		if err := checkText(f.field, f.value, maxText); err != nil {
			return err
		}
	}
	if err := checkTimezone("device.timezone", reg.Device.Timezone); err != nil {
		return err
	}
	if reg.RegistrationID == "" && reg.Secret != "" {
		return invalid("registration_id", "is needed with a secret")
	}
	if reg.ImportedID != "" {
		if err := checkImportedID(reg.ImportedID); err != nil {
			return err
		}
		if reg.InstallID == "" {
			return invalid("install_id", "is needed with imported_id")
		}
	}
	return reg.Consent.check()
}

func checkInstallID(id string) error {
	if id == "" {
		return nil
	}
	if len(id) < minInstallID || len(id) > maxInstallID {
		return invalid("install_id", fmt.Sprintf("must have %d to %d characters, e.g. a random UUID", minInstallID, maxInstallID))
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return invalid("install_id", "must be visible ASCII characters, e.g. a random UUID")
		}
	}
	return nil
}

// checkTimezone demands the form of an IANA name. Whether the zone exists depends on the version of the database of
// zones, so it is asked where times are computed.
func checkTimezone(field, zone string) error {
	if len(zone) > maxText {
		return invalid(field, fmt.Sprintf("must not be longer than %d bytes", maxText))
	}
	for i := range len(zone) {
		b := zone[i]
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("/_+-", b) >= 0) {
			return invalid(field, "must be an IANA name such as Asia/Shanghai")
		}
	}
	return nil
}

func (c *Consent) check() error {
	if c == nil {
		return nil
	}
	if err := checkText("consent.version", c.Version, maxText); err != nil {
		return err
	}
	if len(c.Purposes) > maxPurposes {
		return invalid("consent.purposes", fmt.Sprintf("must not have more than %d elements", maxPurposes))
	}
	for i, p := range c.Purposes {
		if err := checkText(fmt.Sprintf("consent.purposes[%d]", i), p, maxText); err != nil {
			return err
		}
	}
	return nil
}
