package file

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
)

func TestAFileIsUploadedSeenUsedAndDeleted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		if a := r.call(asApp, "GET", "/v3/files", "", nil); a != (answer{200, `{"total_count":0,"files":[]}`}) {
			t.Errorf("no files: %+v", a)
		}
		id := r.idOf(r.upload(asApp, "alias", "users.txt", "u1001\nu1002\n", "24"))
		one := `{"type":"alias","file_id":"` + id + `","file_name":"users.txt","create_time":"2027-02-28 10:00:00","expire_time":"2027-03-01 10:00:00"}`
		if a := r.call(asApp, "GET", "/v3/files/"+id, "", nil); a != (answer{200, one}) {
			t.Errorf("the file: %+v", a)
		}
		r.fake.Advance(time.Second)
		id2 := r.idOf(r.upload(asApp, "registration_id", "编号.TXT", "1507bfd3f7c466c355c", ""))
		two := `{"type":"registration_id","file_id":"` + id2 + `","file_name":"编号.TXT","create_time":"2027-02-28 10:00:01"}`
		if a := r.call(asApp, "GET", "/v3/files/", "", nil); a != (answer{200, `{"total_count":2,"files":[` + one + `,` + two + `]}`}) {
			t.Errorf("two files: %+v", a)
		}
		if kind, got, err := r.lines(Owner{App: 1}, id); err != nil || kind != KindAlias || !slices.Equal(got, []string{"u1001", "u1002"}) {
			t.Errorf("%s %q, %v", kind, got, err)
		}
		if kind, got, err := r.lines(Owner{App: 1}, id2); err != nil || kind != KindRegistrationID || !slices.Equal(got, []string{"1507bfd3f7c466c355c"}) {
			t.Errorf("%s %q, %v", kind, got, err)
		}
		for range 2 {
			if a := r.call(asApp, "DELETE", "/v3/files/"+id, "", strings.NewReader("null")); a != (answer{200, `{}`}) {
				t.Errorf("delete: %+v", a)
			}
		}
		if a := r.call(asApp, "GET", "/v3/files/"+id, "", nil); a.status != 400 || a.code() != 1003 {
			t.Errorf("a deleted file: %+v", a)
		}
		if a := r.call(asApp, "GET", "/v3/files", "", nil); a != (answer{200, `{"total_count":1,"files":[` + two + `]}`}) {
			t.Errorf("one file: %+v", a)
		}
	})
}

func TestTimesAreThoseOfTheOwner(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		for as, want := range map[string]string{asApp: "2027-02-28 10:00:00", asOther: "2027-02-28 02:00:00", asDeveloper: "2027-02-28 02:00:00"} {
			id := r.mustUpload(as, "x", "720")
			a := r.call(as, "GET", "/v3/files/"+id, "", nil)
			if !strings.Contains(a.body, `"create_time":"`+want+`"`) {
				t.Errorf("%s: %s", as, a.body)
			}
		}
	})
}

func TestOwnersAreKeptApart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ids := map[string]string{}
		owners := map[string]Owner{asApp: {App: 1}, asOther: {App: 2}, asDeveloper: {Developer: 1}}
		for as := range owners {
			ids[as] = r.mustUpload(as, as, "")
		}
		for as, owner := range owners {
			for whose, id := range ids {
				if whose == as {
					continue
				}
				if a := r.call(as, "GET", "/v3/files/"+id, "", nil); a.status != 400 || a.code() != 1003 {
					t.Errorf("%s sees the file of %s: %+v", as, whose, a)
				}
				if a := r.call(as, "DELETE", "/v3/files/"+id, "", nil); a != (answer{200, `{}`}) {
					t.Errorf("%s deletes the file of %s: %+v", as, whose, a)
				}
				var e *compat.Error
				if _, _, err := r.lines(owner, id); !errors.As(err, &e) || e.Code != 1003 || e.HTTP != 400 {
					t.Errorf("%s uses the file of %s: %v", as, whose, err)
				}
			}
			if _, got, err := r.lines(owner, ids[as]); err != nil || !slices.Equal(got, []string{as}) {
				t.Errorf("%s: %q, %v", as, got, err)
			}
		}
	})
}

