package mail_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"borealis/internal/kernel/mail"
)

// report is one as servers send it; status and original are its second and third part.
func report(status, original string) string {
	return strings.ReplaceAll("From: MAILER-DAEMON@mx.example.net\nTo: no-reply@borealis.example\nSubject: Undelivered\nMIME-Version: 1.0\n"+
		"Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"b/1\"\n\nfor old programs\n--b/1\nContent-Type: text/plain; charset=us-ascii\n\n"+
		"I could not deliver your message.\n\n--b/1\n"+status+"\n--b/1\n"+original+"\n--b/1--\n", "\n", "\r\n")
}

const (
	failedStatus = "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\nX-Queue-ID: 12345\nArrival-Date: Wed, 25 Nov 2026 15:59:58 +0000\n\n" +
		"Final-Recipient: rfc822; li@mail.example.com\nOriginal-Recipient: rfc822;li@example.com\nAction: failed\nStatus: 5.1.1 (bad mailbox)\n" +
		"Remote-MTA: dns; mail.example.com\nDiagnostic-Code: smtp; 550 5.1.1 <li@example.com>: Recipient address rejected:\n    User unknown\n"
	original = "Content-Type: text/rfc822-headers\n\nFrom: no-reply@borealis.example\nMessage-ID: <n-1.abc@borealis.example>\nSubject: x\n"
)

func TestBouncesAreRead(t *testing.T) {
	b, err := mail.ParseBounce([]byte(report(failedStatus, original)))
	if err != nil {
		t.Fatal(err)
	}
	if b.ID != "n-1.abc" || b.Server != "mx.example.net" || len(b.Recipients) != 1 {
		t.Fatalf("bounce %+v", b)
	}
	r := b.Recipients[0]
	if r.Address != "li@example.com" || r.Action != mail.ActionFailed || !r.Failed() || r.Status != "5.1.1" ||
		r.Diagnostic != "550 5.1.1 <(recipient)>: Recipient address rejected: User unknown" {
		t.Errorf("recipient %+v", r)
	}
}

func TestReportsOfEveryForm(t *testing.T) {
	group := func(address, action, status string) string {
		return fmt.Sprintf("\nFinal-Recipient: rfc822;%s\nAction: %s\nStatus: %s\n", address, action, status)
	}
	head := "Content-Type: message/delivery-status\n\nReporting-MTA: dns;mx\n"
	whole := strings.Replace(original, "text/rfc822-headers", "message/rfc822", 1) + "\nbody\n"
	encoded := "Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n" +
		base64.StdEncoding.EncodeToString([]byte("Reporting-MTA: dns;mx\n"+group("a@example.com", "failed", "5.2.2"))) + "\n"
	for name, c := range map[string]struct {
		report  string
		id      string
		actions []string
	}{
		"still trying":      {report(head+group("a@example.com", "Delayed", "4.4.1"), original), "n-1.abc", []string{"delayed"}},
		"some of several":   {report(head+group("a@example.com", "failed", "5.1.1")+group("b@example.com", "delivered", "2.0.0"), whole), "n-1.abc", []string{"failed", "delivered"}},
		"base64":            {report(encoded, original), "n-1.abc", []string{"failed"}},
		"no original":       {report(head+group("a@example.com", "failed", "5.1.1"), "Content-Type: text/plain\n\nnothing"), "", []string{"failed"}},
		"foreign id":        {report(head+group("a@example.com", "failed", "5.1.1"), "Content-Type: text/rfc822-headers\n\nMessage-ID: <a b\"c@x>\n"), "", []string{"failed"}},
		"international":     {report(strings.Replace(head, "message/delivery-status", "message/global-delivery-status", 1)+group("a@example.com", "failed", "5.1.1"), whole), "n-1.abc", []string{"failed"}},
		"unknown action":    {report(head+group("a@example.com", "eaten", "5.1.1")+group("b@example.com", "relayed", "2.0.0"), original), "n-1.abc", []string{"relayed"}},
		"cut off in status": {strings.Split(report(head+group("a@example.com", "failed", "5.1.1"), original), "Status")[0], "", []string{"failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := mail.ParseBounce([]byte(c.report))
			if err != nil {
				t.Fatal(err)
			}
			var actions []string
			for _, r := range b.Recipients {
				actions = append(actions, r.Action)
			}
			if b.ID != c.id || fmt.Sprint(actions) != fmt.Sprint(c.actions) {
				t.Errorf("bounce %+v", b)
			}
		})
	}
}

func TestWhatIsNoReport(t *testing.T) {
	for name, text := range map[string]string{
		"empty":            "",
		"an answer":        "From: li@example.com\r\nSubject: Re: x\r\nContent-Type: text/plain\r\n\r\nThanks\r\n",
		"out of office":    "From: li@example.com\r\nAuto-Submitted: auto-replied\r\nSubject: away\r\n\r\nback on Monday\r\n",
		"read receipt":     strings.ReplaceAll(report(failedStatus, original), "delivery-status", "disposition-notification"),
		"no recipients":    report("Content-Type: message/delivery-status\n\nReporting-MTA: dns;mx\n", original),
		"without boundary": "Content-Type: multipart/report; report-type=delivery-status\r\n\r\n--\r\n",
	} {
		if b, err := mail.ParseBounce([]byte(text)); !errors.Is(err, mail.ErrNoReport) {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
}

func FuzzParseBounce(f *testing.F) {
	f.Add([]byte(report(failedStatus, original)))
	f.Add([]byte("Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\nAction: failed\n\n\n\nAction: failed"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := mail.ParseBounce(raw)
		if err != nil {
			if !errors.Is(err, mail.ErrNoReport) || b != nil {
				t.Fatal(err)
			}
			return
		}
		if n := len(b.Recipients); n == 0 || n > 100 {
			t.Fatalf("%d recipients", n)
		}
		for _, r := range b.Recipients {
			if strings.ContainsAny(r.Diagnostic+r.Address+b.ID+b.Server, "\r\n\x00") || len(r.Diagnostic) > 300 || len(r.Address) > 254 || len(b.ID) > 200 {
				t.Fatalf("recipient %+v", r)
			}
		}
	})
}
