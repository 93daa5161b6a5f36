package vivo

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"borealis/internal/engine/channel/wire"
)

// Kinds of reports. Those without one, from addresses of old, say that a message arrived.
var (
	arrivals = []string{"", "0", "300"}
	losses   = []string{"100", "101", "102", "103", "104", "301", "302"}
	// gone are the reasons that say that the registration id is dead.
	gone = []string{"2183", "20002", "31004", "32005"}
)

// Receipts reads what vivo posts to an address: an object of reports by task. vivo does not sign: the address itself must be one that
// cannot be guessed.
func (v *Vendor) Receipts(c wire.Credentials, _ *http.Request, body []byte) ([]wire.Receipt, []byte, error) {
	if _, ok := c.(*credentials); !ok {
		return nil, nil, wire.ErrSignature
	}
	var reports map[string]struct {
		Param      string `json:"param"`
		Targets    string `json:"targets"`
		AckTime    loose  `json:"ackTime"`
		AckType    loose  `json:"ackType"`
		SubAckType loose  `json:"subAckType"`
	}
	if err := json.Unmarshal(body, &reports); err != nil || reports == nil {
		return nil, nil, errors.New("vivo: a receipt is a JSON object of reports")
	}
	var receipts []wire.Receipt
	for _, r := range reports {
		one := wire.Receipt{ID: wire.ReadID(r.Param)}
		one.At, _ = strconv.ParseInt(string(r.AckTime), 10, 64)
		one.At = max(0, one.At)
		kind, reason := string(r.AckType), string(r.SubAckType)
		switch {
		case slices.Contains(arrivals, kind):
			one.Event = wire.Arrived
		case slices.Contains(gone, reason):
			one.Event, one.Code = wire.Unregistered, reason
		case slices.Contains(losses, kind):
			one.Event, one.Code = wire.Lost, wire.CutBytes(kind+" "+reason, 32)
			if reason == "" {
				one.Code = kind
			}
		default:
			continue // what vivo may add later
		}
		for target := range strings.SplitSeq(r.Targets, ",") {
			one.Token = strings.TrimSpace(target)
			if one.Token == "" && one.ID == "" {
				continue
			}
			if len(receipts) == wire.MaxReceipts {
				return nil, nil, errors.New("vivo: too many devices in one receipt")
			}
			receipts = append(receipts, one)
		}
	}
	return receipts, []byte("{}"), nil
}

// loose is a JSON text or number, as a text.
type loose string

// UnmarshalJSON takes both, and everything else as nothing.
func (l *loose) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*l = loose(text)
		return nil
	}
	if raw[0] >= '0' && raw[0] <= '9' {
		*l = loose(raw)
	}
	return nil
}
