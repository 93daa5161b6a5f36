package huawei

import (
	"encoding/json"
	"net/http"

	"borealis/test/sim/phone"
	"borealis/test/sim/pushkit"
	"borealis/test/sim/schema"
)

var liveRequest = schema.Object(schema.Fields{
	"payload!": schema.Object(schema.Fields{
		"activityId!": schema.Int(-1<<31, 1<<31-1), "operation!": schema.Int(1, 2), "event!": schema.String, "activityData!": schema.Map,
		"status": schema.String, "title": schema.String, "content": schema.String, "mute": schema.Bool, "version": schema.Int(0, 1<<31-1),
	}),
	"pushOptions": schema.Object(schema.Fields{
		"testMessage": schema.Bool, "ttl": schema.Int(1, pushkit.MaxTTL), "biTag": schema.AtMost(64), "receiptId": schema.String,
		"collapseKey": schema.Int(-1, 100),
	}),
	"target!": schema.Object(schema.Fields{"token!": schema.List(1<<20, schema.String)}),
})

// readLive checks a live view.
func readLive(r *http.Request, body []byte) (*pushkit.Message, *pushkit.Refusal) {
	if r.Header.Get("Push-Type") != "7" {
		return nil, illegal("The header does not contain valid push-type")
	}
	raw, err := schema.Decode(body)
	if err != nil {
		return nil, illegal("it is no JSON")
	}
	if p := liveRequest("", raw); p != nil {
		return nil, illegal("%s", explain(p))
	}
	var in struct {
		Payload     json.RawMessage `json:"payload"`
		PushOptions struct {
			TestMessage bool   `json:"testMessage"`
			BiTag       string `json:"biTag"`
		} `json:"pushOptions"`
		Target struct {
			Token []string `json:"token"`
		} `json:"target"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, illegal("%v", err)
	}
	switch {
	case len(in.Target.Token) == 0 || len(in.Target.Token) > pushkit.MaxTokens:
		return nil, new(codes["80300010"])
	case pushkit.WithoutTokens(body, in.Target.Token) > pushkit.MaxBytes:
		return nil, new(codes["80300008"])
	}
	return &pushkit.Message{
		Tokens: in.Target.Token, BiTag: in.PushOptions.BiTag, Test: in.PushOptions.TestMessage, PushType: 7,
		Notification: phone.Notification{ID: in.PushOptions.BiTag, Data: in.Payload},
	}, nil
}
