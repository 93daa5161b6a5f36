package notice

import (
	"context"
	"encoding/json"

	"borealis/internal/kernel/db"
)

// Preference is what a user decided about a class on a channel.
type Preference struct {
	Class, Channel string
	Wanted         bool
}

// wantedByDefault: news of the product, until turned off; marketing is opt-in.
func wantedByDefault(class string) bool { return class != Marketing }

// SetPreference turns an optional class on a channel on or off for a user. It holds for what is sent from then on. Mandatory classes are
// an *InvalidError.
func (s *Service) SetPreference(ctx context.Context, tx *db.Tx, user int64, p Preference) error {
	switch {
	case user <= 0:
		return &InvalidError{Field: "user", Reason: "must be a user"}
	case Mandatory(p.Class):
		return &InvalidError{Field: "class", Reason: "notices of law, security and billing cannot be turned off"}
	case !knownClass(p.Class):
		return &InvalidError{Field: "class", Reason: "must be one of: product, marketing"}
	case p.Channel != InSite && p.Channel != Email && p.Channel != SMS:
		return &InvalidError{Field: "channel", Reason: "must be one of: insite, email, sms"}
	}
	_, err := tx.Exec(ctx, `insert into notice_preference (user_id, class, channel, wanted, changed_at) values ($1, $2, $3, $4, $5)
		on conflict (user_id, class, channel) do update set wanted = excluded.wanted, changed_at = excluded.changed_at`, user, p.Class, p.Channel, p.Wanted, s.now())
	if err != nil {
		return wrap("preference", err)
	}
	return nil
}

// Preferences are all that a user can decide, with what holds now.
func (s *Service) Preferences(ctx context.Context, user int64) ([]Preference, error) {
	rows, err := s.db.Query(ctx, `select class, channel, wanted from notice_preference where user_id = $1`, user)
	if err != nil {
		return nil, wrap("preferences", err)
	}
	defer func() { _ = rows.Close() }()
	type key struct{ class, channel string }
	set := map[key]bool{}
	for rows.Next() {
		var (
			k      key
			wanted bool
		)
		if err := rows.Scan(&k.class, &k.channel, &wanted); err != nil {
			return nil, wrap("preferences", err)
		}
		set[k] = wanted
	}
	if err := rows.Err(); err != nil {
		return nil, wrap("preferences", err)
	}
	var out []Preference
	for _, class := range []string{Product, Marketing} {
		for _, channel := range []string{InSite, Email, SMS} {
			if class == Marketing && channel == SMS {
				continue
			}
			wanted, decided := set[key{class, channel}]
			if !decided {
				wanted = wantedByDefault(class)
			}
			out = append(out, Preference{class, channel, wanted})
		}
	}
	return out, nil
}

// wants tells whether a user takes a class on a channel. Nobody (0) takes nothing optional: they could not turn it off.
func wants(ctx context.Context, q querier, user int64, class, channel string) (bool, error) {
	if Mandatory(class) {
		return true, nil
	}
	if user == 0 {
		return false, nil
	}
	var wanted bool
	rows, err := q.Query(ctx, `select wanted from notice_preference where user_id = $1 and class = $2 and channel = $3`, user, class, channel)
	if err != nil {
		return false, wrap("preference", err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return wantedByDefault(class), rows.Err()
	}
	if err := rows.Scan(&wanted); err != nil {
		return false, wrap("preference", err)
	}
	return wanted, rows.Err()
}

// queryRefused are those of some people who do not take in-site messages of an optional class.
func queryRefused(ctx context.Context, q querier, people []Recipient, class string) (map[int64]bool, error) {
	out := map[int64]bool{}
	args := []any{class, InSite}
	for i := range people {
		out[people[i].User] = !wantedByDefault(class)
		args = append(args, people[i].User)
	}
	rows, err := q.Query(ctx, `select user_id, wanted from notice_preference where class = $1 and channel = $2 and user_id in (`+db.In(3, len(people))+`)`, args...)
	if err != nil {
		return nil, wrap("preferences", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			user   int64
			wanted bool
		)
		if err := rows.Scan(&user, &wanted); err != nil {
			return nil, wrap("preferences", err)
		}
		out[user] = !wanted
	}
	return out, rows.Err()
}

// unsubscribe is what a token of an e-mail holds.
type unsubscribe struct {
	User  int64  `json:"u"`
	Class string `json:"c"`
}

const unsubscribePurpose = "notice/unsubscribe/v1"

// unsubscribeURL is the address that ends e-mail of an optional class; empty if there is none.
func (s *Service) unsubscribeURL(user int64, class string) string {
	if s.unsub == "" || Mandatory(class) || user == 0 {
		return ""
	}
	data, err := json.Marshal(unsubscribe{user, class})
	if err != nil {
		return ""
	}
	return s.unsub + s.keys.Token(unsubscribePurpose, data)
}

// Unsubscribe turns off e-mail of the class that a token is about: what a click on the link in an e-mail does, without log-in. A token that
// is none is an *InvalidError.
func (s *Service) Unsubscribe(ctx context.Context, tx *db.Tx, token string) (Preference, error) {
	bad := &InvalidError{Field: "token", Reason: "is not one of this installation"}
	data, err := s.keys.OpenToken(unsubscribePurpose, token)
	if err != nil {
		return Preference{}, bad
	}
	var u unsubscribe
	if err := json.Unmarshal(data, &u); err != nil {
		return Preference{}, bad
	}
	p := Preference{Class: u.Class, Channel: Email}
	return p, s.SetPreference(ctx, tx, u.User, p)
}
