package hmos

import (
	"regexp"

	"borealis/test/sim/pushkit"
	"borealis/test/sim/schema"
)

// Push types.
const (
	alert      = 0
	form       = 1
	speech     = 2
	background = 6
	liveView   = 7
	call       = 10
)

var (
	categories = schema.One("IM", "VOIP", "MISS_CALL", "SUBSCRIPTION", "TRAVEL", "HEALTH", "WORK", "ACCOUNT", "EXPRESS", "FINANCE", "DEVICE_REMINDER",
		"MAIL", "PLAY_VOICE", "MARKETING")
	events = schema.One("TAXI", "DELIVERY", "FLIGHT", "TRAIN", "QUEUE", "PICK_UP", "SCORE", "RENT", "TIMER", "WORKOUT", "NAVIGATION",
		"EXPRESS", "CHECK_IN", "TRADE", "SUBSCRIBE_TIMER")
	appMessageID = schema.Like(regexp.MustCompile(`^[A-Za-z0-9+/=\-_\s]{1,64}$`), "1 to 64 letters, digits and +/=-_")
)

var clickAction = schema.Object(schema.Fields{
	"actionType!": schema.Int(0, 1), "action": schema.String, "uri": schema.String, "data": schema.Map,
})

var shown = schema.Object(schema.Fields{
	"category!": categories, "title!": schema.String, "body!": schema.String, "image": schema.HTTPS, "style": schema.Int(0, 3),
	"bigTitle": schema.String, "bigBody": schema.String, "notifyId": schema.Int(-1, 1<<31-1), "appMessageId": appMessageID,
	"profileId": schema.AtMost(64), "inboxContent": schema.List(3, schema.AtMost(1024)), "clickAction!": clickAction,
	"badge": schema.Object(schema.Fields{"addNum": schema.Int(1, 99), "setNum": schema.Int(0, 99)}),
	"sound": schema.String, "soundDuration": schema.Int(1, 60), "foregroundShow": schema.Bool,
})

// payloads by push type.
var payloads = map[int]schema.Check{
	alert:  schema.Object(schema.Fields{"notification!": shown}),
	speech: schema.Object(schema.Fields{"notification!": shown, "extraData!": schema.String}),
	form: schema.Object(schema.Fields{
		"formId!": schema.Int(1, 1<<62), "version!": schema.Int(0, 1<<31-1), "moduleName!": schema.String, "formName!": schema.String,
		"abilityName!": schema.String, "formData!": schema.Map, "images": schema.List(1, schema.Object(schema.Fields{
			"keyName": schema.String, "url": schema.HTTPS, "require": schema.Int(0, 1),
		})),
	}),
	background: schema.Object(schema.Fields{"extraData!": schema.String, "proxyData": schema.One("ENABLE")}),
	liveView: schema.Object(schema.Fields{
		"activityId!": schema.Int(-1<<31, 1<<31-1), "operation!": schema.Int(0, 6), "event!": events, "subEvent": schema.String, "status": schema.String,
		"title": schema.String, "content": schema.String, "mute": schema.Bool, "version": schema.Int(0, 1<<31-1), "shareUrl": schema.String,
		"activityData!": schema.Object(schema.Fields{"notificationData!": schema.Map, "capsuleData": schema.Map, "externalData": schema.Map}),
	}),
	call: schema.Object(schema.Fields{"extraData!": schema.String}),
}

var request = schema.Object(schema.Fields{
	"payload!": schema.Map,
	"pushOptions": schema.Object(schema.Fields{
		"testMessage": schema.Bool, "ttl": schema.Int(-1<<31, pushkit.MaxTTL), "biTag": schema.AtMost(64), "receiptId": schema.String,
		"collapseKey": schema.Int(-1, 100), "backgroundMode": schema.Int(0, 1),
	}),
	"target!": schema.Object(schema.Fields{"token!": schema.List(1<<20, schema.String)}),
})

var revocation = schema.Object(schema.Fields{"notifyId!": schema.Int(0, 1<<31-1), "token!": schema.List(1<<20, schema.String)})
