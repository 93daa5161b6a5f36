package phone

import (
	"math/rand/v2"
	"sync"
)

// Faults are what a simulator is told to answer instead of the truth. It is safe for concurrent use.
type Faults struct {
	mu   sync.Mutex
	next []string
	// rates are the shares of calls that meet a fault by chance.
	names []string
	share float64
	rand  *rand.Rand
}

// Next makes the following calls fail, one after the other, each with the fault of that name. "" is a call that does not.
func (f *Faults) Next(names ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = append(f.next, names...)
}

// Sometimes makes a share of the calls, 0 to 1, meet one of the faults, chosen by a generator of that seed.
func (f *Faults) Sometimes(share float64, seed uint64, names ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.share, f.names, f.rand = share, names, rand.New(rand.NewPCG(seed, seed))
}

// Take is the fault of this call, "" for none.
func (f *Faults) Take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.next) > 0 {
		name := f.next[0]
		f.next = f.next[1:]
		return name
	}
	if len(f.names) > 0 && f.rand.Float64() < f.share {
		return f.names[f.rand.IntN(len(f.names))]
	}
	return ""
}
