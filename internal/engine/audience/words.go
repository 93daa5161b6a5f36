package audience

import (
	"encoding/binary"
	"math/bits"
)

// words is a chunk as one bit per member.
type words [chunkWords]uint64

const chunkWords = 1024

// block is as many words as are worked on at a time: with eight, the intermediate results stay in registers, and each
// word of each set is read once.
const block = 8

func (w *words) has(v uint16) bool { return w[v>>6]&(1<<(v&63)) != 0 }
func (w *words) add(v uint16)      { w[v>>6] |= 1 << (v & 63) }

// addList adds an ascending list. Neighbours are often in the same word, and each would have to wait until the one
// before is stored, so four places of the list are worked on in turns.
func (w *words) addList(list []uint16) {
	n := len(list) / 4
	a, b, c, d := list[:n], list[n:2*n], list[2*n:3*n], list[3*n:]
	for i := range a {
		w.add(a[i])
		w.add(b[i])
		w.add(c[i])
		w.add(d[i])
	}
	for _, v := range d[n:] {
		w.add(v)
	}
}

func (w *words) count() int {
	n := 0
	for _, x := range w {
		n += bits.OnesCount64(x)
	}
	return n
}

// appendList appends the members, ascending.
func (w *words) appendList(list []uint16) []uint16 {
	for i, x := range w {
		for ; x != 0; x &= x - 1 {
			list = append(list, uint16(i<<6|bits.TrailingZeros64(x)))
		}
	}
	return list
}

// listRoom is how many bytes putList may write behind the list.
const listRoom = 8

// putList writes the members, ascending, as two bytes each. Four at a time are written whether there are so many in a
// word or not, because guessing wrong costs more than writing.
func (w *words) putList(to []byte) {
	at := 0
	for i, x := range w {
		base := uint16(i << 6)
		for n := bits.OnesCount64(x); ; n -= 4 {
			four := to[at : at+listRoom]
			binary.LittleEndian.PutUint16(four, base|uint16(bits.TrailingZeros64(x)))
			x &= x - 1
			binary.LittleEndian.PutUint16(four[2:], base|uint16(bits.TrailingZeros64(x)))
			x &= x - 1
			binary.LittleEndian.PutUint16(four[4:], base|uint16(bits.TrailingZeros64(x)))
			x &= x - 1
			binary.LittleEndian.PutUint16(four[6:], base|uint16(bits.TrailingZeros64(x)))
			x &= x - 1
			if n <= 4 {
				at += 2 * n
				break
			}
			at += 8
		}
	}
}

// or adds other members.
func (w *words) or(x *words) {
	for i := range w {
		w[i] |= x[i]
	}
}

// union returns the union of chunks, at least one, which is w unless it is one of them.
func (w *words) union(chunks []*chunk) *words {
	if len(chunks) == 1 && chunks[0].words != nil {
		return chunks[0].words
	}
	var first *words
	for _, c := range chunks {
		switch {
		case c.words == nil:
		case first == nil:
			first = c.words
		case first != w:
			w.both(first, c.words)
			first = w
		default:
			w.or(c.words)
		}
	}
	switch first {
	case w:
	case nil:
		*w = words{}
	default:
		*w = *first
	}
	for _, c := range chunks {
		if c.words == nil {
			w.addList(c.list)
		}
	}
	return w
}

// both makes w the union of two.
func (w *words) both(a, b *words) {
	for i := range w {
		w[i] = a[i] | b[i]
	}
}

// and makes w what is in all of in, of which there is one at least, and in none of out. It returns the number of
// members.
func (w *words) and(in, out []*words) (n int) {
	first, rest := in[0], in[1:]
	for i := 0; i < chunkWords; i += block {
		x := (*[block]uint64)(first[i : i+block])
		x0, x1, x2, x3, x4, x5, x6, x7 := x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
		for _, w := range rest {
			y := (*[block]uint64)(w[i : i+block])
			x0 &= y[0]
			x1 &= y[1]
			x2 &= y[2]
			x3 &= y[3]
			x4 &= y[4]
			x5 &= y[5]
			x6 &= y[6]
			x7 &= y[7]
		}
		for _, w := range out {
			y := (*[block]uint64)(w[i : i+block])
			x0 &^= y[0]
			x1 &^= y[1]
			x2 &^= y[2]
			x3 &^= y[3]
			x4 &^= y[4]
			x5 &^= y[5]
			x6 &^= y[6]
			x7 &^= y[7]
		}
		to := (*[block]uint64)(w[i : i+block])
		to[0], to[1], to[2], to[3], to[4], to[5], to[6], to[7] = x0, x1, x2, x3, x4, x5, x6, x7
		n += bits.OnesCount64(x0) + bits.OnesCount64(x1) + bits.OnesCount64(x2) + bits.OnesCount64(x3) +
			bits.OnesCount64(x4) + bits.OnesCount64(x5) + bits.OnesCount64(x6) + bits.OnesCount64(x7)
	}
	return n
}
