package audience

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// build returns the set of the chunks that fill adds.
func (x *Index) build(fill func(*builder)) (*roaring.Bitmap, error) {
	b, _ := x.builders.Get().(*builder)
	if b == nil {
		b = new(builder)
	}
	defer func() {
		b.reset()
		x.builders.Put(b)
	}()
	fill(b)
	return b.bitmap()
}

// addAll adds a whole set.
func (b *builder) addAll(s *set) {
	for i, key := range s.keys {
		c := &s.chunks[i]
		b.add(key, c.n, c.list, c.words)
	}
}

// builder writes the portable Roaring format, which is the library's only door for whole chunks: a cookie, the number
// of chunks, their keys and sizes, their offsets, and the chunks as lists or words.
type builder struct {
	heads []byte // uint16 key and uint16 size-1 of each
	ends  []int  // of each in body
	body  []byte
}

const roaringCookie = 12346 // of the format without runs

func (b *builder) add(key uint16, n int, list []uint16, w *words) {
	b.heads = binary.LittleEndian.AppendUint16(b.heads, key)
	b.heads = binary.LittleEndian.AppendUint16(b.heads, uint16(n-1))
	size := 2 * n
	if n > maxList { // as words, as every chunk of this size is
		size = 8 * chunkWords
	}
	at := len(b.body)
	b.body = slices.Grow(b.body, size+listRoom)[:at+size]
	to := b.body[at:]
	switch {
	case n > maxList:
		for i, x := range w {
			binary.LittleEndian.PutUint64(to[8*i:], x)
		}
	case w != nil:
		w.putList(to[:size+listRoom])
	default:
		for i, v := range list {
			binary.LittleEndian.PutUint16(to[2*i:], v)
		}
	}
	b.ends = append(b.ends, len(b.body))
}

// reset empties the builder and keeps its memory.
func (b *builder) reset() { b.heads, b.ends, b.body = b.heads[:0], b.ends[:0], b.body[:0] }

func (b *builder) bitmap() (*roaring.Bitmap, error) {
	out := roaring.New()
	if len(b.ends) == 0 {
		return out, nil
	}
	head := make([]byte, 0, 8+8*len(b.ends))
	head = binary.LittleEndian.AppendUint32(head, roaringCookie)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(b.ends)))
	head = append(head, b.heads...)
	start := 0
	for _, end := range b.ends {
		head = binary.LittleEndian.AppendUint32(head, uint32(8+8*len(b.ends)+start))
		start = end
	}
	// ReadFrom copies, so that the set is the caller's alone.
	if _, err := out.ReadFrom(io.MultiReader(bytes.NewReader(head), bytes.NewReader(b.body))); err != nil {
		return nil, fmt.Errorf("audience: build set: %w", err)
	}
	return out, nil
}
