package gate

import "sync"

// facts are published values with a public key and an internal number. It is safe for concurrent use.
type facts[T any] struct {
	mu    sync.RWMutex
	byKey map[string]*T
	byID  map[int64]fact[T]
}

type fact[T any] struct {
	value    *T
	key      string
	revision int64
}

// publish makes a value known unless what is known of the same number is newer. With an empty key it is found by its
// number only.
func (f *facts[T]) publish(key string, id, revision int64, value *T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey == nil {
		f.byKey, f.byID = make(map[string]*T), make(map[int64]fact[T])
	}
	if old, known := f.byID[id]; known {
		if old.revision > revision {
			return
		}
		delete(f.byKey, old.key)
	}
	f.byID[id] = fact[T]{value, key, revision}
	if key != "" {
		f.byKey[key] = value
	}
}

// withdraw forgets a value, except for the revision that ended it: an older fact that is still on its way must not bring
// it back.
func (f *facts[T]) withdraw(id, revision int64) { f.publish("", id, revision, nil) }

// find returns the value with the public key, or nil.
func (f *facts[T]) find(key string) *T {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.byKey[key]
}

// get returns the value with the internal number, or nil.
func (f *facts[T]) get(id int64) *T {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.byID[id].value
}

// each yields every value, in no order, until yield returns false.
func (f *facts[T]) each(yield func(*T) bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, x := range f.byID {
		if x.value != nil && !yield(x.value) {
			return
		}
	}
}
