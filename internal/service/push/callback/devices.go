package callback

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// How a row keeps its devices: no byte for none, a byte 1 and four bytes for each ordinal, ascending, or a byte 2 and a
// bitmap in Roaring's portable form.
const (
	formList = 1
	formSet  = 2
	// maxList is the number up to which a list is smaller and quicker than a set.
	maxList = 64
)

var errDevices = errors.New("push: devices of a callback cannot be read")

// encodeDevices writes ordinals and set as one, and returns how many there are.
func encodeDevices(ordinals []uint32, set *roaring.Bitmap) (data []byte, n int64, err error) {
	if set == nil && len(ordinals) <= maxList {
		list := slices.Compact(slices.Sorted(slices.Values(ordinals)))
		if len(list) == 0 {
			return []byte{}, 0, nil
		}
		data = append(make([]byte, 0, 1+4*len(list)), formList)
		for _, o := range list {
			data = binary.BigEndian.AppendUint32(data, o)
		}
		return data, int64(len(list)), nil
	}
	all := roaring.BitmapOf(ordinals...)
	if set != nil {
		all.Or(set)
	}
	if n = int64(all.GetCardinality()); n == 0 {
		return []byte{}, 0, nil
	}
	all.RunOptimize()
	bits, err := all.ToBytes()
	if err != nil {
		return nil, 0, fmt.Errorf("push: encode devices of a callback: %w", err)
	}
	return append([]byte{formSet}, bits...), n, nil
}

// devices are read in ascending order, once.
type devices struct {
	list []byte
	set  roaring.IntPeekable
}

// decodeDevices reads what encodeDevices wrote, from the given ordinal on. A list keeps data.
func decodeDevices(data []byte, from int64) (devices, error) {
	switch {
	case len(data) == 0 || from > 1<<32-1:
		return devices{}, nil
	case data[0] == formList && len(data)%4 == 1:
		d := devices{list: data[1:]}
		for len(d.list) > 0 && int64(binary.BigEndian.Uint32(d.list)) < from {
			d.list = d.list[4:]
		}
		return d, nil
	case data[0] == formSet:
		set := roaring.New()
		err := set.UnmarshalBinary(data[1:])
		if err == nil {
			err = set.Validate() // the library reads some sets that it later falls over
		}
		if err != nil {
			return devices{}, fmt.Errorf("%w: %w", errDevices, err)
		}
		d := devices{set: set.Iterator()}
		d.set.AdvanceIfNeeded(uint32(from))
		return d, nil
	}
	return devices{}, errDevices
}

func (d *devices) more() bool {
	if d.set != nil {
		return d.set.HasNext()
	}
	return len(d.list) >= 4
}

func (d *devices) next() uint32 {
	if d.set != nil {
		return d.set.Next()
	}
	o := binary.BigEndian.Uint32(d.list)
	d.list = d.list[4:]
	return o
}
