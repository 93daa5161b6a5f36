package meizu

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"borealis/internal/engine/channel/wire"
)

var errReceipt = errors.New("meizu: the receipt is not understood")

// Receipts reads what Meizu reports: a form with cb, an object by message and type, and the token of the address. Entries without our
// stamp are left out; if there are only such, or the token is wrong, ErrSignature.
func (v *Vendor) Receipts(c wire.Credentials, _ *http.Request, body []byte) (receipts []wire.Receipt, reply []byte, err error) {
	creds, ok := c.(*credentials)
	if !ok {
		return nil, nil, wire.ErrSignature
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, nil, errReceipt
	}
	if creds.ReceiptToken == "" || subtle.ConstantTimeCompare([]byte(form.Get("access_token")), []byte(creds.ReceiptToken)) != 1 {
		return nil, nil, wire.ErrSignature
	}
	var entries map[string]struct {
		Param   string      `json:"param"`
		Type    json.Number `json:"type"`
		Targets []string    `json:"targets"`
	}
	if json.Unmarshal([]byte(form.Get("cb")), &entries) != nil {
		return nil, nil, errReceipt
	}
	stamped := len(entries) == 0
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		e := entries[key]
		id, good := wire.Unstamp(creds.AppSecret, e.Param)
		if !good {
			continue
		}
		stamped = true
		var event wire.Event
		switch kind, _ := e.Type.Int64(); kind {
		case callDelivered:
			event = wire.Arrived
		case callClicked:
			event = wire.Clicked
		default:
			continue
		}
		if len(receipts)+len(e.Targets) > wire.MaxReceipts {
			return nil, nil, errReceipt
		}
		for _, target := range e.Targets {
			if target != "" {
				receipts = append(receipts, wire.Receipt{Token: target, ID: id, Event: event})
			}
		}
	}
	if !stamped {
		return nil, nil, wire.ErrSignature
	}
	return receipts, []byte("ok"), nil
}
