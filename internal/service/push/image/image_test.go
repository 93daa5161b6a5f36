package image

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestImagesByURL(t *testing.T) {
	t.Parallel()
	const a, b, plain = "https://img.example.com/a.png", "https://img.example.com/b.png", "http://img.example.com/p.png"
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		for name, c := range map[string]struct {
			body string
			want map[string]string
		}{
			"a big picture for all": {`{"image_type":1,"image_url":"` + a + `"}`,
				map[string]string{"jiguang_image_url": a, "huawei_image_url": "", "honor_image_url": "", "oppo_image_url": "", "fcm_image_url": a}},
			"a large icon for all": {`{"image_type":2,"image_url":"` + a + `"}`,
				map[string]string{"jiguang_image_url": a, "huawei_image_url": a, "honor_image_url": a, "oppo_image_url": "", "fcm_image_url": a, "hmos_image_url": a}},
			"where only https is shown": {`{"image_type":2,"image_url":"` + plain + `"}`,
				map[string]string{"jiguang_image_url": plain, "huawei_image_url": "", "honor_image_url": "", "oppo_image_url": "", "fcm_image_url": plain}},
			"a small icon for all, type as a string": {`{"image_type":"3","image_url":"` + a + `"}`,
				map[string]string{"jiguang_image_url": a, "huawei_image_url": "", "honor_image_url": "", "oppo_image_url": "", "fcm_image_url": ""}},
			"one vendor of its own": {`{"image_type":1,"image_url":"` + a + `","jiguang_image_url":"` + b + `"}`,
				map[string]string{"jiguang_image_url": b, "huawei_image_url": "", "honor_image_url": "", "oppo_image_url": "", "fcm_image_url": a}},
			"every vendor": {`{"image_type":2,"jiguang_image_url":"1","xiaomi_image_url":"2","huawei_image_url":"/raw/3","honor_image_url":"4","oppo_image_url":"5","fcm_image_url":"6","hmos_image_url":"7"}`,
				map[string]string{"jiguang_image_url": "1", "xiaomi_image_url": "2", "huawei_image_url": "/raw/3", "honor_image_url": "4", "oppo_image_url": "5", "fcm_image_url": "6", "hmos_image_url": "7"}},
			"empty ones and strangers": {`{"image_type":1,"image_url":"","jiguang_image_url":"` + a + `","oppo_image_url":null,"fcm_image_url":"","nokia_image_url":5}`,
				map[string]string{"jiguang_image_url": a}},
			"what the vendor cannot show": {`{"image_type":1,"huawei_image_url":"` + a + `"}`, map[string]string{"huawei_image_url": ""}},
		} {
			mediaID, got := r.members(r.json("POST", "", c.body))
			if !maps.Equal(got, c.want) {
				t.Errorf("%s:\ngot  %v\nwant %v", name, got, c.want)
			}
			for _, v := range vendors() {
				r.wantURL(1, mediaID, v.name, c.want[v.urlMember()])
			}
		}
	})
}

func TestAChangeKeepsTheOthers(t *testing.T) {
	t.Parallel()
	const a, b = "https://img.example.com/a.png", "https://img.example.com/b.png"
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		mediaID, _ := r.members(r.json("POST", "", `{"image_type":1,"image_url":"`+a+`"}`))
		same, got := r.members(r.json("PUT", "/"+mediaID, `{"image_type":2,"image_url":"x","jiguang_image_url":"`+b+`"}`))
		if want := map[string]string{"jiguang_image_url": b, "fcm_image_url": a}; same != mediaID || !maps.Equal(got, want) {
			t.Errorf("%s %v", same, got)
		}
		_, got = r.members(r.json("PUT", "/"+mediaID+"/", `{"huawei_image_url":"`+b+`","xiaomi_image_url":"`+b+`"}`))
		if want := map[string]string{"jiguang_image_url": b, "fcm_image_url": a, "huawei_image_url": "", "xiaomi_image_url": b}; !maps.Equal(got, want) {
			t.Errorf("%v", got)
		}
		r.wantURL(1, mediaID, "jiguang", b)
		r.wantURL(1, mediaID, "fcm", a)
		r.wantURL(1, mediaID, "huawei", "")
	})
}

