package db

import (
	"context"
	"database/sql"
	"strings"
	"sync"
)

const (
	// maxStatements bounds a cache of prepared statements.
	maxStatements = 512
	// varying marks a text with a list of In: every length is another text, and a few hundred would fill the cache for
	// good.
	varying = "/*list*/"
)

// cacheable tells whether a text is worth preparing.
func cacheable(query string) bool { return !strings.Contains(query, varying) }

// statements keeps SQL texts prepared on one pool of connections. A nil *statements caches nothing.
type statements struct {
	pool *sql.DB
	mu   sync.RWMutex
	m    map[string]*sql.Stmt // nil once closed
}

func newStatements(pool *sql.DB) *statements {
	return &statements{pool: pool, m: make(map[string]*sql.Stmt)}
}

// get returns the prepared statement, or nil when the text is not to be cached or cannot be prepared: the caller then
// runs the text itself and meets the error there.
func (s *statements) get(ctx context.Context, query string) *sql.Stmt {
	if s == nil {
		return nil
	}
	if st := s.lookup(query); st != nil {
		return st
	}
	return s.prepare(ctx, query)
}

func (s *statements) lookup(query string) *sql.Stmt {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[query]
}

func (s *statements) full() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m == nil || len(s.m) >= maxStatements
}

// prepare holds no lock while it waits for a connection, so what is prepared already stays at hand.
func (s *statements) prepare(ctx context.Context, query string) *sql.Stmt {
	if !cacheable(query) || s.full() {
		return nil
	}
	st, err := s.pool.PrepareContext(ctx, query)
	if err != nil {
		return nil
	}
	kept := s.keep(query, st)
	if kept != st {
		_ = st.Close()
	}
	return kept
}

// keep returns the statement that stands for the text from now on: st, the one of a caller that was faster, or nil.
func (s *statements) keep(query string, st *sql.Stmt) *sql.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.m[query]; other != nil || s.m == nil || len(s.m) >= maxStatements {
		return other
	}
	s.m[query] = st
	return st
}

func (s *statements) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.m {
		_ = st.Close()
	}
	s.m = nil
}
