package xiaomi

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"borealis/internal/engine/channel/wire"
)

// Types of receipts. callback.type is their sum.
const (
	callDelivered = 1
	callClicked   = 2
	callInvalid   = 16
	callDisabled  = 32
	callFiltered  = 64
	callQuota     = 128
	callExpired   = 1024
)

// eventOf is what a type means, with what a loss is called; 0 if it is not known.
func eventOf(kind int) (event wire.Event, reason string) {
	switch kind {
	case callDelivered:
		return wire.Arrived, ""
	case callClicked:
		return wire.Clicked, ""
	case callInvalid:
		return wire.Unregistered, "the regid is not valid"
	case callDisabled:
		return wire.Lost, "push is switched off on the device"
	case callFiltered:
		return wire.Lost, "the device does not meet the conditions of the message"
	case callQuota:
		return wire.Lost, "the quota of the day is used up"
	case callExpired:
		return wire.Lost, "the message expired before the device was online"
	}
	return 0, ""
}

var errReceipt = errors.New("xiaomi: the receipt is not understood")

// Receipts reads what Xiaomi reports: a form with data, an object of message ids. Entries without our stamp are left out; if there are only
// such, ErrSignature.
func (v *Vendor) Receipts(c wire.Credentials, _ *http.Request, body []byte) (receipts []wire.Receipt, reply []byte, err error) {
	creds, ok := c.(*credentials)
	if !ok {
		return nil, nil, wire.ErrSignature
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, nil, errReceipt
	}
	var entries map[string]struct {
		Param     string      `json:"param"`
		Type      json.Number `json:"type"`
		Targets   string      `json:"targets"`
		Timestamp json.Number `json:"timestamp"`
	}
	if json.Unmarshal([]byte(form.Get("data")), &entries) != nil {
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
		kind, err := strconv.Atoi(e.Type.String())
		event, reason := eventOf(kind)
		if err != nil || event == 0 {
			continue
		}
		at, _ := e.Timestamp.Int64() // 0 if there is none
		for target := range strings.SplitSeq(e.Targets, ",") {
			if target = strings.TrimSpace(target); target == "" {
				continue
			}
			if len(receipts) == wire.MaxReceipts {
				return nil, nil, errReceipt
			}
			r := wire.Receipt{Token: target, ID: id, Event: event, Reason: reason, At: max(at, 0)}
			if reason != "" {
				r.Code = strconv.Itoa(kind)
			}
			receipts = append(receipts, r)
		}
	}
	if !stamped {
		return nil, nil, wire.ErrSignature
	}
	return receipts, []byte("ok"), nil
}
