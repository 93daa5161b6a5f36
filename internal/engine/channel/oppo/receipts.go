package oppo

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"borealis/internal/engine/channel/wire"
)

// Receipts reads what OPPO posts to call_back_url. OPPO does not sign: the address itself must be one that cannot be guessed. What is
// reported for another app than that of the credentials is refused, if they name one.
func (v *Vendor) Receipts(c wire.Credentials, _ *http.Request, body []byte) ([]wire.Receipt, []byte, error) {
	creds, ok := c.(*credentials)
	if !ok {
		return nil, nil, wire.ErrSignature
	}
	var reports []struct {
		AppID           json.RawMessage `json:"appId"`
		RegistrationIDs string          `json:"registrationIds"`
		EventTime       json.RawMessage `json:"eventTime"`
		Param           string          `json:"param"`
		EventType       string          `json:"eventType"`
	}
	if err := json.Unmarshal(body, &reports); err != nil {
		return nil, nil, errors.New("oppo: a receipt is a JSON array of reports")
	}
	var receipts []wire.Receipt
	for _, r := range reports {
		if app := plain(r.AppID); creds.appID != "" && app != "" && app != creds.appID {
			return nil, nil, wire.ErrSignature
		}
		one := wire.Receipt{ID: wire.ReadID(r.Param)}
		one.At, _ = strconv.ParseInt(plain(r.EventTime), 10, 64)
		one.At = max(0, one.At)
		switch r.EventType {
		case "push_arrive":
			one.Event = wire.Arrived
		case "regid_invalid":
			one.Event = wire.Unregistered
		case "user_daily_limit":
			one.Event, one.Code = wire.Lost, r.EventType
		default:
			continue // what OPPO may add later
		}
		for id := range strings.SplitSeq(r.RegistrationIDs, ",") {
			one.Token = strings.TrimSpace(id)
			if one.Token == "" && one.ID == "" {
				continue
			}
			if len(receipts) == wire.MaxReceipts {
				return nil, nil, errors.New("oppo: too many devices in one receipt")
			}
			receipts = append(receipts, one)
		}
	}
	return receipts, []byte("{}"), nil
}

// plain is a JSON text or number as a text.
func plain(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}
