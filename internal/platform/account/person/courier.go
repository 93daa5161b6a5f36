package person

import (
	"context"
	"fmt"
	"slices"

	"borealis/internal/kernel/db"
)

// Channels.
const (
	ChannelEmail = "email"
	ChannelSMS   = "sms"
	ChannelVoice = "voice"
)

// Kinds of messages.
const (
	// KindRegister, KindChange, KindRecover: a code that proves an address.
	KindRegister = "register"
	KindChange   = "change"
	KindRecover  = "recover"
	// KindNobody goes where a recovery was asked for and nobody is known: "there is no log-in with this address". A
	// courier may drop it where messages cost money, after it has taken it.
	KindNobody = "nobody"
	// KindInvitation has a link.
	KindInvitation = "invitation"
)

// Message is a code or link for one address. It holds what must not be logged.
type Message struct {
	// Attempt is the number under which the outcome is reported (Reached).
	Attempt int64
	// User is the number of the person, 0 while there is none.
	User    int64
	Channel string
	Kind    string
	// To is the address: an e-mail address, or a number in the form +8613800138000.
	To string
	// Code has six digits; Token is what a link ends with. One of them, or none for KindNobody.
	Code, Token string
	// Locale is what the person asked for, "" if they did not.
	Locale string
	// Names say who invites whom to what, for KindInvitation.
	Names map[string]string
}

// Notices.
const (
	NoticeWelcome        = "welcome"
	NoticeLogin          = "login"
	NoticePassword       = "password_changed"
	NoticeContact        = "contact_changed"
	NoticeFactor         = "factor_changed"
	NoticeRecovery       = "recovery_started"
	NoticeFrozen         = "frozen"
	NoticeMemberJoined   = "member_joined"
	NoticeMemberRemoved  = "member_removed"
	NoticeRoleChanged    = "role_changed"
	NoticePasskeyCloned  = "passkey_cloned"
	NoticeTokenCreated   = "token_created"
	NoticeTokenLeaked    = "token_leaked"
	NoticeBindingChanged = "binding_changed"
)

// Notice tells a person what happened to their log-in. It has no secret but NotMe.
type Notice struct {
	Kind          string
	User, Account int64
	// Email and Mobile are where it goes; the old ones too if they changed. Empty is none.
	Emails, Mobiles []string
	// NotMe is the token of the link "this was not me" (Service.NotMe), or empty.
	NotMe string
	// Facts are what happened, masked where it is personal.
	Facts map[string]string
}

// Courier brings messages and notices to people. Both methods are called inside a transaction: they write what is to be
// sent into it (it must not be lost or sent twice) and send after the commit. They may be called again for a transaction that
// is run again.
type Courier interface {
	Send(ctx context.Context, tx *db.Tx, m Message) error
	Notify(ctx context.Context, tx *db.Tx, n Notice) error
}

// send logs the attempt and hands the message over.
func (s *Service) send(ctx context.Context, tx *db.Tx, m Message) error {
	var err error
	if m.Attempt, err = insertContact(ctx, tx, &m, s.now()); err != nil {
		return err
	}
	if err := s.courier.Send(ctx, tx, m); err != nil {
		return fmt.Errorf("person: hand over a message: %w", err)
	}
	return nil
}

// notify tells a person at all their addresses.
func (s *Service) notify(ctx context.Context, tx *db.Tx, u *userRow, n Notice) error {
	n.User = u.id
	n.Emails, n.Mobiles = appendNew(n.Emails, u.email), appendNew(n.Mobiles, u.mobile)
	if len(n.Emails)+len(n.Mobiles) == 0 {
		return nil
	}
	if err := s.courier.Notify(ctx, tx, n); err != nil {
		return fmt.Errorf("person: hand over a notice: %w", err)
	}
	return nil
}

func appendNew(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
