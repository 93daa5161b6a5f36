package audience

import (
	"encoding/binary"
	"errors"
)

// A part of a snapshot is a row of pieces, each one of the containers that the sets are made of in memory.
type pieceKind uint8

// Kinds of pieces. The numbers are stored.
const (
	// pagePiece: a key, and the states of that many devices.
	pagePiece pieceKind = iota + 1
	// tagPiece: the id of a tag, a key, and a chunk.
	tagPiece
	// aliasPiece: a number of records, each as a bucket has it.
	aliasPiece
	// crowdPiece: an alias, a key, and a chunk.
	crowdPiece
)

// Forms of a chunk. The numbers are stored.
const (
	listForm  = iota + 1 // members, two bytes each
	gapsForm             // what lies between members, mostly a byte each
	wordsForm            // one bit per member
)

// snapshotFormat is raised when pieces change their meaning; other snapshots are not read.
const snapshotFormat = 2

var errPart = errors.New("damaged part of a snapshot")

func appendPage(b []byte, key int, p *page) []byte {
	n := len(p)
	for n > 0 && p[n-1] == 0 {
		n--
	}
	b = binary.AppendUvarint(append(b, byte(pagePiece)), uint64(key))
	return append(binary.AppendUvarint(b, uint64(n)), p[:n]...)
}

func appendTagChunk(b []byte, id uint32, key uint16, c *chunk) []byte {
	b = binary.AppendUvarint(append(b, byte(tagPiece)), uint64(id))
	return appendChunk(binary.AppendUvarint(b, uint64(key)), c)
}

func appendCrowdChunk(b []byte, alias string, key uint16, c *chunk) []byte {
	b = appendString(append(b, byte(crowdPiece)), alias)
	return appendChunk(binary.AppendUvarint(b, uint64(key)), c)
}

func appendBucket(b []byte, from *bucket) []byte {
	b = binary.AppendUvarint(append(b, byte(aliasPiece)), uint64(from.n))
	from.each(func(_, record []byte) { b = append(b, record...) })
	return b
}

func appendChunk(b []byte, c *chunk) []byte {
	if c.words != nil {
		b = append(b, wordsForm)
		for _, x := range c.words {
			b = binary.LittleEndian.AppendUint64(b, x)
		}
		return b
	}
	at := len(b)
	b = binary.AppendUvarint(append(b, gapsForm), uint64(c.n))
	body := len(b)
	next := 0
	for _, v := range c.list {
		if gap := int(v) - next; gap < 255 {
			b = append(b, byte(gap))
		} else {
			b = append(b, 255, byte(gap), byte(gap>>8))
		}
		next = int(v) + 1
	}
	if len(b)-body < 2*c.n {
		return b
	}
	b[at], b = listForm, b[:body]
	for _, v := range c.list {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

// part is one taken to pieces.
type part struct {
	pages  []statePage
	tags   []tagChunk
	crowds []crowdChunk
	// records are those of buckets. They lie in the data that was read.
	records [][]byte
	hashes  []uint64 // of the records' aliases; for who puts parts together
}

type statePage struct {
	key    uint16
	states *page
}

type tagChunk struct {
	id    uint32
	key   uint16
	chunk chunk
}

type crowdChunk struct {
	alias string
	key   uint16
	chunk chunk
}

// read replaces what the part contains; the error is errPart. It never panics, whatever data is.
func (p *part) read(data []byte) error {
	p.pages, p.tags, p.crowds, p.records = p.pages[:0], p.tags[:0], p.crowds[:0], p.records[:0]
	r := reader{data: data}
	for len(r.data) > 0 && !r.bad {
		switch pieceKind(r.byte()) {
		case pagePiece:
			p.pages = append(p.pages, statePage{r.key(), r.page()})
		case tagPiece:
			id := r.uvarint()
			r.bad = r.bad || id > 1<<32-1
			p.tags = append(p.tags, tagChunk{uint32(id), r.key(), r.chunk()})
		case aliasPiece:
			for n := r.uvarint(); n > 0 && !r.bad; n-- {
				p.records = append(p.records, r.record())
			}
		case crowdPiece:
			alias := r.string()
			r.bad = r.bad || alias == ""
			p.crowds = append(p.crowds, crowdChunk{alias, r.key(), r.chunk()})
		default:
			r.bad = true
		}
	}
	if r.bad {
		return errPart
	}
	return nil
}

func (r *reader) record() []byte {
	if len(r.data) < 2 || r.data[0] == 0 || r.data[0] > maxHolders || r.data[1] == 0 || r.data[1] > MaxNameBytes {
		r.bad = true
		return nil
	}
	record := r.take(recordSize(int(r.data[1]), int(r.data[0])))
	if record == nil {
		return nil
	}
	last := int64(-1)
	for at := 2 + int(record[1]); at < len(record); at += 4 {
		o := int64(binary.LittleEndian.Uint32(record[at:]))
		r.bad = r.bad || o <= last
		last = o
	}
	return record
}

// key is that of a chunk or page.
func (r *reader) key() uint16 {
	v := r.uvarint()
	if v > 1<<16-1 {
		r.bad = true
	}
	return uint16(v)
}

func (r *reader) take(n int) []byte {
	if n > len(r.data) {
		r.bad = true
		return nil
	}
	v := r.data[:n]
	r.data = r.data[n:]
	return v
}

func (r *reader) page() *page {
	n := r.uvarint()
	if r.bad || n > 1<<16 || n > uint64(len(r.data)) {
		r.bad = true
		return nil
	}
	p := new(page)
	copy(p[:], r.take(int(n)))
	for _, state := range p {
		p := platformOf(state)
		if state != 0 && (p == 0 || p >= PlatformEnd || state != stateOf(p, state&joinedBit != 0, state&mutedBit != 0)) {
			r.bad = true
		}
	}
	return p
}

// chunk reads one that has the form its size calls for.
func (r *reader) chunk() chunk {
	var c chunk
	switch r.byte() {
	case wordsForm:
		if data := r.take(8 * chunkWords); data != nil {
			c.words = new(words)
			for i := range c.words {
				c.words[i] = binary.LittleEndian.Uint64(data[8*i:])
			}
			c.n = c.words.count()
			r.bad = r.bad || c.n < minWords
		}
	case gapsForm:
		if n := r.size(); !r.bad {
			c.n, c.list = n, make([]uint16, n)
			r.gaps(c.list)
		}
	case listForm:
		if data := r.take(2 * r.size()); !r.bad {
			c.n, c.list = len(data)/2, make([]uint16, len(data)/2)
			last := -1
			for i := range c.list {
				v := binary.LittleEndian.Uint16(data[2*i:])
				r.bad = r.bad || int(v) <= last
				c.list[i], last = v, int(v)
			}
		}
	default:
		r.bad = true
	}
	return c
}

// size is that of a list, at least one.
func (r *reader) size() int {
	n := r.uvarint()
	if n == 0 || n > maxList || n > uint64(len(r.data)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) gaps(list []uint16) {
	data, next := r.data, 0
	for i := range list {
		if len(data) == 0 {
			r.bad = true
			return
		}
		gap, width := int(data[0]), 1
		if gap == 255 {
			if len(data) < 3 {
				r.bad = true
				return
			}
			gap, width = int(data[1])|int(data[2])<<8, 3
		}
		data = data[width:]
		if next += gap; next > 1<<16-1 {
			r.bad = true
			return
		}
		list[i] = uint16(next)
		next++
	}
	r.data = data
}
