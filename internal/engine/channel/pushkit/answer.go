package pushkit

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"borealis/internal/engine/channel/wire"
)

// Codes that are more than a status for all tokens.
const (
	success      = "80000000"
	partly       = "80100000"
	noneGood     = "80300007"
	badAuth      = "80200001"
	oauthExpired = "80200003"
	jwtExpired   = "80200005"
)

// statuses of the other codes; a code that is not here is rejected.
var statuses = map[string]wire.Status{
	"80100001": wire.Rejected, // a parameter
	"80100003": wire.Rejected, // the structure
	"80100004": wire.Rejected, // it expires before now
	"80100013": wire.Rejected, // collapse_key
	"80100016": wire.Rejected, // forbidden content
	"80100017": wire.Limited,  // more than 100 topic tasks
	"80100018": wire.Rejected, // it is not what the reviewer saw
	"80100022": wire.Rejected, // a picture that was not reviewed
	"80300002": wire.Denied,   // no right to send
	"80300008": wire.Rejected, // too large
	"80300010": wire.Rejected, // too many tokens
	"80300011": wire.Rejected, // no right to this urgency
	"80300013": wire.Rejected, // the receipt address
	"80300029": wire.Quota,    // test messages of the day
	"80300030": wire.Rejected, // too many tokens for a test message
	"80300036": wire.Denied,   // a signed token of more than a day
	"80300037": wire.Denied,   // a penalty
	"80600003": wire.Failed,   // Huawei's own OAuth service
	"81000001": wire.Failed,   // inside
}

// Read says what an answer means for each token. expired reports that the token of the call was not taken.
func Read(a wire.Answer, tokens []wire.Token) (out []wire.Outcome, expired bool) {
	var body struct {
		Code      json.RawMessage `json:"code"`
		Msg       string          `json:"msg"`
		RequestID string          `json:"requestId"`
	}
	err := json.Unmarshal(a.Body, &body)
	code := strings.Trim(string(body.Code), `" `)
	if err != nil || code == "" || code == "null" {
		o := wire.NewOutcome(byHTTP(a.Status), "HTTP "+strconv.Itoa(a.Status), "the answer is not Push Kit's")
		o.After = a.After
		return wire.All(len(tokens), o), a.Status == http.StatusUnauthorized
	}
	o := wire.NewOutcome(status(code, a.Status), code, body.Msg)
	o.After = a.After
	switch code {
	case success:
		return wire.All(len(tokens), wire.Outcome{Status: wire.Accepted, VendorID: wire.CutBytes(body.RequestID, 256)}), false
	case partly, noneGood:
		return readTokens(code, body.Msg, body.RequestID, tokens), false
	}
	if strings.ContainsAny(body.Msg, "{[") || slices.ContainsFunc(tokens, func(t wire.Token) bool { return t.Value != "" && strings.Contains(body.Msg, t.Value) }) {
		o.Reason = "" // it lists tokens, or may
	}
	return wire.All(len(tokens), o), code == badAuth || code == oauthExpired || code == jwtExpired
}

func status(code string, http int) wire.Status {
	if code == badAuth || code == oauthExpired || code == jwtExpired {
		return wire.Denied
	}
	if s, ok := statuses[code]; ok {
		return s
	}
	if s := byHTTP(http); http >= 400 {
		return s
	}
	return wire.Rejected
}

// readTokens reads the list of bad tokens that two codes come with: an array (Android), or arrays by reason (HarmonyOS).
func readTokens(code, msg, request string, tokens []wire.Token) []wire.Outcome {
	var list struct {
		Illegal  []string            `json:"illegal_tokens"`
		ByReason map[string][]string `json:"illegalTokens"`
	}
	readable := json.Unmarshal([]byte(msg), &list) == nil && len(list.Illegal)+len(list.ByReason) > 0
	// What holds for a token that is not on the list.
	rest := wire.Outcome{Status: wire.Accepted, VendorID: wire.CutBytes(request, 256)}
	switch {
	case code == partly && !readable:
		rest = wire.NewOutcome(wire.Unknown, code, "some tokens are bad, and the answer does not say which")
	case code == noneGood && len(list.ByReason) > 0:
		rest = wire.NewOutcome(wire.Rejected, code, "")
	case code == noneGood:
		rest = wire.NewOutcome(wire.Invalid, code, "")
	}
	out := wire.All(len(tokens), rest)
	bad := make(map[string]wire.Outcome)
	for _, token := range list.Illegal {
		bad[token] = wire.NewOutcome(wire.Invalid, code, "")
	}
	for reason, some := range list.ByReason {
		reason = strings.TrimSpace(reason)
		for _, token := range some {
			bad[token] = wire.NewOutcome(byReason(reason), code, reason)
		}
	}
	for i, t := range tokens {
		if o, ok := bad[t.Value]; ok {
			out[i] = o
		}
	}
	return out
}

// byReason is the status of a token that is listed for a reason. A token of another project (noRight) is kept: the credentials may be
// the wrong ones, and all tokens would be lost.
func byReason(reason string) wire.Status {
	switch reason {
	case "tokenFormatError", "tokenPlatformNotSupport", "decryptError":
		return wire.Invalid
	case "disableSendHuaweiMsgBecauseOfPenalty", "appinfoError":
		return wire.Denied
	}
	return wire.Rejected
}

func byHTTP(status int) wire.Status {
	switch {
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		return wire.Limited // flow control
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return wire.Denied
	case status == http.StatusRequestTimeout:
		return wire.Failed
	case status >= 400 && status < 500:
		return wire.Rejected
	case status >= 200 && status < 300:
		return wire.Unknown
	}
	return wire.Failed
}
