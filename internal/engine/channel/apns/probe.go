package apns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"borealis/internal/engine/channel/wire"
)

// Probe asks Apple to wake a device that does not exist: Apple looks at the credentials first. A key or certificate that is for
// both environments is good if one of them takes it.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.ErrForeign
	}
	if creds.production != creds.sandbox {
		if err := v.probe(ctx, creds, false, ""); err != nil {
			return err
		}
		return v.probe(ctx, creds, true, sandboxPrefix)
	}
	err := v.probe(ctx, creds, false, "")
	if wrong, ok := err.(*wire.FieldError); ok && wrong.Reason == otherEnvironment { //nolint:errorlint // probe does not wrap it
		return v.probe(ctx, creds, true, "")
	}
	return err
}

// otherEnvironment is the reason of a FieldError.
const otherEnvironment = "is for the other environment of Apple"

// probe tries the credentials in one environment. prefix is that of the fields they were read from.
func (v *Vendor) probe(ctx context.Context, c *credentials, sandbox bool, prefix string) error {
	id := c.identity(sandbox)
	secret := prefix + fieldKey
	if id.key == nil {
		secret = prefix + fieldCertificate
	}
	if id.expired(v.deps.Clock.Now()) {
		return &wire.FieldError{Field: secret, Reason: "has expired"}
	}
	header := http.Header{
		"Content-Type": {contentTypeJSON}, "Apns-Topic": {c.bundle},
		"Apns-Push-Type": {typeBackground}, "Apns-Priority": {"5"}, "Apns-Expiration": {"0"},
	}
	address := host(sandbox) + "/3/device/" + strings.Repeat("0", 64)
	answer, err := v.call(ctx, c, sandbox, http.MethodPost, address, header, []byte(`{"aps":{"content-available":1}}`))
	if err != nil {
		return err
	}
	switch reason := readRefusal(answer.Body).Reason; reason {
	case "BadDeviceToken", "Unregistered", "ExpiredToken", "DeviceTokenNotForTopic", "TooManyRequests":
		return nil
	case "BadTopic", "MissingTopic", "TopicDisallowed", "TopicMismatch":
		return &wire.FieldError{Field: fieldBundle, Reason: "Apple does not let these credentials send to it: " + reason}
	case "InvalidProviderToken", "Forbidden", "BadCertificate", "MissingProviderToken", "UnrelatedKeyIdInToken":
		return &wire.FieldError{Field: secret, Reason: "Apple does not take it: " + reason}
	case "BadEnvironmentKeyIdInToken", "BadEnvironmentKeyInToken", "BadCertificateEnvironment":
		return &wire.FieldError{Field: secret, Reason: otherEnvironment}
	case "":
		if answer.Status == http.StatusOK {
			return nil
		}
	case "ExpiredProviderToken":
		return errors.New("apns: Apple finds the provider token too old: the clock of this server is wrong")
	}
	o := judge(answer, true)
	return fmt.Errorf("apns: status %d: %s", answer.Status, o.Reason)
}
