package route

import (
	"encoding/json"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/service/push/payload"
)

// What each kind of push is for a channel, as the JSON of the wire message; "" if there is nothing for it.
func TestContentOfPushes(t *testing.T) {
	t.Parallel()
	const (
		android, ios, hmos, web = audience.Android, audience.IOS, audience.HMOS, audience.Web
		common                  = `"ID":"77","TTL":60000000000,"Truncate":true,"SoundDuration":0,"PushType":0,"Test":false`
	)
	cases := []struct {
		name, push string
		channel    wire.Name
		platform   audience.Platform
		want       string // members that are looked at
	}{
		{
			"a general alert", `"notification":{"alert":"hi"}`, wire.Huawei, android,
			`{` + common + `,"Kind":"notification","Title":"App","Body":"hi","Class":0,"Extras":null,"Apple":null,"Replaces":"","Options":null}`,
		},
		{
			"a whole notification of Android", `"notification":{"android":{"alert":"a","title":"t","extras":{"k":1},"category":"im","channel_id":"c","priority":1,"style":1,"big_text":"long",
				"large_icon":"https://e.org/l.png","badge_add_num":3,"badge_class":"x.Y","intent":{"url":"intent:#Intent;end"},"uri_activity":"x.Z","sound":"ding","display_foreground":"0"}}`,
			wire.OPPO, android,
			`{` + common + `,"Kind":"notification","Title":"t","Body":"a","Extras":{"k":1},"Category":"im","ChannelID":"c","Priority":1,
				"Style":{"BigText":"long","Inbox":null,"BigPicture":""},"LargeIcon":"https://e.org/l.png","Badge":{"Add":3,"Set":null,"Class":"x.Y"},
				"Click":{"URL":"intent:#Intent;end","Activity":"","Action":""},"Sound":"ding","Foreground":false}`,
		},
		{
			"an inbox and an activity", `"notification":{"android":{"alert":"a","style":2,"inbox":{"b":"2","a":"1"},"uri_activity":"x.Z","uri_action":"x.ACT"}}`, wire.Xiaomi, android,
			`{"Style":{"BigText":"","Inbox":["1","2"],"BigPicture":""},"Click":{"URL":"","Activity":"x.Z","Action":""}}`,
		},
		{
			"a picture, and options of the vendor", `"notification":{"android":{"alert":"a","style":3,"big_pic_path":"https://e.org/p.png"}},
				"options":{"third_party_channel":{"xiaomi":{"distribution":"ospush","channel_id":"9"},"oppo":{"distribution":"ospush"}},"classification":1}`, wire.Xiaomi, android,
			`{"Style":{"BigText":"","Inbox":null,"BigPicture":"https://e.org/p.png"},"Options":{"distribution":"ospush","channel_id":"9"},"Class":1}`,
		},
		{
			"a call of a vendor", `"notification":{"android":{"alert":"a"}},"options":{"third_party_channel":{"honor":{"honor_push_type":3}}}`, wire.Honor, android, `{"Kind":"voip","Body":"a"}`,
		},
		{
			"a live view of a vendor", `"notification":{"android":{"alert":"a"}},"options":{"third_party_channel":{"huawei":{"hw_push_type":7}}}`, wire.Huawei, android, `{"Kind":"live"}`,
		},
		{
			"texts that must not be cut, a test, a replaced message", `"notification":{"alert":"hi"},"options":{"auto_truncation":false,"test_message":true,"override_msg_id":55}`, wire.Vivo, android,
			`{"Truncate":false,"Test":true,"Replaces":"55"}`,
		},
		{
			"HarmonyOS", `"notification":{"hmos":{"alert":"h","title":"t","category":"IM","push_type":0,"badge_set_num":2}}`, wire.HMOS, hmos,
			`{` + common + `,"Kind":"notification","Title":"t","Body":"h","Category":"IM","Badge":{"Add":0,"Set":2,"Class":""},"Payload":null}`,
		},
		{
			"HarmonyOS, a call", `"notification":{"hmos":{"alert":"h","category":"VoIP","push_type":10,"extra_data":"x\"y"}}`, wire.HMOS, hmos,
			`{"Kind":"voip","PushType":10,"Payload":"x\"y"}`,
		},
		{
			"iOS, an alert object", `"notification":{"ios":{"alert":{"title":"t","subtitle":"s","body":"b"},"badge":4,"sound":"s.caf","thread-id":"th","interruption-level":"active",
				"mutable-content":true,"content-available":true,"category":"CAT"}},"options":{"apns_collapse_id":"col"}`, wire.APNs, ios,
			`{` + common + `,"Kind":"notification","Title":"t","Body":"b","Apple":{"Alert":{"title":"t","subtitle":"s","body":"b"},"Sound":"s.caf","Badge":4,"ContentAvailable":true,
				"MutableContent":true,"Category":"CAT","ThreadID":"th","InterruptionLevel":"active","CollapseID":"col","Live":null,"VoIP":null}}`,
		},
		{
			"iOS, a step of the badge", `"notification":{"ios":{"alert":"b","badge":"+1"}}`, wire.APNs, ios, `{"Apple":{"Alert":"b","Sound":null,"Badge":null,"ContentAvailable":false,
				"MutableContent":false,"Category":"","ThreadID":"","InterruptionLevel":"","CollapseID":"","Live":null,"VoIP":null}}`,
		},
		{
			"iOS through FCM", `"notification":{"ios":{"alert":{"title":"t","body":"b"}}}`, wire.FCM, ios, `{"Kind":"notification","Title":"t","Body":"b","Apple":null}`,
		},
		{
			"the web", `"notification":{"alert":"hi"}`, wire.WebPush, web, `{"Kind":"notification","Title":"App","Body":"hi"}`,
		},
		{
			"a custom message on demand", `"message":{"msg_content":"c","title":"t","content_type":"text","extras":{"a":"b"}},
				"options":{"third_party_channel":{"huawei":{"distribution_customize":"secondary_push"}}}`, wire.Huawei, android,
			`{` + common + `,"Kind":"data","Title":"t","Body":"c","ContentType":"text","Extras":{"a":"b"}}`,
		},
		{
			"a custom message with a notification for vendors", `"message":{"msg_content":"c"},"notification_3rd":{"title":"3","content":"shown","extras":{"a":1}}`, wire.Meizu, android,
			`{"Kind":"notification","Title":"3","Body":"shown","Extras":{"a":1}}`,
		},
		{
			"a notification for vendors is for Android", `"message":{"msg_content":"c"},"notification_3rd":{"content":"shown"}`, wire.APNs, ios, ``,
		},
		{
			"one for each platform", `"message":{"msg_content":"c"},"notification_3rd":{"ios":{"alert":{"title":"t","body":"b"}},"android":{"alert":"x"}},"options":{"notification_3rd_ver":"v2"}`, wire.APNs, ios,
			`{"Kind":"notification","Apple":{"Alert":{"title":"t","body":"b"},"Sound":null,"Badge":null,"ContentAvailable":false,"MutableContent":false,"Category":"","ThreadID":"",
				"InterruptionLevel":"","CollapseID":"","Live":null,"VoIP":null}}`,
		},
		{
			"a platform that has the message alone", `"notification":{"android":{"alert":"a"}},"message":{"msg_content":"c"}`, wire.APNs, ios, ``,
		},
		{
			"another platform", `"platform":["android"],"notification":{"alert":"hi"}`, wire.APNs, ios, ``,
		},
		{
			"an update of a live activity", `"platform":["ios"],"audience":{"live_activity_id":"L"},"live_activity":{"ios":{"event":"update","content-state":{"a":1}}}`, wire.APNs, ios,
			`{"ID":"77","Kind":"live","TTL":60000000000,"Class":0,"Apple":{"Alert":null,"Sound":null,"Badge":null,"ContentAvailable":false,"MutableContent":false,"Category":"","ThreadID":"",
				"InterruptionLevel":"","CollapseID":"","Live":{"event":"update","content-state":{"a":1}},"VoIP":null}}`,
		},
		{
			"live activities are Apple's", `"platform":["ios"],"audience":{"live_activity_id":"L"},"live_activity":{"ios":{"event":"update","content-state":{"a":1}}}`, wire.FCM, ios, ``,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fields := map[string]json.RawMessage{"platform": json.RawMessage(`"all"`), "audience": json.RawMessage(`"all"`)}
			if err := json.Unmarshal([]byte(`{`+c.push+`}`), &fields); err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			push, err := payload.Parse(body, payload.Rules{})
			if err != nil {
				t.Fatal(err)
			}
			m := &Message{App: 1, ID: 77, ExpiresAt: time.Minute.Milliseconds(), Push: push, Root: push.Options.OverrideID}
			p := policyOf(push, string(second))
			got := m.content(&p, c.channel, c.platform, "App", 0)
			if got == nil || c.want == "" {
				if got != nil || c.want != "" {
					t.Fatalf("got %+v, want %s", got, c.want)
				}
				return
			}
			compareMembers(t, got, c.want)
		})
	}
}

// compareMembers compares the members of a value as JSON that want names.
func compareMembers(t *testing.T, got any, want string) {
	t.Helper()
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var have, wanted map[string]any
	if err := json.Unmarshal(text, &have); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	for key, value := range wanted {
		a, errA := json.Marshal(have[key])
		b, errB := json.Marshal(value)
		if _, known := have[key]; !known || errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s is %s, want %s", key, a, b)
		}
	}
}
