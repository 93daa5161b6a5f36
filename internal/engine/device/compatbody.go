package device

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"borealis/internal/kernel/web"
)

// maxCompatBody is the longest body in bytes: 2,000 registration ids are a tenth of it.
const maxCompatBody = 512 << 10

// members is a JSON object of a call. Real clients send null for nothing, and [] for an empty object.
type members map[string]json.RawMessage

// readBody reads the body as a JSON object, whatever its Content-Type says.
func readBody(req *http.Request) (members, error) {
	data, err := io.ReadAll(io.LimitReader(req.Body, maxCompatBody+1))
	switch {
	case web.IsTooLarge(err), len(data) > maxCompatBody:
		return nil, badParameter("the body is longer than %d bytes", maxCompatBody)
	case err != nil:
		return nil, badParameter("the body was not received completely")
	case !utf8.Valid(data):
		return nil, badParameter("the body must be valid UTF-8")
	}
	return parseMembers("the body", data)
}

// registrationIDs reads the named lists of the body's registration_ids; at least one has an element.
func registrationIDs(req *http.Request, names ...string) ([][]string, error) {
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	object, err := body.object("registration_ids")
	if err != nil {
		return nil, err
	}
	var (
		lists        = make([][]string, len(names))
		some, tooBig bool
	)
	for i, name := range names {
		if lists[i], err = object.strings(name); err != nil {
			return nil, err
		}
		some = some || len(lists[i]) > 0
		tooBig = tooBig || len(lists[i]) > maxIDs
	}
	if !some || tooBig {
		return nil, badParameter("registration_ids must have %s, with at most %d elements each", strings.Join(names, " or "), maxIDs)
	}
	return lists, nil
}

func parseMembers(what string, data []byte) (members, error) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || string(data) == "null" || emptyList(data) {
		return nil, nil
	}
	var m members
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, badParameter("%s must be a JSON object", what)
	}
	return m, nil
}

func emptyList(data []byte) bool {
	var list []json.RawMessage
	return data[0] == '[' && json.Unmarshal(data, &list) == nil && len(list) == 0
}

// present tells whether a member is there and not null.
func (m members) present(name string) bool {
	raw, ok := m[name]
	return ok && !isNull(raw)
}

func (m members) object(name string) (members, error) { return parseMembers(name, m[name]) }

// strings is a list of texts; none if the member is absent.
func (m members) strings(name string) ([]string, error) {
	if !m.present(name) {
		return nil, nil
	}
	var list []*string
	if err := json.Unmarshal(m[name], &list); err != nil || slices.Contains(list, nil) {
		return nil, badParameter("%s must be a list of strings", name)
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = *s
	}
	return out, nil
}

// text is a member that is a string, or where number is set the digits of a number; nil if it is absent.
func (m members) text(name string, number bool) (*string, error) {
	if !m.present(name) {
		return nil, nil
	}
	var s string
	if err := json.Unmarshal(m[name], &s); err == nil {
		return &s, nil
	}
	var n json.Number
	if number && json.Unmarshal(m[name], &n) == nil {
		s = n.String()
		return &s, nil
	}
	return nil, badParameter("%s must be a string", name)
}

// deviceChange reads the body of POST /v3/devices/{rid}.
func deviceChange(body members) (ProfileChange, error) {
	var (
		c   ProfileChange
		err error
	)
	if !body.present("tags") && !body.present("alias") && !body.present("mobile") {
		return c, badParameter("one of tags, alias, mobile is needed")
	}
	if c.Alias, err = body.text("alias", false); err != nil {
		return c, err
	}
	if c.Mobile, err = body.text("mobile", true); err != nil {
		return c, err
	}
	if !body.present("tags") {
		return c, nil
	}
	if string(bytes.TrimSpace(body["tags"])) == `""` {
		c.Tags = &Tags{Replace: true}
		return c, nil
	}
	lists, err := body.object("tags")
	if err != nil {
		return c, err
	}
	c.Tags = &Tags{}
	if c.Tags.Add, err = lists.strings("add"); err != nil {
		return c, err
	}
	c.Tags.Remove, err = lists.strings("remove")
	return c, err
}