func TestUploadedPicturesAreServed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		png, jpeg := pngOf(t, 300), jpegOf(t, 50) // the first has more than one chunk
		if len(png) < 300_000 || len(png) > MaxFileBytes {
			t.Fatalf("the picture has %d bytes", len(png))
		}
		mediaID, got := r.members(r.form("POST", "", field{"image_type", "2"}, field{"oppo_file", png}, field{"xiaomi_file", jpeg}, field{"fcm_file", png}))
		if len(got) != 2 {
			t.Fatalf("%v", got)
		}
		for member, want := range map[string]struct{ content, contentType string }{"oppo_image_url": {png, "image/png"}, "xiaomi_image_url": {jpeg, "image/jpeg"}} {
			w := r.get(got[member])
			if w.Code != 200 || w.Body.String() != want.content {
				t.Errorf("%s: %d with %d bytes", member, w.Code, w.Body.Len())
			}
			h := w.Header()
			if h.Get("Content-Type") != want.contentType || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Cache-Control"), "immutable") ||
				h.Get("Content-Length") != strconv.Itoa(len(want.content)) || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("%s: %v", member, h)
			}
		}
		r.wantURL(1, mediaID, "oppo", got["oppo_image_url"])
		r.wantURL(1, mediaID, "xiaomi", got["xiaomi_image_url"])
		// Our own devices show what was uploaded for anybody, and so do others that can.
		for _, vendor := range []string{"jiguang", "fcm", "huawei", "hmos"} {
			r.wantURL(1, mediaID, vendor, got["xiaomi_image_url"])
		}
		big, got := r.members(r.form("POST", "", field{"oppo_file", jpeg}, field{"image_type", "1"}))
		r.wantURL(1, big, "jiguang", got["oppo_image_url"])
		r.wantURL(1, big, "huawei", "") // it shows no big pictures
	})
}

func TestAnUploadReplacesAPicture(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		first, second := pngOf(t, 10), pngOf(t, 11)
		mediaID, got := r.members(r.form("POST", "", field{"image_type", "2"}, field{"oppo_file", first}))
		old := got["oppo_image_url"]
		same, got := r.members(r.form("PUT", "/"+mediaID, field{"oppo_file", second}))
		if same != mediaID || len(got) != 1 || got["oppo_image_url"] == old {
			t.Errorf("%s %v", same, got)
		}
		if w := r.get(got["oppo_image_url"]); w.Code != 200 || w.Body.String() != second {
			t.Errorf("the new picture: %d", w.Code)
		}
		if w := r.get(old); w.Code != 404 {
			t.Errorf("the old picture: %d", w.Code)
		}
		// An address replaces an upload, and an upload an address.
		_, got = r.members(r.json("PUT", "/"+mediaID, `{"oppo_image_url":"https://img.example.com/a.png","jiguang_image_url":"icon"}`))
		if len(got) != 2 || got["oppo_image_url"] != "https://img.example.com/a.png" || got["jiguang_image_url"] != "icon" {
			t.Errorf("%v", got)
		}
		_, got = r.members(r.form("PUT", "/"+mediaID, field{"oppo_file", first}, field{"xiaomi_file", second}))
		if len(got) != 3 || got["jiguang_image_url"] != "icon" || r.get(got["oppo_image_url"]).Body.String() != first {
			t.Errorf("%v", got)
		}
		// The bytes of what was replaced go away.
		r.fake.Advance(time.Hour + time.Millisecond)
		if n, err := r.Blobs.Sweep(context.Background()); err != nil || n != 2 {
			t.Errorf("%d swept, %v", n, err)
		}
		if n := r.rows(); n != [4]int{1, 3, 2, 2} {
			t.Errorf("rows %v", n)
		}
	})
}

func TestImagesOfAppsAreKeptApart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		mediaID, _ := r.members(r.json("POST", "", `{"image_type":1,"image_url":"https://a.example/1"}`))
		r.wantURL(1, mediaID, "jiguang", "https://a.example/1")
		r.wantURL(2, mediaID, "jiguang", "")
		r.wantURL(1, mediaID, "nokia", "")
		for _, id := range []string{"", "https://a.example/1", "pictures/a.png", "jgmedia-", "jgmedia-1-\x00", "jgmedia-1-0192f6a0-c2b1-7000-8000-000000000000"} {
			r.wantURL(1, id, "jiguang", "")
		}
		before := r.rows()
		if a := r.call("other", "PUT", "/v3/images/byurls/"+mediaID, "", strings.NewReader(`{"jiguang_image_url":"https://a.example/2"}`)); a.status != 400 || a.code() != 1003 {
			t.Errorf("another app: %+v", a)
		}
		r.wantURL(1, mediaID, "jiguang", "https://a.example/1")
		if after := r.rows(); after != before {
			t.Errorf("rows %v", after)
		}
	})
}

