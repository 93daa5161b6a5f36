package file

import "sync"

const (
	// maxUploads bounds the uploads that this node reads at a time, and ownerUploads those of one owner: what is not
	// complete yet takes space that no other limit counts.
	maxUploads   = 64
	ownerUploads = 8
)

// slots counts uploads that are being read.
type slots struct {
	mu      sync.Mutex
	total   int
	byOwner map[Owner]int
}

// take reports whether one more may begin.
func (s *slots) take(o Owner) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= maxUploads || s.byOwner[o] >= ownerUploads {
		return false
	}
	if s.byOwner == nil {
		s.byOwner = make(map[Owner]int)
	}
	s.total++
	s.byOwner[o]++
	return true
}

func (s *slots) give(o Owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.byOwner[o]--; s.byOwner[o] == 0 {
		delete(s.byOwner, o)
	}
}
