package audience

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Device is what the index knows of one device.
type Device struct {
	Ordinal  uint32
	Platform Platform
	// Alias, "" if it has none.
	Alias string
	// Tags are ids of the app's dictionary, ascending.
	Tags []uint32
	// Joined devices are in audiences; others are only known: they have not connected yet, or take no pushes.
	Joined bool
	// Muted devices show no notifications.
	Muted bool
}

// Change is what a transaction did to one device: the whole state before and after. Before is nil for a device that is
// new, After for one that is gone.
type Change struct {
	Before, After *Device
}

// ordinal of the device, and whether the change names exactly one.
func (c Change) ordinal() (uint32, error) {
	switch {
	case c.Before == nil && c.After == nil:
		return 0, errors.New("audience: a change without a device")
	case c.After == nil:
		return c.Before.Ordinal, nil
	case c.Before != nil && c.Before.Ordinal != c.After.Ordinal:
		return 0, fmt.Errorf("audience: a change from device %d to device %d", c.Before.Ordinal, c.After.Ordinal)
	}
	return c.After.Ordinal, nil
}

// entry is one element of the log.
type entry struct {
	kind entryKind
	// Of a device: platform is 0 for one that is gone. Of a tag: id and name.
	platform         Platform
	joined, muted    bool
	oldAlias, alias  string // equal: not changed
	removed, added   []uint32
	tag              uint32
	name             string
	aliasIsUnchanged bool
}

type entryKind uint8

// Kinds of entries. The numbers are stored.
const (
	deviceChanged entryKind = iota + 1
	tagDefined
	tagDropped
)

const (
	flagJoined = 1 << iota
	flagAlias  // old and new alias follow
	flagMuted
)

var errEntry = errors.New("audience: damaged log entry")

func deviceEntry(c Change) entry {
	var before, after Device
	if c.Before != nil {
		before = *c.Before
	}
	if c.After != nil {
		after = *c.After
	}
	e := entry{kind: deviceChanged, platform: after.Platform, joined: after.Joined, muted: after.Muted, oldAlias: before.Alias, alias: after.Alias}
	e.aliasIsUnchanged = e.oldAlias == e.alias
	e.removed, e.added = difference(before.Tags, after.Tags), difference(after.Tags, before.Tags)
	return e
}

// difference of two ascending lists.
func difference(a, b []uint32) []uint32 {
	var out []uint32
	for _, x := range a {
		if _, found := slices.BinarySearch(b, x); !found {
			out = append(out, x)
		}
	}
	return out
}

func (e entry) encode() []byte {
	b := []byte{byte(e.kind)}
	switch e.kind {
	case deviceChanged:
		var flags byte
		if e.joined {
			flags |= flagJoined
		}
		if e.muted {
			flags |= flagMuted
		}
		if !e.aliasIsUnchanged {
			flags |= flagAlias
		}
		b = append(b, flags, byte(e.platform))
		if !e.aliasIsUnchanged {
			b = appendString(appendString(b, e.oldAlias), e.alias)
		}
		b = appendIDs(appendIDs(b, e.removed), e.added)
	case tagDefined, tagDropped:
		b = appendString(binary.AppendUvarint(b, uint64(e.tag)), e.name)
	}
	return b
}

func decodeEntry(data []byte) (entry, error) {
	if len(data) == 0 {
		return entry{}, errEntry
	}
	e := entry{kind: entryKind(data[0])}
	r := reader{data: data[1:]}
	switch e.kind {
	case deviceChanged:
		flags := r.byte()
		e.platform = Platform(r.byte())
		e.joined, e.muted = flags&flagJoined != 0, flags&flagMuted != 0
		e.aliasIsUnchanged = flags&flagAlias == 0
		if !e.aliasIsUnchanged {
			e.oldAlias, e.alias = r.string(), r.string()
		}
		e.removed, e.added = r.ids(), r.ids()
		if e.platform >= PlatformEnd {
			r.bad = true
		}
	case tagDefined, tagDropped:
		id := r.uvarint()
		if id > 1<<32-1 {
			r.bad = true
		}
		e.tag, e.name = uint32(id), r.string()
	default:
		r.bad = true
	}
	if r.bad || len(r.data) != 0 {
		return entry{}, errEntry
	}
	return e, nil
}

// PackTags is the form in which a device row carries its tag ids (ascending): the differences as varints. No tags are
// an empty slice.
func PackTags(ids []uint32) []byte {
	if len(ids) == 0 {
		return []byte{}
	}
	return appendIDs(nil, ids)
}

// UnpackTags is the inverse of PackTags.
func UnpackTags(data []byte) ([]uint32, error) {
	if len(data) == 0 {
		return nil, nil
	}
	r := reader{data: data}
	ids := r.ids()
	if r.bad || len(r.data) != 0 {
		return nil, errors.New("audience: damaged list of tags")
	}
	return ids, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendIDs(b []byte, ids []uint32) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	last := uint32(0)
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(id-last))
		last = id
	}
	return b
}

// reader takes values from the front of data; after a fault it is bad and returns zero values.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.bad = true
		return 0
	}
	v := r.data[0]
	r.data = r.data[1:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.data)) {
		r.bad = true
		return ""
	}
	v := string(r.data[:n])
	r.data = r.data[n:]
	return v
}

func (r *reader) ids() []uint32 {
	n := r.uvarint()
	if n > uint64(len(r.data)) { // each takes a byte at least
		r.bad = true
		return nil
	}
	if n == 0 {
		return nil
	}
	ids := make([]uint32, 0, n)
	last := uint64(0)
	for i := range n {
		step := r.uvarint()
		last += step
		if step > 1<<32-1 || last > 1<<32-1 || i > 0 && step == 0 {
			r.bad = true
			return nil
		}
		ids = append(ids, uint32(last))
	}
	return ids
}
