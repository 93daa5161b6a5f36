package app

import (
	"context"
	"errors"

	"borealis/internal/kernel/db"
	"borealis/internal/service/push"
	"borealis/internal/service/webpush"
)

// webpushSender brings Web Push messages to devices as frames of the push service. It implements webpush.Sender.
type webpushSender struct{ push *push.Service }

// Send hands a message over.
func (s webpushSender) Send(ctx context.Context, m webpush.Message, also func(context.Context, *db.Tx) error) (int64, error) {
	msg, err := s.push.SendFrame(ctx, push.DeviceFrame{
		App: m.App, Ordinal: m.Ordinal, Group: m.Subscription, Topic: m.Topic, Type: "webpush", Body: m.Body, TTL: m.TTL, Receipt: m.Receipt,
	}, also)
	switch {
	case errors.Is(err, push.ErrNoDevice):
		err = webpush.ErrNoDevice
	case errors.Is(err, push.ErrManyFrames):
		err = webpush.ErrFull
	}
	return msg, err
}

// Withdraw forgets a message.
func (s webpushSender) Withdraw(ctx context.Context, app, subscription, msg int64) (bool, error) {
	return s.push.WithdrawFrame(ctx, app, subscription, msg)
}

// WithdrawAll forgets the messages of a subscription.
func (s webpushSender) WithdrawAll(ctx context.Context, app int64, ordinal uint32, subscription int64) error {
	return s.push.WithdrawFrames(ctx, app, ordinal, subscription)
}
