package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"borealis/internal/kernel/id"
)

// Bounds of a message, in bytes.
const (
	MaxSubject = 500
	MaxBody    = 256 << 10 // each part
	maxName    = 100
	maxAddress = 254
	maxLocal   = 64
	maxID      = 200
)

// Message is one e-mail to one person.
type Message struct {
	// To is an address without a name, see Address.
	To string
	// Subject is one line of at most MaxSubject bytes.
	Subject string
	// Text is the plain part, 1 to MaxBody bytes. HTML is another form of the same; empty: none.
	Text, HTML string
	// ID is what stands before the @ of the Message-ID, letters, digits, dots, dashes and underscores; empty: a new UUID. A
	// repeated attempt has the same ID. Reports of failed deliveries bring it back (Bounce.ID).
	ID string
	// Unsubscribe is an https address at which one POST ends such mail (RFC 8058); empty: it cannot be ended.
	Unsubscribe string
}

// Check says whether the message can be sent: nil or a *FieldError.
func (m *Message) Check() error {
	if _, err := Address(m.To); err != nil {
		return &FieldError{"to", err.Error()}
	}
	if strings.TrimSpace(m.Subject) == "" {
		return &FieldError{"subject", "must not be empty"}
	}
	if problem := line(m.Subject, MaxSubject); problem != "" {
		return &FieldError{"subject", problem}
	}
	if m.Text == "" {
		return &FieldError{"text", "must not be empty"}
	}
	for field, body := range map[string]string{"text": m.Text, "html": m.HTML} {
		if len(body) > MaxBody {
			return &FieldError{field, fmt.Sprintf("has more than %d bytes", MaxBody)}
		}
		if !utf8.ValidString(body) || strings.ContainsRune(body, 0) {
			return &FieldError{field, "must be UTF-8 without zero bytes"}
		}
	}
	if len(m.ID) > maxID || strings.ContainsFunc(m.ID, notID) {
		return &FieldError{"id", fmt.Sprintf("must be at most %d letters, digits, dots, dashes and underscores", maxID)}
	}
	if u := m.Unsubscribe; u != "" && (!strings.HasPrefix(u, "https://") || len(u) > 1000 || strings.ContainsFunc(u, notURL)) {
		return &FieldError{"unsubscribe", "must be an address that begins with https://"}
	}
	return nil
}

// Address checks an e-mail address and returns it as it goes to the server: the part before the @ as it is, the domain in lower
// case, an international one in its ASCII form. Only addresses without a name, without quotes and with ASCII before the @ are
// taken. The error says why not, and does not repeat the address.
func Address(text string) (string, error) {
	local, domain, found := cutAt(text)
	if !found || local == "" || domain == "" {
		return "", errors.New("must be an address such as name@example.com")
	}
	if len(text) > maxAddress || len(local) > maxLocal {
		return "", fmt.Errorf("an address may have %d bytes, and %d before the @", maxAddress, maxLocal)
	}
	if strings.ContainsFunc(local, notLocal) || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", errors.New("there are characters before the @ that no usual address has")
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !hostname(ascii) || !strings.Contains(ascii, ".") || len(ascii)+len(local)+1 > maxAddress {
		return "", errors.New("what follows the @ is not the name of a domain")
	}
	clean := local + "@" + strings.ToLower(ascii)
	if parsed, err := netmail.ParseAddress(clean); err != nil || parsed.Address != clean {
		return "", errors.New("must be an address such as name@example.com")
	}
	return clean, nil
}

// Mask is an address as people may see it who only need to recognise it: z***g@example.com.
func Mask(address string) string {
	local, domain, found := cutAt(address)
	if !found || local == "" {
		return "***"
	}
	if len(local) < 3 {
		return local[:1] + "***@" + domain
	}
	return local[:1] + "***" + local[len(local)-1:] + "@" + domain
}

// build makes the library's message. m passed Check.
func (c *Config) build(m *Message, now time.Time) (*gomail.Msg, string, error) {
	to, err := Address(m.To)
	if err != nil {
		return nil, "", &FieldError{"to", err.Error()}
	}
	name := m.ID
	if name == "" {
		name = id.NewUUID()
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&netmail.Address{Name: c.FromName, Address: c.From})
	msg.EnvelopeFromMailAddress(&netmail.Address{Address: c.ReturnPath})
	msg.ToMailAddress(&netmail.Address{Address: to})
	msg.Subject(m.Subject)
	msg.SetDateWithValue(now)
	msg.SetMessageIDWithValue(name + "@" + domainOf(c.From))
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	if m.Unsubscribe != "" {
		msg.SetGenHeaderPreformatted("List-Unsubscribe", "<"+m.Unsubscribe+">")
		msg.SetGenHeaderPreformatted("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, name, nil
}

// line says what keeps text from standing in one line of a header; empty: nothing.
func line(text string, limit int) string {
	switch {
	case len(text) > limit:
		return fmt.Sprintf("has more than %d bytes", limit)
	case !utf8.ValidString(text):
		return "must be UTF-8"
	case strings.ContainsFunc(text, breaks):
		return "must be one line without control characters"
	}
	return ""
}

// breaks: control characters, and the separators of lines and paragraphs that some programs take for the end of a line.
func breaks(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

func notID(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}

func notLocal(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".!#$%&'*+-/=?^_`{|}~", r)
}

func notURL(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>\"\\", r) }

func domainOf(address string) string {
	_, domain, _ := cutAt(address)
	return domain
}

// cutAt cuts an address at its last @.
func cutAt(s string) (local, domain string, found bool) {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// clip is the beginning of a text, of at most n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
