package honor

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"borealis/internal/engine/channel/wire"
)

var errReceipt = errors.New("honor: the receipt is not understood")

// eventOf is what a status means, with what a loss is called; 0 for one that is not final.
func eventOf(status int) (event wire.Event, reason string) {
	switch status {
	case 0:
		return wire.Arrived, ""
	case 2:
		return wire.Unregistered, "the app is not installed"
	case 5:
		return wire.Unregistered, "the device does not know the token"
	case 6:
		return wire.Lost, "notifications are switched off"
	case 10:
		return wire.Lost, "the device was not online for long"
	case 15:
		return wire.Lost, "a newer message took its place"
	case 27:
		return 0, "" // kept on the device until the app runs
	case 102:
		return wire.Lost, "too many messages for the device"
	case 201:
		return wire.Lost, "kept back by the vendor"
	}
	return wire.Lost, "not told"
}

// Receipts reads what HONOR reports: JSON with a list of statuses. Entries without our stamp are left out; if there are only such, ErrSignature.
func (v *Vendor) Receipts(c wire.Credentials, _ *http.Request, body []byte) (receipts []wire.Receipt, reply []byte, err error) {
	creds, ok := c.(*credentials)
	if !ok {
		return nil, nil, wire.ErrSignature
	}
	var raw struct {
		Statuses []struct {
			BiTag     string      `json:"biTag"`
			Token     string      `json:"token"`
			Status    json.Number `json:"status"`
			Timestamp json.Number `json:"timestamp"`
		} `json:"statuses"`
	}
	if json.Unmarshal(body, &raw) != nil || raw.Statuses == nil || len(raw.Statuses) > wire.MaxReceipts {
		return nil, nil, errReceipt
	}
	stamped := len(raw.Statuses) == 0
	for _, s := range raw.Statuses {
		id, good := wire.Unstamp(creds.ClientSecret, s.BiTag)
		if !good {
			continue
		}
		stamped = true
		number, err := strconv.Atoi(s.Status.String())
		event, reason := eventOf(number)
		if err != nil || event == 0 || s.Token == "" {
			continue
		}
		at, _ := s.Timestamp.Int64() // 0 if there is none
		r := wire.Receipt{Token: s.Token, ID: id, Event: event, Reason: reason, At: max(at, 0)}
		if event != wire.Arrived {
			r.Code = strconv.Itoa(number)
		}
		receipts = append(receipts, r)
	}
	if !stamped {
		return nil, nil, wire.ErrSignature
	}
	return receipts, []byte(`{"code":"0","message":"success"}`), nil
}