func TestImagesLiveThirtyDays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		mediaID, got := r.members(r.form("POST", "", field{"image_type", "2"}, field{"oppo_file", pngOf(t, 10)}))
		url := got["oppo_image_url"]
		r.members(r.json("PUT", "/"+mediaID, `{"jiguang_image_url":"https://a.example/1"}`))
		r.fake.Advance(Lifetime - time.Millisecond)
		r.wantURL(1, mediaID, "oppo", url)
		if w := r.get(url); w.Code != 200 {
			t.Errorf("at the end of its life: %d", w.Code)
		}
		if n, err := r.Sweep(ctx); err != nil || n != 0 {
			t.Errorf("%d swept, %v", n, err)
		}
		r.fake.Advance(time.Millisecond)
		r.wantURL(1, mediaID, "oppo", "")
		if w := r.get(url); w.Code != 404 {
			t.Errorf("after its life: %d", w.Code)
		}
		if a := r.json("PUT", "/"+mediaID, `{"jiguang_image_url":"x"}`); a.code() != 1003 {
			t.Errorf("after its life: %+v", a)
		}
		if n, err := r.Sweep(ctx); err != nil || n != 1 {
			t.Errorf("%d swept, %v", n, err)
		}
		r.fake.Advance(time.Hour + time.Millisecond)
		if _, err := r.Blobs.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if n := r.rows(); n != [4]int{} {
			t.Errorf("rows %v", n)
		}
	})
}

// Images of one app that are made at once, on two nodes, do not slip past the limit.
func TestAnAppHasSoManyImages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		nodes := []*rig{newRig(t, d), newRig(t, d)}
		png := pngOf(t, 10)
		for _, r := range nodes {
			r.MaxLive = 5
		}
		var (
			wg       sync.WaitGroup
			mu       sync.Mutex
			accepted int
		)
		for i := range 12 {
			wg.Go(func() {
				var a answer
				if r := nodes[i%2]; i < 6 {
					a = r.json("POST", "", `{"image_type":1,"image_url":"https://a.example/1"}`)
				} else {
					a = r.form("POST", "", field{"image_type", "1"}, field{"oppo_file", png})
				}
				mu.Lock()
				defer mu.Unlock()
				switch {
				case a.status == 200:
					accepted++
				case a.status != 403 || a.code() != 2005:
					t.Errorf("%+v", a)
				}
			})
		}
		wg.Wait()
		r := nodes[0]
		if n := r.rows(); accepted != 5 || n[0] != 5 {
			t.Errorf("%d accepted, rows %v", accepted, n)
		}
		before := r.rows()
		if a := r.form("POST", "", field{"image_type", "1"}, field{"oppo_file", png}); a.code() != 2005 {
			t.Errorf("one more: %+v", a)
		}
		if after := r.rows(); after != before {
			t.Errorf("rows %v, want %v", after, before)
		}
		r.fake.Advance(Lifetime)
		r.members(r.json("POST", "", `{"image_type":1,"image_url":"https://a.example/1"}`))
	})
}

func TestChangesAtOnceLeaveOnePicture(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		mediaID, _ := r.members(r.form("POST", "", field{"image_type", "2"}, field{"oppo_file", pngOf(t, 10)}))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if a := r.form("PUT", "/"+mediaID, field{"oppo_file", pngOf(t, 9)}, field{"xiaomi_file", pngOf(t, 8)}); a.status != 200 {
					t.Errorf("%+v", a)
				}
			})
		}
		wg.Wait()
		r.fake.Advance(time.Hour + time.Millisecond)
		if _, err := r.Blobs.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n := r.rows(); n != [4]int{1, 2, 2, 2} {
			t.Errorf("rows %v", n)
		}
		url, _ := r.URL(context.Background(), 1, mediaID, "oppo")
		if w := r.get(url); w.Code != 200 {
			t.Errorf("%d", w.Code)
		}
	})
}

// A process that is killed between the two pictures of an upload leaves nothing that can be seen.
func TestACrashDuringAnUpload(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		if _, err := r.Blobs.Put(context.Background(), bytes.NewReader(make([]byte, 600_000)), MaxFileBytes); err != nil {
			t.Fatal(err)
		}
		if n := r.rows(); n != [4]int{0, 0, 1, 2} {
			t.Fatalf("rows %v", n)
		}
		r.fake.Advance(time.Hour + time.Millisecond)
		if _, err := r.Blobs.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n := r.rows(); n != [4]int{} {
			t.Errorf("rows %v", n)
		}
	})
}

func TestUnknownPictures(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.members(r.json("POST", "", `{"image_type":1,"image_url":"https://a.example/1"}`)) // has no picture id
		for _, id := range []string{"x", "%00", "%ff", strings.Repeat("a", 24), strings.Repeat("a", 23) + "%27", strings.Repeat("a", 5000)} {
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, base+picturePath+id, nil))
			if w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%.40s: %d %s", id, w.Code, w.Body)
			}
		}
	})
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
}
