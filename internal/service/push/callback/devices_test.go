package callback

import (
	"errors"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"
)

// What is read back is what was written, ascending, from wherever one begins.
func TestDevicesAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		near := rapid.Uint32Range(0, 400)
		list := rapid.SliceOfN(rapid.OneOf(near, rapid.Uint32()), 0, 200).Draw(t, "list")
		var set *roaring.Bitmap
		if rapid.Bool().Draw(t, "with a set") {
			set = roaring.BitmapOf(rapid.SliceOf(near).Draw(t, "set")...)
		}
		data, n, err := encodeDevices(list, set)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(list)
		if set != nil {
			want = append(want, set.ToArray()...)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if n != int64(len(want)) {
			t.Fatalf("%d devices, want %d", n, len(want))
		}
		from := rapid.OneOf(rapid.Int64Range(0, 500), rapid.Int64Range(0, 1<<32)).Draw(t, "from")
		want = slices.DeleteFunc(want, func(o uint32) bool { return int64(o) < from })
		d, err := decodeDevices(data, from)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint32
		for d.more() {
			got = append(got, d.next())
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func FuzzDecodeDevices(f *testing.F) {
	for _, list := range [][]uint32{nil, {1}, {1, 2, 1 << 31}, upTo(100), upTo(10_000)} {
		data, _, err := encodeDevices(list, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, int64(0))
	}
	f.Add([]byte{formList, 1}, int64(5))
	f.Add([]byte{formSet}, int64(1<<32))
	f.Fuzz(func(t *testing.T, data []byte, from int64) {
		if from < 0 {
			return
		}
		d, err := decodeDevices(data, from)
		if err != nil {
			if !errors.Is(err, errDevices) {
				t.Error(err)
			}
			return
		}
		for range 1000 {
			if !d.more() {
				return
			}
			if o := d.next(); len(data) > 0 && data[0] == formSet && int64(o) < from {
				t.Errorf("%d comes before %d", o, from)
			}
		}
	})
}
