package callback

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/webhook"
)

const own = "https://app.example/in"

func TestDeliveriesGoWhenTheyAreFullOrTenSecondsOld(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		r.set(func(s *gate.Settings) { s.CallbackURL = own })
		sizes := func(want ...int) {
			t.Helper()
			r.flushAll()
			var got []int
			for _, d := range r.take() {
				got = append(got, len(parse(t, d.body)))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("deliveries of %v records, want %v", got, want)
			}
		}
		for i := range uint32(99) {
			r.record(Record{Kind: Delivered, Ordinals: []uint32{i}})
		}
		sizes()
		r.record(Record{Kind: Delivered, Ordinals: []uint32{99, 100}})
		sizes(100)
		if n := r.count(`select waiting from push_callback`); n != 1 {
			t.Fatalf("%d records are left of a row that was told in part", n)
		}
		r.fake.Advance(maxAge - time.Millisecond)
		sizes()
		r.record(Record{Kind: Delivered, Ordinals: []uint32{101}})
		r.fake.Advance(time.Millisecond)
		sizes(2) // the younger one comes along
		r.record(Record{Kind: Delivered, Ordinals: upTo(250)})
		sizes(100, 100)
		r.fake.Advance(maxAge)
		sizes(50)
		sizes()
	})
}

// Each address has deliveries of its own.
func TestRecordsAreGatheredByAppAndAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	r.set(func(s *gate.Settings) { s.CallbackURL = own })
	other := r.app
	other.ID, other.Key = 8, "other"
	r.gate.Publish(other)
	const urls = 2*urlsPerTurn + 5
	for i := range urls {
		url := fmt.Sprintf("https://push.example/%d", i)
		r.record(Record{Kind: Delivered, Ordinals: []uint32{1}, URL: url, Msg: int64(1 + i)}, Record{Kind: Clicked, Ordinals: []uint32{1}, URL: url, Msg: int64(1 + i)})
	}
	r.record(Record{Kind: Delivered, Ordinals: []uint32{1}}, Record{App: 8, Kind: Delivered, Ordinals: []uint32{1}})
	r.fake.Advance(maxAge)
	if more, err := r.round(context.Background()); err != nil || !more {
		t.Errorf("after the first round: more %v, %v", more, err)
	}
	if n := len(r.take()); n != urlsPerTurn+1 {
		t.Errorf("%d deliveries in the first round", n)
	}
	if n := r.count(`select count(*) from push_callback where app_id = 8`); n != 0 {
		t.Error("the app with one address waits for the one with many")
	}
	r.flushAll()
	seen := 0
	for _, d := range r.take() {
		list := parse(t, d.body)
		seen++
		if len(list) != 2 || d.url != "https://push.example/"+fmt.Sprint(atoi(t, list[0].Msg)-1) || list[0].Msg != list[1].Msg {
			t.Errorf("%s: %+v", d.url, list)
		}
	}
	if seen != urls-urlsPerTurn+1 || r.pending() != 0 {
		t.Errorf("%d deliveries in the later rounds, %d rows left", seen, r.pending())
	}
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLargeParamsMakeSmallDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	r.set(func(s *gate.Settings) { s.CallbackURL = own })
	params, _ := json.Marshal(map[string]string{"x": strings.Repeat("y", 100<<10)})
	r.record(Record{Kind: Delivered, Ordinals: upTo(100), Params: params}, Record{Kind: Clicked, Ordinals: upTo(1)})
	r.flushAll()
	r.fake.Advance(maxAge)
	r.flushAll()
	var told int
	for _, d := range r.take() {
		if len(d.body) > maxBody+(101<<10) {
			t.Errorf("a body of %d bytes", len(d.body))
		}
		for _, w := range parse(t, d.body) {
			told++
			if w.Type == int(Delivered) && !bytes.Equal(w.Params, params) {
				t.Error("params differ")
			}
		}
	}
	if told != 101 || r.pending() != 0 {
		t.Errorf("%d records, %d rows left", told, r.pending())
	}
}

