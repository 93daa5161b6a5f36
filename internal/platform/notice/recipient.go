package notice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"borealis/internal/kernel/mail"
	"borealis/internal/platform/notice/wording"
)

// Bounds of an audience.
const (
	// MaxInTx is the most recipients of Enqueue, which writes them in the caller's transaction.
	MaxInTx = 100
	// MaxAudience is the most recipients of Send.
	MaxAudience = 100_000
)

// Recipient is one person that a notice goes to. Every person is one: a member, an owner, or an address without a user, such as a former
// one.
type Recipient struct {
	// User is whose in-site box it goes to; 0: nobody's. Account is the organisation that it concerns; 0: none.
	User, Account int64
	// Owner marks the owner of the account.
	Owner bool
	// Locale is "zh" or "en"; empty: "zh". It says what comes first: e-mails have both languages.
	Locale string
	// Email and Mobile (E.164); empty: there is none.
	Email, Mobile string
	// Word is the phrase by which this person recognises real mail (AG-SEC-01); empty: there is none.
	Word string
}

// Notice is what somebody is to be told.
type Notice struct {
	// Key of the caller, 1 to 200 bytes: the same key again is the same notice.
	Key string
	// Code of the template; Values for its placeholders.
	Code   string
	Values map[string]string
	// Channels replaces the template's; nil: the template's.
	Channels []string
	// Expires is when it is no use any more, Unix ms; 0: never. What has not been sent then is not.
	Expires int64
	// Actor is who caused it, as the audit log has it.
	Actor string
}

const (
	maxKey   = 200
	maxWord  = 60
	maxActor = 256
)

// request is a notice that was checked, with its texts.
type request struct {
	Notice

	template *Template
	channels []string
	texts    wording.Texts
	people   []Recipient
	// hash is of what the caller asked for, audience of the people, content of the texts.
	hash, audience, content string
}

// prepare checks a notice and its audience against a template.
func (s *Service) prepare(n *Notice, t *Template, people []Recipient) (*request, error) {
	switch {
	case n.Key == "" || len(n.Key) > maxKey || strings.ContainsRune(n.Key, 0):
		return nil, &InvalidError{Field: "key", Reason: fmt.Sprintf("must have 1 to %d bytes", maxKey)}
	case n.Actor == "" || len(n.Actor) > maxActor:
		return nil, &InvalidError{Field: "actor", Reason: "must not be empty"}
	}
	r := &request{Notice: *n, template: t, channels: t.Channels}
	if n.Channels != nil {
		if err := checkChannels("channels", t.Class, n.Channels, t.Texts.ZH.Short != ""); err != nil {
			return nil, err
		}
		if len(n.Channels) == 0 {
			return nil, &InvalidError{Field: "channels", Reason: "must not be empty"}
		}
		r.channels = n.Channels
	}
	var err error
	if r.texts, err = s.rules.Render(&t.Texts, t.Placeholders, n.Values); err != nil {
		return nil, err
	}
	if r.people, err = s.checkPeople(r, people); err != nil {
		return nil, err
	}
	if r.hash, err = hashOf([]any{n.Code, n.Values, n.Channels, n.Expires}); err != nil {
		return nil, err
	}
	if r.audience, err = hashOf(r.people); err != nil {
		return nil, err
	}
	r.content, err = hashOf(r.texts)
	return r, err
}

// checkPeople cleans and checks an audience; who is in it twice gets one.
func (s *Service) checkPeople(r *request, people []Recipient) ([]Recipient, error) {
	if len(people) == 0 || len(people) > MaxAudience {
		return nil, &InvalidError{Field: "recipients", Reason: fmt.Sprintf("must be 1 to %d", MaxAudience)}
	}
	var (
		out    = make([]Recipient, 0, len(people))
		seen   = make(map[Recipient]struct{}, len(people))
		owners = map[int64]bool{}
	)
	for i, p := range people {
		if err := r.clean(&p); err != nil {
			err.Field = fmt.Sprintf("recipients[%d].%s", i, err.Field)
			return nil, err
		}
		if p.Account != 0 {
			owners[p.Account] = owners[p.Account] || p.Owner && p.User != 0
		}
		if _, twice := seen[p]; !twice {
			seen[p] = struct{}{}
			out = append(out, p)
		}
	}
	if r.template.Class == Legal {
		for account, owner := range owners {
			if !owner {
				return nil, &InvalidError{Field: "recipients", Reason: fmt.Sprintf("account %d is told in matters of law without its owner", account)}
			}
		}
	}
	return out, nil
}

// clean checks one person, and brings the address into the form of servers.
func (r *request) clean(p *Recipient) *InvalidError {
	if p.Locale == "" {
		p.Locale = "zh"
	}
	if p.Email != "" {
		address, err := mail.Address(p.Email)
		if err != nil {
			return &InvalidError{Field: "email", Reason: err.Error()}
		}
		p.Email = address
	}
	switch {
	case p.Locale != "zh" && p.Locale != "en":
		return &InvalidError{Field: "locale", Reason: "must be zh or en"}
	case !validMobile(p.Mobile):
		return &InvalidError{Field: "mobile", Reason: "must be a number such as +8613800138000"}
	case len(p.Word) > maxWord || strings.ContainsAny(p.Word, "\r\n\x00"):
		return &InvalidError{Field: "word", Reason: fmt.Sprintf("must be one line of at most %d bytes", maxWord)}
	case p.User < 0 || p.Account < 0:
		return &InvalidError{Field: "user", Reason: "must not be negative"}
	}
	if _, _, reached := r.plan(p, true); !reached {
		return &InvalidError{Field: "email", Reason: "no channel of this notice can reach the recipient"}
	}
	return nil
}

// plan is where a person is told first: in their box, and on which other channels. reached is false if nothing can reach them. Where the
// channels reach nobody, the fallback begins at once. wanted says whether the person takes in-site messages of the class.
func (r *request) plan(p *Recipient, wanted bool) (insite bool, channels []string, reached bool) {
	can := func(channel string) bool {
		switch channel {
		case InSite:
			return p.User != 0
		case Email:
			return p.Email != ""
		}
		return p.Mobile != ""
	}
	for _, c := range r.channels {
		switch {
		case !can(c):
		case c == InSite:
			insite, reached = wanted, true
		default:
			channels, reached = append(channels, c), true
		}
	}
	if reached {
		return insite, channels, true
	}
	for _, c := range r.template.chain() {
		if can(c) {
			return c == InSite && wanted, slices.DeleteFunc([]string{c}, func(c string) bool { return c == InSite }), true
		}
	}
	return false, nil, false
}

// validMobile: empty, or as E.164 has it.
func validMobile(m string) bool {
	if m == "" {
		return true
	}
	digits, plus := strings.CutPrefix(m, "+")
	return plus && len(digits) >= 7 && len(digits) <= 15 && digits[0] != '0' && !strings.ContainsFunc(digits, func(c rune) bool { return c < '0' || c > '9' })
}

// maskMobile is a number as people may see it who only need to recognise it: +8613*****000.
func maskMobile(m string) string {
	if len(m) < 8 {
		return ""
	}
	return m[:5] + strings.Repeat("*", len(m)-8) + m[len(m)-3:]
}

func hashOf(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", wrap("hash", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
