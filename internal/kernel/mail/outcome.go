package mail

import (
	"errors"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"strings"
	"unicode"

	gomail "github.com/wneessen/go-mail"
)

// Class of an outcome.
type Class uint8

// Classes.
const (
	// Sent: the server took the message over.
	Sent Class = iota + 1
	// Temporary: another attempt, later, may succeed.
	Temporary
	// Permanent: another attempt of the same message to the same address is of no use.
	Permanent
)

// String is the class's name.
func (c Class) String() string {
	switch c {
	case Sent:
		return "sent"
	case Temporary:
		return "temporary"
	case Permanent:
		return "permanent"
	}
	return "unknown"
}

// Outcome is what became of one attempt.
type Outcome struct {
	Class Class
	// ID is what the message's Message-ID has before the @.
	ID string
	// Code is the server's reply, 250, 450, 550 …; 0: it gave none.
	Code int
	// Status is its enhanced code, "5.1.1"; empty: it gave none.
	Status string
	// Reason is what the server, or the network, said: one line of at most 300 bytes, without the recipient's address.
	Reason string
	// Unsure: the connection ended while the server could already have had the whole message.
	Unsure bool
}

const maxReason = 300

var statusPattern = regexp.MustCompile(`\b([245])\.\d{1,3}\.\d{1,3}\b`)

// failed classifies an error of an attempt. stage is where it happened.
func failed(err error, stage stage, to string) Outcome {
	o := Outcome{Class: Temporary, Reason: reason(err, to)}
	if te, ok := errors.AsType[*textproto.Error](err); ok {
		o.Code = te.Code
	}
	if se, ok := errors.AsType[*gomail.SendError](err); ok && o.Code == 0 {
		o.Code = se.ErrorCode()
	}
	if o.Code < 200 || o.Code > 599 {
		o.Code = 0 // the library takes any digits at the beginning of an error for a reply
	}
	if o.Code != 0 {
		o.Status = statusPattern.FindString(o.Reason)
	}
	switch {
	case o.Code == 0:
		o.Unsure = stage == stageAnswer
	case o.Code == 552 && stage == stageRecipient:
		// RFC 5321 asks to read it as 452 here: the mailbox is full.
	case o.Code >= 500 && (stage == stageRecipient || stage == stageData || stage == stageAnswer):
		o.Class = Permanent
	}
	return o
}

// stage of an attempt.
type stage uint8

const (
	// stageSession: connecting, greeting, TLS, log-in, sender. What fails here is not the recipient's fault.
	stageSession stage = iota + 1
	// stageRecipient: the server looks at the address.
	stageRecipient
	// stageData: the message is on its way, its end is not.
	stageData
	// stageAnswer: all of it was sent, the answer is missing.
	stageAnswer
)

// stageOf is where sending ended.
func stageOf(err error) stage {
	se, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return stageSession
	}
	switch se.Reason {
	case gomail.ErrSMTPRcptTo:
		return stageRecipient
	case gomail.ErrSMTPData, gomail.ErrWriteContent:
		return stageData
	case gomail.ErrSMTPDataClose:
		return stageAnswer
	}
	return stageSession
}

// reason is an error as it may be kept and shown.
func reason(err error, to string) string {
	if _, ok := errors.AsType[*gomail.SendError](err); !ok {
		switch ne, isNet := errors.AsType[net.Error](err); {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrUnexpectedEOF):
			return "the connection was closed"
		case isNet && ne.Timeout():
			return "the server did not answer in time"
		}
	}
	text := err.Error()
	if i := strings.Index(text, ", affected recipient(s)"); i >= 0 {
		text = text[:i]
	}
	if i := strings.Index(text, ", affected message ID"); i >= 0 {
		text = text[:i]
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = hide(text, to)
	return clip(strings.Join(strings.Fields(text), " "), maxReason)
}

// hide takes an address out of a text in every case.
func hide(text, address string) string {
	if address == "" {
		return text
	}
	lower, want := strings.ToLower(text), strings.ToLower(address)
	if len(lower) != len(text) { // a letter whose cases differ in length: rare enough to give the text up
		if strings.Contains(lower, want) {
			return "(withheld)"
		}
		return text
	}
	var out strings.Builder
	for {
		i := strings.Index(lower, want)
		if i < 0 {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(text[:i] + "(recipient)")
		text, lower = text[i+len(want):], lower[i+len(want):]
	}
}
