package simulate

import (
	"context"
	"fmt"
	"net/http"
)

// Profile is a change of what the server knows of a device; nil members stay as they are. It is the body of topic
// up/profile and of PATCH /device/v1/profile.
type Profile struct {
	Tags *Tags `json:"tags,omitempty"`
	// Alias binds the device; pointing to "" unbinds it.
	Alias *string `json:"alias,omitempty"`
	// Attributes are merged; a nil value deletes.
	Attributes map[string]*string `json:"attributes,omitempty"`
	// Timezone is an IANA name.
	Timezone             *string `json:"timezone,omitempty"`
	PushEnabled          *bool   `json:"push_enabled,omitempty"`
	NotificationsEnabled *bool   `json:"notifications_enabled,omitempty"`
}

// Tags is a change of a device's tags: either Set, which replaces all, or Add and Remove.
type Tags struct {
	Set    []string `json:"set,omitempty"`
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// IsZero reports whether p changes nothing.
func (p Profile) IsZero() bool {
	return p.Tags == nil && p.Alias == nil && p.Attributes == nil && p.Timezone == nil && p.PushEnabled == nil && p.NotificationsEnabled == nil
}

// SetProfile changes a device's profile over HTTP; client nil is http.DefaultClient. The device joins the audiences of
// its app by this call. Errors are those of Register.
func SetProfile(ctx context.Context, client *http.Client, base, appKey string, c Credentials, p Profile) error {
	err := call(ctx, client, http.MethodPatch, base, "/device/v1/profile", func(r *http.Request) {
		r.SetBasicAuth(c.RegistrationID, c.Secret)
		r.Header.Set("X-App-Key", appKey)
	}, p, nil)
	if err != nil {
		return fmt.Errorf("set profile: %w", err)
	}
	return nil
}
