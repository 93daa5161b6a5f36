package jpushimport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"borealis/internal/engine/audience"
)

// Device is one device, as lines of a file and the admin socket carry it.
type Device struct {
	RegistrationID string `json:"registration_id"`
	// Platform by its name, "" if it is not known.
	Platform string   `json:"platform,omitempty"`
	Alias    string   `json:"alias,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	Mobile   string   `json:"mobile,omitempty"`
}

// LineError is a line that was not imported.
type LineError struct {
	Line   int
	Reason string
}

// Error makes *LineError an error.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// ParsePlatform reads a platform as people write it; 0 for "".
func ParsePlatform(text string) (audience.Platform, error) {
	if text == "" {
		return 0, nil
	}
	p, ok := audience.ParsePlatform(strings.ToLower(text))
	if !ok {
		return 0, fmt.Errorf("platform: %q is not one of android, ios, quickapp, hmos", text)
	}
	return p, nil
}

// columns are the names that a header row and a JSON object can have.
var columns = []string{"registration_id", "platform", "alias", "tags", "mobile"}

// set fills in one column.
func (d *Device) set(column, text string) {
	text = strings.TrimSpace(text)
	switch column {
	case "registration_id":
		d.RegistrationID = text
	case "platform":
		d.Platform = text
	case "alias":
		d.Alias = text
	case "tags":
		d.Tags = splitTags(text)
	case "mobile":
		d.Mobile = text
	}
}

// splitTags reads tags with semicolons between them.
func splitTags(text string) []string {
	var tags []string
	for tag := range strings.SplitSeq(text, ";") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

// check says what is wrong with a device at first sight; the server looks closer.
func (d *Device) check() error {
	if d.RegistrationID == "" {
		return errors.New("there is no registration_id")
	}
	_, err := ParsePlatform(d.Platform)
	return err
}

// parseJSON reads a device from a JSON object. tags may be a list or a text, mobile a text or a number.
func parseJSON(line []byte) (Device, error) {
	var (
		d   Device
		raw map[string]json.RawMessage
	)
	if err := json.Unmarshal(line, &raw); err != nil || raw == nil {
		return d, errors.New("is not a JSON object")
	}
	for name, value := range raw {
		value = bytes.TrimSpace(value)
		var (
			text   string
			list   []string
			number json.Number
		)
		switch {
		case !known(name):
			return d, unknownColumn(name)
		case string(value) == "null":
		case json.Unmarshal(value, &text) == nil:
			d.set(name, text)
		case name == "tags" && json.Unmarshal(value, &list) == nil:
			d.Tags = list
		case name == "mobile" && json.Unmarshal(value, &number) == nil:
			d.Mobile = number.String()
		default:
			return d, fmt.Errorf("%s is neither a text nor null", name)
		}
	}
	return d, d.check()
}

func known(column string) bool { return slices.Contains(columns, column) }

func unknownColumn(name string) error {
	return fmt.Errorf("%q is none of %s", name, strings.Join(columns, ", "))
}
