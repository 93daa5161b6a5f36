package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

var deviceCalls = []call{
	{"device.get", "`GET /v3/devices/{rid}`", func(s *session) {
		s.setDevice(s.android, object{"tags": ""})
		s.setDevice(s.android, object{"tags": object{"add": list{"beta", "staff"}}, "alias": "ann", "mobile": "13800000000"})
		s.ok("device.get", object{"rid": s.android}, object{"tags": list{"beta", "staff"}, "alias": "ann", "mobile": "13800000000"})
		s.setDevice(s.silent, object{"tags": "", "alias": "", "mobile": ""})
		s.ok("device.get", object{"rid": s.silent}, object{"tags": list{}, "alias": "", "mobile": ""})
		s.refused("app", "device.get", object{"rid": "nobody"}, http.StatusBadRequest, 7002)
		s.credentials("device.get", object{"rid": s.android}, deviceCodes)
	}},
	{"device.set", "`POST /v3/devices/{rid}`: tags, alias", func(s *session) {
		s.setDevice(s.android, object{"tags": "", "alias": "", "mobile": ""})
		s.ok("device.set", object{"rid": s.android, "alias": "ann", "add": list{"beta", "staff"}, "remove": list{"none"}}, object{})
		s.has(s.android, "ann", "", "beta", "staff")
		s.ok("device.set", object{"rid": s.android, "remove": list{"beta"}}, object{})
		s.has(s.android, "ann", "", "staff")
		s.refused("app", "device.set", object{"rid": "nobody", "alias": "ann"}, http.StatusBadRequest, 7002)
		s.refused("app", "device.set", object{"rid": s.android, "alias": strings.Repeat("a", 41)}, http.StatusBadRequest, 7002)
		s.credentials("device.set", object{"rid": s.android, "alias": "eve"}, deviceCodes)
		s.has(s.android, "ann", "", "staff")
	}},
	{"device.clear", "`POST /v3/devices/{rid}`: clear tags, alias", func(s *session) {
		s.setDevice(s.android, object{"tags": object{"add": list{"staff"}}, "alias": "ann", "mobile": "13800000000"})
		s.ok("device.clear", object{"rid": s.android, "tags": true, "alias": true}, object{})
		s.has(s.android, "", "13800000000")
	}},
	{"device.mobile", "`POST /v3/devices/{rid}`: mobile", func(s *session) {
		s.ok("device.mobile", object{"rid": s.android, "mobile": "13900000000"}, object{})
		s.has(s.android, "", "13900000000")
		s.ok("device.mobile", object{"rid": s.android, "mobile": ""}, object{})
		s.has(s.android, "", "")
		s.refused("app", "device.mobile", object{"rid": "nobody", "mobile": "13900000000"}, http.StatusBadRequest, 7002)
	}},
	{"device.status", "`POST /v3/devices/status`", func(s *session) {
		s.ok("device.status", object{"rids": list{s.android, stray}}, object{s.android: object{"online": true}, stray + "?": nil})
		s.outOfRange("device.status", object{"rids": anys(many(1001))}, http.StatusBadRequest, 7002)
		s.credentials("device.status", object{"rids": list{s.android}}, deviceCodes)
	}},
	{"alias.get", "`GET /v3/aliases/{alias}`", func(s *session) {
		s.setDevice(s.android, object{"alias": "ann"})
		s.setDevice(s.ios, object{"alias": "ann"})
		s.aliased(object{"alias": "ann", "platform": "android"}, s.android)
		s.aliased(object{"alias": "ann", "platform": "ios"}, s.ios)
		s.aliased(object{"alias": "ann"}, s.android, s.ios)
		s.aliased(object{"alias": "nobody"})
		s.refused("app", "alias.get", object{"alias": strings.Repeat("a", 41)}, http.StatusBadRequest, 7002)
		s.credentials("alias.get", object{"alias": "ann"}, deviceCodes)
	}},
	{"alias.unbind", "`POST /v3/aliases/{alias}`", func(s *session) {
		s.ok("alias.unbind", object{"alias": "ann", "rids": list{s.ios}}, object{})
		s.has(s.ios, "", "", s.device(s.ios).Tags...)
		s.has(s.android, "ann", "", s.device(s.android).Tags...)
		s.credentials("alias.unbind", object{"alias": "ann", "rids": list{s.android}}, deviceCodes)
	}},
	{"alias.delete", "`DELETE /v3/aliases/{alias}`", func(s *session) {
		s.setDevice(s.android, object{"alias": "ann"})
		s.ok("alias.delete", object{"alias": "ann", "platform": "ios"}, object{})
		s.has(s.android, "ann", "", s.device(s.android).Tags...)
		s.ok("alias.delete", object{"alias": "ann", "platform": "android"}, object{})
		s.has(s.android, "", "", s.device(s.android).Tags...)
		s.setDevice(s.android, object{"alias": "ann"})
		s.ok("alias.delete", object{"alias": "ann"}, object{})
		s.has(s.android, "", "", s.device(s.android).Tags...)
		s.credentials("alias.delete", object{"alias": "ann"}, deviceCodes)
	}},
	{"tags.list", "`GET /v3/tags`", func(s *session) {
		for _, rid := range []string{s.android, s.ios, s.silent} {
			s.setDevice(rid, object{"tags": ""})
		}
		s.setDevice(s.android, object{"tags": object{"add": list{"staff", "vip"}}})
		s.ok("tags.list", object{}, object{"tags": list{"staff", "vip"}})
		s.credentials("tags.list", object{}, deviceCodes)
	}},
	{"tags.check", "`GET /v3/tags/{tag}/registration_ids/{rid}`", func(s *session) {
		s.setDevice(s.android, object{"tags": object{"add": list{"vip"}}})
		s.ok("tags.check", object{"tag": "vip", "rid": s.android}, object{"result": true})
		s.ok("tags.check", object{"tag": "vip", "rid": s.silent}, object{"result": false})
		s.credentials("tags.check", object{"tag": "vip", "rid": s.android}, deviceCodes)
	}},
	{"tags.update", "`POST /v3/tags/{tag}`", func(s *session) {
		s.ok("tags.update", object{"tag": "team", "add": list{s.android, s.silent}}, object{})
		s.ok("tags.update", object{"tag": "team", "add": list{s.ios}, "remove": list{s.silent}}, object{})
		for rid, member := range map[string]bool{s.android: true, s.ios: true, s.silent: false} {
			if slices.Contains(s.device(rid).Tags, "team") != member {
				s.Errorf("%s has %v", rid, s.device(rid).Tags)
			}
		}
		a := s.refused("app", "tags.update", object{"tag": "team", "add": list{s.silent, "nobody"}}, http.StatusBadRequest, 7013)
		if !slices.Contains(s.client.hides, "illegal_rids") && !slices.Equal(a.Error.IllegalRIDs, []string{"nobody"}) {
			s.Errorf("illegal_rids: %s", a.text)
		}
		if slices.Contains(s.device(s.silent).Tags, "team") {
			s.Error("a refused call changed a device")
		}
		s.credentials("tags.update", object{"tag": "team", "add": list{s.silent}}, deviceCodes)
	}},
	{"tags.delete", "`DELETE /v3/tags/{tag}`", func(s *session) {
		s.tagAll("old")
		s.ok("tags.delete", object{"tag": "old", "platform": "ios"}, object{})
		s.tagged("old", s.android)
		s.ok("tags.delete", object{"tag": "old", "platform": "android"}, object{})
		s.tagged("old")
		s.tagAll("old")
		s.ok("tags.delete", object{"tag": "old"}, object{})
		s.tagged("old")
		s.ok("tags.delete", object{"tag": "nothing"}, object{})
		s.credentials("tags.delete", object{"tag": "old"}, deviceCodes)
	}},
}

