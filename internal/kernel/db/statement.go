package db

import (
	"context"
	"database/sql"
	"sync"
)

// maxStatements bounds a cache of prepared statements; texts with lists of varying length would fill it without end.
const maxStatements = 512

// statements keeps SQL texts prepared on one pool of connections. A nil *statements caches nothing.
type statements struct {
	pool *sql.DB
	mu   sync.RWMutex
	m    map[string]*sql.Stmt
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

func (s *statements) prepare(ctx context.Context, query string) *sql.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.m[query]; st != nil || len(s.m) >= maxStatements {
		return st
	}
	st, err := s.pool.PrepareContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil
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
	s.m = map[string]*sql.Stmt{}
}
