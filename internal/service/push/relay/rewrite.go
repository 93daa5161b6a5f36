package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// vendorPlatforms are those that the vendor knows.
var vendorPlatforms = map[string]bool{"android": true, "ios": true, "quickapp": true, "hmos": true, "winphone": true}

// maxTTL is the longest time to live that the vendor takes.
const maxTTL = 10 * 24 * time.Hour

// errNotForVendor says that a push is for none of the vendor's platforms.
var errNotForVendor = errors.New("relay: the push is for none of the vendor's platforms")

// object is a push object being made for the vendor.
type object map[string]json.RawMessage

// rewrite makes the vendor's push object of ours. ttl is what is left of the time to live, override the vendor's id of the message to
// replace or "".
func rewrite(raw []byte, ids []string, cid string, ttl time.Duration, override string) ([]byte, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil || o == nil {
		return nil, fmt.Errorf("relay: the push is not a JSON object: %w", err)
	}
	platform, err := forVendor(o["platform"])
	if err != nil {
		return nil, err
	}
	var options object
	if text := o["options"]; len(text) > 0 {
		if err := json.Unmarshal(text, &options); err != nil {
			return nil, fmt.Errorf("relay: options: %w", err)
		}
	}
	if options == nil {
		options = object{}
	}
	delete(options, "override_msg_id")
	delete(options, "big_push_duration")
	set := func(in object, name string, v any) {
		if err == nil {
			in[name], err = encode(v)
		}
	}
	if override != "" {
		set(options, "override_msg_id", json.Number(override))
	}
	if !onlineOnly(options) {
		set(options, "time_to_live", max(1, int64(min(ttl, maxTTL)/time.Second)))
	}
	delete(o, "callback")
	o["platform"] = platform
	set(o, "audience", map[string][]string{"registration_id": ids})
	set(o, "cid", cid)
	set(o, "options", options)
	if err != nil {
		return nil, fmt.Errorf("relay: encode push: %w", err)
	}
	return encode(o)
}

// onlineOnly tells whether the push has a time to live of 0, as a number or as a text.
func onlineOnly(options object) bool {
	return string(bytes.Trim(options["time_to_live"], `"`)) == "0"
}

// encode is json.Marshal that leaves <, > and & as they are: the vendor counts bytes.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// forVendor leaves the platforms out that are ours.
func forVendor(raw json.RawMessage) (json.RawMessage, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		if one == "all" || vendorPlatforms[one] {
			return raw, nil
		}
		return nil, errNotForVendor
	}
	var list, kept []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("relay: platform: %w", err)
	}
	for _, p := range list {
		if vendorPlatforms[p] {
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		return nil, errNotForVendor
	}
	return encode(kept)
}
