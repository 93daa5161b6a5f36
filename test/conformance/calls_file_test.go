package conformance

import (
	"bytes"
	"image"
	"image/png"
	"net/http"
)

var fileCalls = []call{
	{"file.upload", "`POST /v3/files/{type}`", func(s *session) {
		args := func(kind, content string) object {
			return object{"type": kind, "path": s.write("users.txt", content), "ttl": 24}
		}
		s.setDevice(s.android, object{"alias": "ann"})
		s.ok("file.upload", args("alias", "ann\nnobody\n"), object{"file_id": some})
		s.file = text(s.ok("file.upload", args("registration_id", s.android+"\n"+s.silent+"\n"), object{"file_id": some}), "file_id")
		s.refusedUpload("forger", "file.upload", args("alias", "ann\n"), http.StatusUnauthorized, 1004)
		s.refusedUpload("stranger", "file.upload", args("alias", "ann\n"), http.StatusBadRequest, 1008)
	}},
	{"file.list", "`GET /v3/files`", func(s *session) {
		one := func(kind string) object {
			return object{"type": kind, "file_id": some, "file_name": "users.txt", "create_time": some, "expire_time": some}
		}
		s.ok("file.list", object{}, object{"total_count": 2, "files": list{one("alias"), one("registration_id")}})
		s.credentials("file.list", object{}, pushCodes)
	}},
	{"file.get", "`GET /v3/files/{file_id}`", func(s *session) {
		s.ok("file.get", object{"id": s.file}, object{
			"type": "registration_id", "file_id": s.file, "file_name": "users.txt", "create_time": some, "expire_time": some,
		})
		s.refused("app", "file.get", object{"id": "none"}, http.StatusBadRequest, 1003)
		s.credentials("file.get", object{"id": s.file}, pushCodes)
	}},
	{"push.file", "`POST /v3/push/file`", func(s *session) {
		s.pushed("push.file", object{"file_id": s.file}, s.android)
		s.refused("app", "push.file", object{"file_id": "none"}, http.StatusBadRequest, 1003)
		s.credentials("push.file", object{"file_id": s.file}, pushCodes)
	}},
	{"file.delete", "`DELETE /v3/files/{file_id}`", func(s *session) {
		s.credentials("file.delete", object{"id": s.file}, pushCodes)
		s.ok("file.delete", object{"id": s.file}, object{})
		s.ok("file.delete", object{"id": s.file}, object{})
		if status := s.n.Call(s.T, s.app, http.MethodGet, "/v3/files/"+s.file, nil, nil); status == http.StatusOK {
			s.Error("the deleted file is still there")
		}
	}},
	{"image.url", "`POST`, `PUT /v3/images/byurls`", func(s *session) {
		first := s.ok("image.url.add", object{"url": "https://img.example.com/a.png"}, pictured("jiguang_image_url", "https://img.example.com/a.png"))
		id := text(first, "media_id")
		changed := s.ok("image.url.update", object{"id": id, "url": "https://img.example.com/b.png"},
			pictured("jiguang_image_url", "https://img.example.com/b.png"))
		if text(changed, "media_id") != id {
			s.Errorf("%v, want media_id %s", changed, id)
		}
		s.refused("app", "image.url.update", object{"id": "none", "url": "https://img.example.com/b.png"}, http.StatusBadRequest, 1003)
		s.credentials("image.url.add", object{"url": "https://img.example.com/a.png"}, pushCodes)
	}},
	{"image.file", "`POST`, `PUT /v3/images/byfiles`", func(s *session) {
		path := s.write("i.png", picture(s))
		id := text(s.ok("image.file.add", object{"path": path}, pictured("oppo_image_url", some)), "media_id")
		changed := s.ok("image.file.update", object{"id": id, "path": path}, pictured("oppo_image_url", some))
		if text(changed, "media_id") != id {
			s.Errorf("%v, want media_id %s", changed, id)
		}
		s.refusedUpload("app", "image.file.update", object{"id": "none", "path": path}, http.StatusBadRequest, 1003)
		s.refusedUpload("forger", "image.file.add", object{"path": path}, http.StatusUnauthorized, 1004)
	}},
}

// pictured is an answer about an image, with this address.
func pictured(name string, value any) object {
	out := object{"media_id": some}
	for _, vendor := range []string{"jiguang", "xiaomi", "huawei", "honor", "oppo", "fcm", "hmos"} {
		out[vendor+"_image_url?"] = anything
	}
	delete(out, name+"?")
	out[name] = value
	return out
}

// picture is a PNG file.
func picture(s *session) string {
	s.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 16, 16))); err != nil {
		s.Fatal(err)
	}
	return out.String()
}

// refusedUpload is an upload that must be refused.
func (s *session) refusedUpload(as, name string, args any, status, code int) {
	s.Helper()
	if !s.client.uploadErrors {
		s.refused(as, name, args, status, code)
		return
	}
	a := s.do(name, as, args)
	if err := s.client.match(object{"error": object{"code": code, "message": some}}, a.Result); !a.OK || err != nil {
		s.Fatalf("%s as %s: %s; want the error %d in the result: %v", name, as, a.text, code, err)
	}
}
