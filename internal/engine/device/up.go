package device

import (
	"context"
	"errors"
	"unicode/utf8"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
)

// Topics of the device protocol that this package serves.
const (
	TopicProfile = "up/profile"
	TopicTokens  = "up/tokens"
)

// maxReason is how much of a reason fits into edgewire.UpReply.
const maxReason = 200

// Up takes a device's message on TopicProfile or TopicTokens. The answer UpOK means that the effect is committed.
func (r *Registry) Up(ctx context.Context, u edgewire.Up) edgewire.UpReply {
	app := r.Gate.AppByID(u.App)
	if app == nil || app.State != gate.Enabled {
		return edgewire.UpReply{Code: edgewire.UpDenied, Reason: "the app is not enabled"}
	}
	r.Active(u.App, []uint32{u.Ordinal})
	var err error
	switch u.Topic {
	case TopicProfile:
		var c ProfileChange
		if c, err = ParseProfile(u.Payload); err == nil {
			err = r.SetProfile(ctx, app, u.Ordinal, c, ByDevice)
		}
	case TopicTokens:
		err = r.putTokens(ctx, app, u.Ordinal, u.Payload)
	default:
		return edgewire.UpReply{Code: edgewire.UpDenied, Reason: "no such topic"}
	}
	var refusal *Error
	switch {
	case err == nil:
		return edgewire.UpReply{Code: edgewire.UpOK}
	case !errors.As(err, &refusal):
		r.Log.Warn("device message not processed", "app", app.ID, "topic", u.Topic, "err", err)
		return edgewire.UpReply{Code: edgewire.UpBusy}
	}
	code := edgewire.UpInvalid
	switch refusal.Kind {
	case Denied, UnknownDevice:
		code = edgewire.UpDenied
	case AliasFull, TooManyTags:
		code = edgewire.UpQuota
	}
	return edgewire.UpReply{Code: code, Reason: shorten(refusal.Error(), maxReason)}
}

// shorten cuts s to limit bytes, not inside a character.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