func TestAnOwnerHasTwentyFiles(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.mustUpload(asOther, "x", "")
		var ids []string
		for range MaxLive {
			ids = append(ids, r.mustUpload(asApp, "x", "1"))
		}
		files, blobs, _ := r.rows()
		if a := r.upload(asApp, "alias", "u.txt", "x", ""); a.status != 400 || a.code() != 1003 {
			t.Errorf("one more: %+v", a)
		}
		if f, b, _ := r.rows(); f != files || b != blobs {
			t.Errorf("%d files and %d blobs, want %d and %d", f, b, files, blobs)
		}
		r.mustUpload(asDeveloper, "x", "")
		r.call(asApp, "DELETE", "/v3/files/"+ids[0], "", nil)
		r.mustUpload(asApp, "x", "1")
		// Expired files do not count, even before they are swept.
		r.fake.Advance(time.Hour)
		r.mustUpload(asApp, "x", "1")
	})
}

// Uploads of one owner that arrive at once, on two nodes, do not slip past the limit.
func TestTwentyFilesAlsoAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		nodes := []*rig{newRig(t, d), newRig(t, d)}
		for range MaxLive - 3 {
			nodes[0].mustUpload(asApp, "x", "")
		}
		var (
			wg       sync.WaitGroup
			mu       sync.Mutex
			accepted int
		)
		for i := range 12 {
			wg.Go(func() {
				a := nodes[i%2].upload(asApp, "alias", "u.txt", "x", "")
				mu.Lock()
				defer mu.Unlock()
				switch {
				case a.status == 200:
					accepted++
				case a.code() != 1003:
					t.Errorf("%+v", a)
				}
			})
		}
		wg.Wait()
		if f, b, c := nodes[0].rows(); accepted != 3 || f != MaxLive || b != MaxLive || c != MaxLive {
			t.Errorf("%d accepted; %d files, %d blobs, %d chunks", accepted, f, b, c)
		}
	})
}

func TestExpiredFilesGoAway(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		short := r.mustUpload(asApp, "x", "1")
		long := r.mustUpload(asApp, "x", "") // 720 hours
		r.fake.Advance(time.Hour - time.Millisecond)
		if _, _, err := r.lines(Owner{App: 1}, short); err != nil {
			t.Errorf("at the end of its life: %v", err)
		}
		r.fake.Advance(time.Millisecond)
		var e *compat.Error
		if _, _, err := r.lines(Owner{App: 1}, short); !errors.As(err, &e) || e.Code != 1003 {
			t.Errorf("after its life: %v", err)
		}
		if a := r.call(asApp, "GET", "/v3/files/"+short, "", nil); a.code() != 1003 {
			t.Errorf("after its life: %+v", a)
		}
		if a := r.call(asApp, "GET", "/v3/files", "", nil); !strings.HasPrefix(a.body, `{"total_count":1,`) || strings.Contains(a.body, short) {
			t.Errorf("after its life: %+v", a)
		}
		for want := 1; want >= 0; want-- {
			if n, err := r.Sweep(ctx); err != nil || n != want {
				t.Errorf("%d swept, %v", n, err)
			}
		}
		r.fake.Advance(719*time.Hour - time.Millisecond)
		if _, _, err := r.lines(Owner{App: 1}, long); err != nil {
			t.Errorf("at the end of its life: %v", err)
		}
		r.fake.Advance(2 * time.Millisecond)
		if n, err := r.Sweep(ctx); err != nil || n != 1 {
			t.Errorf("%d swept, %v", n, err)
		}
		r.fake.Advance(2 * time.Hour)
		if _, err := r.Blobs.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		r.wantNothing("in the end")
	})
}

// A process that is killed in the middle of an upload leaves nothing that can be seen, and the bytes go away.
func TestACrashDuringAnUpload(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		// What an upload has done before its last transaction.
		if _, err := r.Blobs.Put(ctx, strings.NewReader(strings.Repeat("u\n", 300_000)), MaxBytes); err != nil {
			t.Fatal(err)
		}
		if f, b, c := r.rows(); f != 0 || b != 1 || c == 0 {
			t.Fatalf("%d files, %d blobs, %d chunks", f, b, c)
		}
		r = newRig(t, d)
		if a := r.call(asApp, "GET", "/v3/files", "", nil); a != (answer{200, `{"total_count":0,"files":[]}`}) {
			t.Errorf("after the crash: %+v", a)
		}
		r.fake.Advance(time.Hour + time.Millisecond)
		if _, err := r.Blobs.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		r.wantNothing("after the sweep")
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