// While a receiver does not take deliveries, its records stay rows, and others are told.
func TestAFullReceiverHoldsBackItsOwnRecordsOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, func(d *webhook.Deps) { d.MaxWaiting = 3 })
		r.set(func(s *gate.Settings) { s.CallbackURL = own })
		r.record(Record{Kind: Delivered, Ordinals: upTo(1000)}, Record{Kind: Delivered, Ordinals: upTo(200), URL: "https://push.example/in"})
		r.flushAll()
		counts := map[string]int{}
		for _, d := range r.take() {
			counts[d.url]++
		}
		if counts[own] != 3 || counts["https://push.example/in"] != 2 {
			t.Errorf("deliveries %v", counts)
		}
		if n := r.count(`select sum(waiting) from push_callback`); n != 700 {
			t.Errorf("%d records wait", n)
		}
		r.flushAll()
		if n := len(r.take()); n != 3 {
			t.Errorf("%d deliveries when there is room again", n)
		}
	})
}

func TestRecordsForNoAddressAreDroppedAndCounted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		r.set(func(s *gate.Settings) { s.CallbackURL = own })
		r.record(Record{Kind: Delivered, Ordinals: upTo(5)}, Record{Kind: Delivered, Ordinals: upTo(3), URL: "https://push.example/in"})
		r.set(func(s *gate.Settings) { s.CallbackURL = "" })
		r.fake.Advance(maxAge)
		r.flushAll()
		if n := len(r.take()); n != 1 || r.pending() != 0 {
			t.Errorf("%d deliveries, %d rows", n, r.pending())
		}
		if n := r.metric("borealis_push_callback_dropped_total", droppedAddress); n != 5 {
			t.Errorf("%v dropped", n)
		}
	})
}