// has checks a device.
func (s *session) has(rid, alias, mobile string, tags ...string) {
	s.Helper()
	if d := s.device(rid); d.Alias != alias || d.Mobile != mobile || fmt.Sprint(d.Tags) != fmt.Sprint(tags) {
		s.Errorf("%s is %+v, want alias %q, mobile %q, tags %q", rid, d, alias, mobile, tags)
	}
}

// aliased asks the library for the devices of an alias, in either format.
func (s *session) aliased(args object, rids ...string) {
	s.Helper()
	slices.Sort(rids)
	got := []string{}
	if !s.client.newAlias {
		for _, rid := range s.ok("alias.get", args, object{"registration_ids": anything}).(object)["registration_ids"].(list) {
			got = append(got, fmt.Sprint(rid))
		}
	} else {
		platforms := map[string]string{s.android: "android", s.ios: "ios"}
		for _, d := range s.ok("alias.get", args, object{"data": anything}).(object)["data"].(list) {
			rid := text(d, "registration_id")
			if err := s.client.match(object{"registration_id": rid, "platform": platforms[rid], "last_online_date?": day10}, d); err != nil {
				s.Error(err)
			}
			got = append(got, rid)
		}
	}
	if slices.Sort(got); !slices.Equal(got, rids) {
		s.Errorf("%v are %q, want %q", args, got, rids)
	}
}

func (s *session) tagAll(tag string) {
	s.Helper()
	s.setDevice(s.android, object{"tags": object{"add": list{tag}}})
	s.setDevice(s.ios, object{"tags": object{"add": list{tag}}})
}

// tagged checks which of android and ios have the tag.
func (s *session) tagged(tag string, rids ...string) {
	s.Helper()
	for _, rid := range []string{s.android, s.ios} {
		if has := slices.Contains(s.device(rid).Tags, tag); has != slices.Contains(rids, rid) {
			s.Errorf("%s has the tag %s: %v", rid, tag, has)
		}
	}
}
