package mail

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"net/textproto"
	"strings"
)

// Actions of a report (RFC 3464, 2.3.3).
const (
	ActionFailed    = "failed"    // given up
	ActionDelayed   = "delayed"   // still trying
	ActionDelivered = "delivered" // in the mailbox
	ActionRelayed   = "relayed"   // handed to a server that does not report
	ActionExpanded  = "expanded"  // delivered to a list
)

// Bounds of a report.
const (
	// MaxReport is the most bytes of a report that are read.
	MaxReport     = 1 << 20
	maxParts      = 10
	maxRecipients = 100
	maxField      = 1000
)

// ErrNoReport says that a mail is no report on a delivery: an answer of a person or of an answering machine, or something else.
var ErrNoReport = errors.New("mail: not a delivery report")

// Bounce is a report on what became of a message (RFC 3464).
type Bounce struct {
	// ID is what the message's Message-ID had before the @; empty if the report does not bring it back.
	ID string
	// Server is the name of the one that reports, without its type; may be empty.
	Server string
	// Recipients are the addresses that the report speaks of: at least one.
	Recipients []BouncedRecipient
}

// BouncedRecipient is what a report says of one address.
type BouncedRecipient struct {
	// Address the message was sent to (Original-Recipient), or else where it went in the end (Final-Recipient).
	Address string
	// Action is one of the actions above.
	Action string
	// Status is the enhanced code, "5.1.1"; empty if the report has none that can be read.
	Status string
	// Diagnostic is what the last server said: one line of at most 300 bytes, without the address.
	Diagnostic string
}

// Failed says that the message did not and will not reach the address.
func (r *BouncedRecipient) Failed() bool { return r.Action == ActionFailed }

// ParseBounce reads a report as it came in, with its header: multipart/report of the type delivery-status (RFC 3464, 6522, and 6533
// for international addresses). A report on some failures and some successes has both. The only error is ErrNoReport; nothing in
// a report is trusted beyond its form, so a caller should accept one only for an ID that it gave out and nobody could guess.
func ParseBounce(raw []byte) (*Bounce, error) {
	raw = raw[:min(len(raw), MaxReport)]
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, ErrNoReport
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || !strings.EqualFold(params["report-type"], "delivery-status") || params["boundary"] == "" {
		return nil, ErrNoReport
	}
	var (
		b     Bounce
		parts = multipart.NewReader(msg.Body, params["boundary"])
	)
	for range maxParts {
		part, err := parts.NextRawPart()
		if err != nil {
			break // the end, or a report that was cut off: what was read before may still tell enough
		}
		b.read(part)
	}
	if len(b.Recipients) == 0 {
		return nil, ErrNoReport
	}
	return &b, nil
}

// read takes what a part of the report says.
func (b *Bounce) read(part *multipart.Part) {
	kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if err != nil {
		return
	}
	body := bufio.NewReader(decoded(part))
	switch kind {
	case "message/delivery-status", "message/global-delivery-status":
		b.readStatus(body)
	case "message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers":
		h, _ := textproto.NewReader(body).ReadMIMEHeader() // headers alone end without the empty line, which is an error that does not matter
		if b.ID == "" {
			b.ID = messageName(h.Get("Message-Id"))
		}
	}
}

func decoded(part *multipart.Part) io.Reader {
	body := io.LimitReader(part, MaxReport)
	if strings.EqualFold(strings.TrimSpace(part.Header.Get("Content-Transfer-Encoding")), "base64") {
		return base64.NewDecoder(base64.StdEncoding, body)
	}
	return body
}

// readStatus reads the groups of fields: one about the message, then one for each recipient.
func (b *Bounce) readStatus(r *bufio.Reader) {
	fields := textproto.NewReader(r)
	for range maxRecipients + 1 {
		h, err := fields.ReadMIMEHeader()
		if server := typed(h.Get("Reporting-Mta")); server != "" && b.Server == "" {
			b.Server = oneLine(server, "")
		}
		if action := strings.ToLower(value(h.Get("Action"))); known(action) && len(b.Recipients) < maxRecipients {
			address := oneLine(cmp.Or(typed(h.Get("Original-Recipient")), typed(h.Get("Final-Recipient"))), "")
			b.Recipients = append(b.Recipients, BouncedRecipient{
				Address: clip(strings.Trim(address, "<>"), maxAddress), Action: action,
				Status:     statusPattern.FindString(value(h.Get("Status"))),
				Diagnostic: oneLine(typed(h.Get("Diagnostic-Code")), strings.Trim(address, "<>")),
			})
		}
		if err != nil {
			return
		}
	}
}

func known(action string) bool {
	switch action {
	case ActionFailed, ActionDelayed, ActionDelivered, ActionRelayed, ActionExpanded:
		return true
	}
	return false
}

// value is a field without the comment that may follow it.
func value(field string) string {
	field, _, _ = strings.Cut(clip(field, maxField), "(")
	return strings.TrimSpace(field)
}

// typed is a field of the form "type; text" without its type.
func typed(field string) string {
	field = clip(field, maxField)
	if _, text, found := strings.Cut(field, ";"); found {
		field = text
	}
	return strings.TrimSpace(field)
}

// oneLine is text from outside as it may be kept: one line, without the address.
func oneLine(text, address string) string {
	if text == "" {
		return ""
	}
	return reason(errors.New(text), address)
}

// messageName is what a Message-ID has before the @; empty if it is not one that Message.ID allows.
func messageName(field string) string {
	field = strings.TrimSpace(field)
	field = strings.TrimSuffix(strings.TrimPrefix(field, "<"), ">")
	name, _, _ := cutAt(field)
	if len(name) > maxID || strings.ContainsFunc(name, notID) {
		return ""
	}
	return name
}