func TestTheOldestAreDroppedBeyondTheBounds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d, nil)
		r.set(func(s *gate.Settings) { s.CallbackURL = own })
		r.maxRows, r.maxBytes = 20, 1000
		for i := range int64(20) {
			r.record(Record{Msg: 1 + i, Kind: Delivered, Ordinals: upTo(2)})
		}
		if err := r.trim(ctx); err != nil || r.pending() != 20 {
			t.Fatalf("%v, %d rows", err, r.pending())
		}
		r.record(Record{Msg: 21, Kind: Delivered, Ordinals: upTo(2)})
		if err := r.trim(ctx); err != nil {
			t.Fatal(err)
		}
		if n, oldest := r.pending(), r.count(`select min(msg_id) from push_callback`); n != 18 || oldest != 4 {
			t.Errorf("%d rows, the oldest of message %d", n, oldest)
		}
		if n := r.metric("borealis_push_callback_dropped_total", droppedFull); n != 6 {
			t.Errorf("%v dropped", n)
		}
		r.record(Record{Msg: 22, Kind: Delivered, Ordinals: upTo(2), Params: json.RawMessage(`{"x":"` + strings.Repeat("y", 890) + `"}`)})
		if err := r.trim(ctx); err != nil {
			t.Fatal(err)
		}
		if n := r.pending(); n != 0 { // one row alone has more than 9/10 of the bytes
			t.Errorf("%d rows beyond the bytes", n)
		}
		r.record(Record{Kind: Delivered, Ordinals: upTo(2)})
		if err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update push_callback set app_id = 99`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		r.fake.Advance(maxPending)
		if err := r.trim(ctx); err != nil || r.pending() != 1 {
			t.Fatalf("%v, %d rows", err, r.pending())
		}
		r.fake.Advance(time.Millisecond)
		if err := r.trim(ctx); err != nil || r.pending() != 0 {
			t.Errorf("%v, %d rows of an unknown app", err, r.pending())
		}
	})
}

// A row that cannot be read ends the telling of itself only.
func TestADamagedRowHoldsUpNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		r.set(func(s *gate.Settings) { s.CallbackURL = own })
		for i, bad := range [][]byte{{formList, 1}, {formSet, 1, 2, 3}, {9}, {}} {
			r.record(Record{Msg: 1, Kind: Delivered, Ordinals: upTo(2)})
			if err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
				_, err := tx.Exec(ctx, `update push_callback set devices = $1`, bad)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				r.record(Record{Msg: 2, Kind: Delivered, Ordinals: upTo(2)})
			}
			r.fake.Advance(maxAge)
			r.flushAll()
			list := r.take()
			if n := r.pending(); n != 0 || i%2 == 0 && (len(list) != 1 || len(parse(t, list[0].body)) != 2) || i%2 == 1 && len(list) != 0 {
				t.Errorf("%v: %d rows left, %d deliveries", bad, n, len(list))
			}
		}
	})
}

// Whatever is recorded, by whomever, in whatever order nodes run, stop and start: each record is told exactly once.
func TestEachRecordIsToldOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		rapid.Check(t, func(rt *rapid.T) { checkOnce(t, rt, newRig(t, d, func(d *webhook.Deps) { d.MaxWaiting = 7 })) })
	})
}

func checkOnce(t *testing.T, rt *rapid.T, r *rig) {
	t.Helper()
	r.set(func(s *gate.Settings) { s.CallbackURL, s.CallbackTypes = own, 15 })
	r.clear() // of what a failed check left
	type fact struct {
		msg, device int64
		url         string
	}
	want, seen := map[fact]bool{}, map[fact]bool{}
	msg := int64(0)
	collect := func() {
		for _, d := range r.take() {
			for _, w := range parse(t, d.body) {
				f := fact{int64(atoi(t, w.Msg)), -1, d.url}
				if w.RegistrationID != nil {
					f.device = int64(readID(t, *w.RegistrationID))
				}
				if seen[f] || !want[f] {
					rt.Fatalf("%+v: told before %v, recorded %v", f, seen[f], want[f])
				}
				seen[f] = true
			}
		}
	}
	rt.Repeat(map[string]func(*rapid.T){
		"record": func(rt *rapid.T) {
			var batch []Record
			if rapid.IntRange(0, 9).Draw(rt, "many") == 0 { // more rows than a statement writes
				for range rowsPerInsert + 5 {
					msg++
					batch = append(batch, Record{Msg: msg, Kind: Clicked, Ordinals: []uint32{1}})
					want[fact{msg, 1, own}] = true
				}
			}
			for range rapid.IntRange(1, 20).Draw(rt, "batch") {
				msg++
				rec := Record{Msg: msg, Kind: rapid.SampledFrom([]Kind{Delivered, Clicked, NotDelivered, Accepted}).Draw(rt, "kind")}
				url := own
				if rapid.IntRange(0, 3).Draw(rt, "named") == 0 {
					url = "https://push.example/" + rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "path")
					rec.URL = url
				}
				if rec.Kind == Accepted {
					want[fact{msg, -1, url}] = true
				} else {
					n := rapid.SampledFrom([]int{1, 1, 1, 1, 2, 65, 1200}).Draw(rt, "devices")
					begin := rapid.Uint32Range(0, 1<<31).Draw(rt, "first")
					step := rapid.Uint32Range(1, 300).Draw(rt, "step")
					for i := range uint32(n) {
						rec.Ordinals = append(rec.Ordinals, begin+i*step)
						want[fact{msg, int64(begin + i*step), url}] = true
					}
					if rapid.Bool().Draw(rt, "as a set") {
						rec.Set, rec.Ordinals = roaring.BitmapOf(rec.Ordinals...), nil
					}
				}
				batch = append(batch, rec)
			}
			r.record(batch...)
		},
		"round": func(*rapid.T) {
			if _, err := r.round(context.Background()); err != nil {
				t.Fatal(err)
			}
		},
		"wait":    func(*rapid.T) { r.fake.Advance(maxAge) },
		"deliver": func(*rapid.T) { collect() },
		"restart": func(*rapid.T) { r.boot(func(d *webhook.Deps) { d.MaxWaiting = 7 }) },
		"": func(*rapid.T) {
			if n := r.count(`select coalesce(sum(waiting), 0) from push_callback where waiting <= 0`); n != 0 {
				t.Fatal("a row without records was left")
			}
		},
	})
	for r.pending() > 0 {
		r.fake.Advance(maxAge)
		r.flushAll()
		collect()
	}
	collect()
	if len(seen) != len(want) {
		rt.Fatalf("%d of %d were told", len(seen), len(want))
	}
}

func TestNodesThatTellAtOnceTellEachRecordOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		first := newRig(t, d, nil)
		first.set(func(s *gate.Settings) { s.CallbackURL = own })
		second := *first
		second.boot(nil)
		set := roaring.New()
		set.AddRange(0, 20_000)
		records := []Record{{Msg: 1, Kind: Delivered, Set: set}}
		for i := range int64(5000) {
			records = append(records, Record{Msg: 2 + i, Kind: Delivered, Ordinals: []uint32{uint32(i)}})
		}
		for part := range slices.Chunk(records, 500) {
			first.record(part...)
		}
		var (
			seen = map[string]bool{}
			wg   sync.WaitGroup
		)
		for first.pending() > 0 {
			for _, r := range []*rig{first, &second} {
				wg.Go(func() {
					if _, err := r.round(context.Background()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for _, d := range first.take() {
				for _, w := range parse(t, d.body) {
					key := w.Msg + "/" + *w.RegistrationID
					if seen[key] {
						t.Fatalf("%s was told twice", key)
					}
					seen[key] = true
				}
			}
		}
		if len(seen) != 25_000 {
			t.Errorf("%d records were told", len(seen))
		}
	})
}

// A million devices are one row, and telling them needs the memory of their set and of one slice.
func TestAMillionDevicesAreToldInLittleMemory(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t), nil) // not parallel: it measures memory
	r.set(func(s *gate.Settings) { s.CallbackURL = own })
	const n = 1_000_000
	set := roaring.New()
	for i := range uint32(n) {
		set.Add(i * 3) // no runs, so that the set is as large as it gets
	}
	r.record(Record{Kind: Delivered, Set: set, At: 1803864600123, Params: json.RawMessage(`{"order":"A-17"}`)})
	if rows, size := r.pending(), r.count(`select size from push_callback`); rows != 1 || size > 400_000 {
		t.Fatalf("%d rows of %d bytes", rows, size)
	}
	set.Clear()
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	base, peak := heap(), int64(0)
	told := roaring.New()
	s := &cursor{}
	for rounds := 0; r.pending() > 0; rounds++ {
		sl, err := r.slice(context.Background(), r.gate.AppByID(7), "", 1000, s)
		if err != nil {
			t.Fatal(err)
		}
		if rounds%100 == 0 {
			peak = max(peak, heap()-base) // with the slice and the set in hand
		}
		if len(sl.bodies) > perSlice/perDelivery {
			t.Fatalf("%d bodies at once", len(sl.bodies))
		}
		for _, b := range sl.bodies {
			for rest := b; ; {
				_, after, found := bytes.Cut(rest, []byte(`"registration_id":"`))
				if !found {
					break
				}
				if !told.CheckedAdd(readID(t, string(after[:20]))) {
					t.Fatalf("%s is told twice", after[:20])
				}
				rest = after
			}
		}
		sl.bodies = nil // the deliveries' own tests store them
		if err := r.commit(context.Background(), 7, own, true, sl); err != nil {
			t.Fatal(err)
		}
	}
	if told.GetCardinality() != n || told.Maximum() != (n-1)*3 {
		t.Errorf("%d devices were told", told.GetCardinality())
	}
	t.Logf("peak %d KB above the start", peak>>10)
	if peak > 4<<20 {
		t.Errorf("it took %d KB", peak>>10)
	}
}
