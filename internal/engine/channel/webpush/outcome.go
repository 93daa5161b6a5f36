package webpush

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
)

// services are those of browser makers: the ends of their hosts, and what the paths of endpoints begin with. Other paths of these hosts
// are other services, which refuse everybody who is not signed in there.
var services = [...]struct{ host, path string }{
	{"fcm.googleapis.com", "/fcm/send/"},
	{"fcm.googleapis.com", "/wp/"},
	{"fcm.googleapis.com", "/preprod/wp/"},
	{"android.googleapis.com", "/gcm/send/"},
	{"push.services.mozilla.com", "/wpush/"},
	{"notify.windows.com", "/w/"},
	{"web.push.apple.com", "/"},
}

// believed tells whether an endpoint is one of the services of browser makers.
func (v *Vendor) believed(endpoint *url.URL) bool {
	if v.base != "" {
		return true
	}
	host := strings.ToLower(endpoint.Hostname())
	for _, s := range services {
		if (host == s.host || strings.HasSuffix(host, "."+s.host)) && strings.HasPrefix(endpoint.EscapedPath(), s.path) &&
			endpoint.EscapedPath() == cleaned(endpoint.EscapedPath()) {
			return true
		}
	}
	return false
}

// mismatches are what services say of a subscription that was made with another key than the one that signed: Google,
// Mozilla, Apple. It stays so for ever; the device has to subscribe anew.
var mismatches = [...]string{
	"do not correspond to the credentials used to create the subscription", "VAPID public key mismatch", "VapidPkHashMismatch",
}

// maxStrangePause is the longest pause that an unknown service can ask for: others wait with it.
const maxStrangePause = time.Minute

// outcome reads the answer of a push service. Any device can name an endpoint that refuses the credentials, is always busy or asks for
// long pauses, and must not be able to stop the app's messages to others, or be called for days: what is bad about an answer
// says nothing of other tokens, and of an unknown service not that it will be better later.
func outcome(a *wire.Answer, believed bool) wire.Outcome {
	code, reason := explain(a)
	o := wire.NewOutcome(status(a, believed), code, reason)
	if o.Status == wire.Limited && !believed {
		o.Status = wire.Failed
	}
	switch o.Status { //nolint:exhaustive // the others say nothing of when, or of others
	case wire.Accepted:
		return wire.Outcome{Status: wire.Accepted, VendorID: vendorID(a.Header)}
	case wire.Denied:
		o.Alone = true
	case wire.Limited, wire.Failed:
		if o.After, o.Alone = a.After, true; !believed {
			o.After = min(o.After, maxStrangePause)
		}
	}
	return o
}

func status(a *wire.Answer, believed bool) wire.Status {
	switch s := a.Status; {
	case s == http.StatusCreated, s == http.StatusOK, s == http.StatusAccepted, s == http.StatusNoContent:
		return wire.Accepted
	case s == http.StatusNotFound, s == http.StatusGone:
		return wire.Invalid
	case s == http.StatusTooManyRequests, s == http.StatusNotAcceptable: // 406 is how Microsoft says it
		return wire.Limited
	case s == http.StatusBadRequest, s == http.StatusUnauthorized, s == http.StatusForbidden:
		for _, text := range mismatches {
			if strings.Contains(string(a.Body), text) {
				return wire.Invalid
			}
		}
		if believed {
			return wire.Denied
		}
		return wire.Rejected
	case s >= http.StatusInternalServerError:
		return wire.Failed
	}
	return wire.Rejected // 413 for one, and redirects
}

// explain finds what a service says: Mozilla {"errno":…,"message":…}, Apple {"reason":…}, Microsoft in headers, others as
// a line of text. HTML is left out.
func explain(a *wire.Answer) (code, reason string) {
	code = strconv.Itoa(a.Status)
	var said struct {
		Errno   int    `json:"errno"`
		Message string `json:"message"`
		Reason  string `json:"reason"`
	}
	switch {
	case json.Unmarshal(a.Body, &said) == nil && (said.Errno != 0 || said.Message != "" || said.Reason != ""):
		if said.Errno != 0 {
			code += "/" + strconv.Itoa(said.Errno)
		}
		if reason = said.Message; reason == "" {
			reason = said.Reason
		}
	case a.Header.Get("X-Wns-Error-Description") != "":
		reason = a.Header.Get("X-Wns-Error-Description")
	case strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain"):
		reason = strings.TrimSpace(string(a.Body))
	}
	if reason == "" {
		reason = http.StatusText(a.Status)
	}
	return code, reason
}

// maxVendorID is the longest id that is kept; longer ones are capabilities to delete the message, and nobody's to see.
const maxVendorID = 64

// vendorID is what the service calls the message.
func vendorID(h http.Header) string {
	for _, name := range []string{"Apns-Id", "X-Wns-Msg-Id"} {
		if id := h.Get(name); id != "" && len(id) <= maxVendorID {
			return strings.ToValidUTF8(id, "\uFFFD")
		}
	}
	u, err := url.Parse(h.Get("Location"))
	if err != nil || u.Path == "" {
		return ""
	}
	if id := path.Base(u.Path); len(id) <= maxVendorID && id != "/" && id != "." {
		return strings.ToValidUTF8(id, "\uFFFD")
	}
	return ""
}
