package callback

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestRecordsArriveInTheirWireFormatSigned(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		rc := newReceiver(t, nil)
		r.set(func(s *gate.Settings) { s.CallbackURL, s.CallbackTypes = rc.URL, 15 })
		r.record(
			Record{Msg: 58546795154321, Kind: Accepted, At: 1803864600000, SendNo: 40712, Params: json.RawMessage(`{"order":"A-17"}`)},
			Record{Msg: 58546795154321, Kind: Delivered, Platform: audience.Android, Channel: "jpush", Ordinals: []uint32{5, 3}, At: 1803864600123, SendNo: 40712, Params: json.RawMessage(`{"order":"A-17"}`)},
			Record{Msg: 2, Kind: NotDelivered, Platform: audience.IOS, Channel: "apns", Ordinals: []uint32{4294967295}, At: 1803864600124, Reason: "expired"},
			Record{Msg: 3, Kind: Clicked, Platform: audience.HMOS, Ordinals: []uint32{0}, At: 1803864600125, Reason: "not for clicks"},
		)
		r.fake.Advance(maxAge)
		r.flushAll()
		r.send()
		eventually(t, "it arrives", func() bool { return len(rc.requests()) > 0 })
		q := rc.requests()[0]
		want := `[{"appkey":"5f3c0a9d2b7e41c6a8d0e1f2","msg_id":"58546795154321","type":8,"time":1803864600000,"sendno":"40712","params":{"order":"A-17"}},` +
			`{"appkey":"5f3c0a9d2b7e41c6a8d0e1f2","msg_id":"58546795154321","registration_id":"07000000000000000003","platform":"android","channel":"jpush","type":1,"time":1803864600123,"sendno":"40712","params":{"order":"A-17"}},` +
			`{"appkey":"5f3c0a9d2b7e41c6a8d0e1f2","msg_id":"58546795154321","registration_id":"07000000000000000005","platform":"android","channel":"jpush","type":1,"time":1803864600123,"sendno":"40712","params":{"order":"A-17"}},` +
			`{"appkey":"5f3c0a9d2b7e41c6a8d0e1f2","msg_id":"2","registration_id":"070000000000ffffffff","platform":"ios","channel":"apns","type":4,"time":1803864600124,"reason":"expired"},` +
			`{"appkey":"5f3c0a9d2b7e41c6a8d0e1f2","msg_id":"3","registration_id":"07000000000000000000","platform":"hmos","type":2,"time":1803864600125}]`
		if string(q.body) != want {
			t.Errorf("body\n%s\nwant\n%s", q.body, want)
		}
		mac := hmac.New(sha256.New, []byte("secret of "+appKey))
		mac.Write([]byte(q.Header.Get("X-Callback-Timestamp") + "." + q.Header.Get("X-Callback-Nonce") + "." + string(q.body)))
		if got := q.Header.Get("X-Callback-Signature"); got != hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("signature %q", got)
		}
		if n := r.pending(); n != 0 {
			t.Errorf("%d rows left", n)
		}
	})
}

func TestOnlyWhatSomebodyWantsIsWritten(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		const push, own = "https://push.example/in", "https://app.example/in"
		device := []uint32{1}
		for name, c := range map[string]struct {
			url    string // of the app
			types  int
			record Record
			rows   int64
		}{
			"nobody has an address":             {"", 15, Record{Kind: Delivered, Ordinals: device}, 0},
			"the app wants it":                  {own, 7, Record{Kind: Delivered, Ordinals: device}, 1},
			"the app wants another kind":        {own, 7, Record{Kind: Accepted}, 0},
			"the app wants accepted":            {own, 8, Record{Kind: Accepted}, 1},
			"the push wants less":               {own, 7, Record{Kind: Delivered, Ordinals: device, Mask: 2}, 0},
			"the push wants more":               {own, 1, Record{Kind: Clicked, Ordinals: device, Mask: 3}, 1},
			"the push has an address":           {"", 7, Record{Kind: Delivered, Ordinals: device, URL: push}, 1},
			"the app's kinds hold for a push's": {"", 2, Record{Kind: Delivered, Ordinals: device, URL: push}, 0},
			"another app":                       {own, 15, Record{App: 8, Kind: Delivered, Ordinals: device, URL: push}, 0},
			"no device":                         {own, 15, Record{Kind: Delivered}, 0},
			"an empty set":                      {own, 15, Record{Kind: Delivered, Set: roaring.New()}, 0},
			"an address that is none":           {own, 15, Record{Kind: Delivered, Ordinals: device, URL: "http://a\x00"}, 0},
			"an address with credentials":       {own, 15, Record{Kind: Delivered, Ordinals: device, URL: "http://u:p@a.example"}, 0},
		} {
			r.set(func(s *gate.Settings) { s.CallbackURL, s.CallbackTypes = c.url, c.types })
			before := r.pending()
			r.record(c.record)
			if got := r.pending() - before; got != c.rows {
				t.Errorf("%s: %d rows", name, got)
			}
		}
	})
}

func TestSetsStaySetsAndRollBackWithTheirTransaction(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		r.set(func(s *gate.Settings) { s.CallbackURL = "https://app.example/in" })
		set := roaring.New()
		set.AddRange(10, 200_010)
		before := set.Clone()
		records := []Record{{Kind: Delivered, Set: set, Ordinals: []uint32{3, 10, 200_011, 3}}}
		for range 130 { // more than two statements' worth
			records = append(records, Record{Kind: Clicked, Ordinals: []uint32{9, 8, 9}})
		}
		failure := errors.New("the fact did not happen")
		err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			if err := r.Record(ctx, tx, records...); err != nil {
				return err
			}
			return failure
		})
		if !errors.Is(err, failure) || r.pending() != 0 {
			t.Fatalf("%v, %d rows", err, r.pending())
		}
		r.record(records...)
		if rows, waiting, size := r.pending(), r.count(`select sum(waiting) from push_callback`), r.count(`select max(size) from push_callback`); rows != 131 || waiting != 200_002+260 || size > 200 {
			t.Errorf("%d rows, %d records, the largest has %d bytes", rows, waiting, size)
		}
		if !set.Equals(before) {
			t.Error("the caller's set was changed")
		}
	})
}
