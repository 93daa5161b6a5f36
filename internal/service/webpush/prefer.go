package webpush

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// preferences are those of RFC 7240 that mean something here.
type preferences struct {
	// receipt: who sends wants to hear what becomes of the message ("respond-async").
	receipt bool
	// wait is how long the answer may take.
	wait time.Duration
}

// readPreferences reads the header Prefer. What is not understood is passed over, as RFC 7240 asks, and of two the first counts.
func readPreferences(h http.Header) preferences {
	var p preferences
	waits := false
	for item := range strings.SplitSeq(strings.Join(h.Values("Prefer"), ","), ",") {
		text, _, _ := strings.Cut(item, ";") // parameters
		name, value, _ := strings.Cut(text, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			p.receipt = true
		case "wait":
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err == nil && !waits {
				waits, p.wait = true, min(time.Duration(seconds)*time.Second, maxWait)
			}
		}
	}
	return p
}

// Link relations of RFC 8030.
const (
	relPush    = "urn:ietf:params:push"
	relReceipt = "urn:ietf:params:push:receipt"
)

func link(address, rel string) string { return "<" + address + `>; rel="` + rel + `"` }

// linksTo lists the targets of links (RFC 8288) of a relation.
func linksTo(h http.Header, rel string) []string {
	var out []string
	rest := strings.Join(h.Values("Link"), ",")
	for {
		_, after, found := strings.Cut(rest, "<")
		target, params, closed := strings.Cut(after, ">")
		if !found || !closed {
			return out
		}
		rest = params
		if own, _, _ := strings.Cut(params, "<"); hasRel(own, rel) {
			out = append(out, strings.TrimSpace(target))
		}
	}
}

// hasRel tells whether the parameters of a link name a relation.
func hasRel(text, rel string) bool {
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(part, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for one := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(strings.TrimRight(strings.TrimSpace(value), ",")), `"`)) {
			if strings.EqualFold(one, rel) {
				return true
			}
		}
		return false // the first counts
	}
	return false
}

// pathOf is the path of a link's target, relative or not.
func pathOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return u.Path
}
