package schedule

import (
	"bytes"
	"encoding/json"
	"net/http"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

// readBody reads the members of a schedule as a client sent it. Unknown ones are let be: clients send back what they read.
func readBody(r *http.Request) (members, error) {
	if r.Header.Get("X-Encrypt-Type") != "" {
		// Public clients encrypt for a key that only the vendor can open.
		return members{}, invalid("encrypted payloads need a server-side key that is not configured")
	}
	raw, err := compat.Body(r, maxBody)
	if err != nil {
		return members{}, invalidPart("schedule", err)
	}
	m := members{name: "schedule"}
	if err := compat.Decode(raw, &m.values); err != nil {
		return members{}, invalid("%s", err)
	}
	return m, nil
}

// cid is the idempotency key, empty if there is none.
func (m members) cid(app *gate.App) (string, error) {
	if m.get("cid") == nil {
		return "", nil
	}
	cid, err := m.text("cid")
	if err != nil {
		return "", err
	}
	if cid != "" && !payload.ValidCID(app.Key, cid) {
		return "", invalid("cid must begin with the AppKey and a dash")
	}
	return cid, nil
}

// change reads what is given of name, enabled, trigger and push.
func (m members) change(app *gate.App) (c edit, err error) {
	if m.get("name") != nil {
		name, err := m.text("name")
		if err != nil {
			return c, err
		}
		c.Name = &name
	}
	if raw := m.get("enabled"); raw != nil {
		enabled, ok := boolean(raw)
		if !ok {
			return c, invalid("enabled must be true or false")
		}
		c.Enabled = &enabled
	}
	if raw := m.get("trigger"); raw != nil {
		trigger, err := ParseTrigger(raw, app.Settings.Location())
		if err != nil {
			return c, err
		}
		c.Trigger = &trigger
	}
	c.Push = m.get("push")
	return c, nil
}

// boolean reads true and false in the spellings of clients.
func boolean(raw json.RawMessage) (value, ok bool) {
	switch string(bytes.Trim(raw, `"`)) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}
