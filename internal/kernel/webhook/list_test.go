package webhook

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestListPagesThroughAllOfOneOwner(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d, nil)
		rc := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		for i := range 4 {
			r.enqueue(Delivery{Owner: 7, URL: fmt.Sprintf("%s/%d", rc.URL, i)}, Delivery{Owner: 8, URL: rc.URL})
		}
		for _, pause := range append(retries(), 0) {
			r.look()
			r.fake.Advance(pause)
		}
		for i := range 3 {
			r.enqueue(Delivery{Owner: 7, URL: fmt.Sprintf("%s/%d", rc.URL, 4+i)})
		}
		page := func(state State) (urls []string) {
			before := ""
			for {
				list, more, err := r.List(ctx, Filter{Owner: 7, Kind: testKind, State: state, Before: before, Limit: 2})
				if err != nil || len(list) > 2 || more && len(list) < 2 {
					t.Fatalf("%d listed, more %v, %v", len(list), more, err)
				}
				for _, e := range list {
					urls = append(urls, e.URL[len(rc.URL):])
					if e.Size != len(`[{"n":1}]`) || e.State == Dead && (e.Attempts != 4 || e.LastStatus != 500) || e.State == Pending && !e.LastAt.IsZero() {
						t.Errorf("%+v", e)
					}
				}
				if !more {
					return urls
				}
				before = list[len(list)-1].ID
			}
		}
		if got := page(0); !slices.Equal(got, []string{"/6", "/5", "/4", "/3", "/2", "/1", "/0"}) {
			t.Errorf("all: %v", got)
		}
		if got := page(Dead); !slices.Equal(got, []string{"/3", "/2", "/1", "/0"}) {
			t.Errorf("dead: %v", got)
		}
		if got := page(Pending); !slices.Equal(got, []string{"/6", "/5", "/4"}) {
			t.Errorf("pending: %v", got)
		}
		if _, _, err := r.List(ctx, Filter{Owner: 7, Kind: testKind, Before: "\x00", Limit: 2}); err != ErrNotFound { //nolint:errorlint // exactly this one
			t.Errorf("a cursor that is none: %v", err)
		}
		if list, _, err := r.List(ctx, Filter{Owner: 7, Kind: "other", Limit: 2}); err != nil || len(list) != 0 {
			t.Errorf("another kind: %v, %v", list, err)
		}
	})
}

func TestTheDeadAreBoundedInNumberAndAge(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d, nil)
		rc := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		// As many as are kept died one by one in the past; the oldest of them has the address /0.
		for i := range maxDead {
			r.enqueue(Delivery{Owner: 7, URL: fmt.Sprintf("%s/%d", rc.URL, i)})
		}
		r.enqueue(Delivery{Owner: 8, URL: rc.URL})
		begin := r.fake.Now()
		err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update webhook_delivery set state = 2, attempts = 4, last_at = $1 + (select count(*) from webhook_delivery o where o.id < webhook_delivery.id)`,
				clock.Millis(begin))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r.fake.Advance(time.Hour)
		r.enqueue(Delivery{Owner: 7, URL: rc.URL + "/new"}, Delivery{Owner: 7, URL: rc.URL + "/newer"})
		for _, pause := range append(retries(), 0) {
			r.look()
			r.fake.Advance(pause)
		}
		if err := r.sweep(ctx); err != nil {
			t.Fatal(err)
		}
		list := r.entries()
		if len(list) != maxDead || list[1].URL != rc.URL+"/new" || list[maxDead-1].URL != rc.URL+"/2" {
			t.Errorf("%d kept, the oldest is %s", len(list), list[len(list)-1].URL)
		}
		if n := r.bodies(); n != maxDead+1 {
			t.Errorf("%d bodies", n)
		}
		if n := r.counter("borealis_webhook_dropped_total"); n != 2 {
			t.Errorf("%v dropped", n)
		}
		r.fake.Advance(begin.Add(maxDeadAge).Add(time.Minute).Sub(r.fake.Now()))
		if err := r.sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if list := r.entries(); len(list) != 2 || r.bodies() != 2 {
			t.Errorf("%d are kept beyond their time, %d bodies", len(list), r.bodies())
		}
	})
}

func TestRoom(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d, func(d *Deps) { d.MaxWaiting = 3 })
		room := func(owner int64, url string) int {
			t.Helper()
			n, err := r.Room(ctx, owner, url)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		r.enqueue(Delivery{Owner: 7, URL: "http://A.example/x"}, Delivery{Owner: 7, URL: "http://a.example:80/y"}, Delivery{Owner: 8, URL: "http://a.example"})
		for _, c := range []struct {
			owner int64
			url   string
			want  int
		}{{7, "http://a.example/z", 1}, {7, "https://a.example/z", 3}, {8, "http://a.example", 2}, {9, "http://a.example", 3}} {
			if got := room(c.owner, c.url); got != c.want {
				t.Errorf("%+v: %d", c, got)
			}
		}
		for i := range 12 { // 14 in all, of 15
			r.enqueue(Delivery{Owner: 7, URL: fmt.Sprintf("http://%d.example", i)})
		}
		if got := room(7, "http://new.example"); got != 1 {
			t.Errorf("room of an owner that has almost all it may: %d", got)
		}
		if err := r.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update webhook_delivery set size = $1 where owner = 8`, maxOwnerBytes)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := room(8, "http://new.example"); got != 0 {
			t.Errorf("room beside too many bytes: %d", got)
		}
		if _, err := r.Room(ctx, 7, "x"); err != ErrURL { //nolint:errorlint // exactly this one
			t.Errorf("%v", err)
		}
	})
}

// An error must reach the caller before anything is stored.
func TestEnqueueRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		good := Delivery{Owner: 7, Kind: testKind, URL: "http://a.example", Body: []byte(`[]`)}
		for name, change := range map[string]func(*Delivery){
			"kind": func(d *Delivery) { d.Kind = "nobody's" }, "url": func(d *Delivery) { d.URL = "http://a\x00" },
			"empty": func(d *Delivery) { d.Body = nil }, "large": func(d *Delivery) { d.Body = make([]byte, MaxBody+1) },
		} {
			bad := good
			change(&bad)
			err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { return r.Enqueue(ctx, tx, good, bad) })
			if err == nil || len(r.entries())+r.bodies() != 0 {
				t.Errorf("%s: %v, %d stored", name, err, len(r.entries()))
			}
		}
	})
}
