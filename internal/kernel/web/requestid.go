package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"sync/atomic"
)

// HeaderRequestID names the header that carries the request id in both directions.
const HeaderRequestID = "X-Request-Id"

// requestIDKey is the context key of the request id.
type requestIDKey struct{}

// RequestID is the id of the request that ctx belongs to, empty outside of one. It is the caller's X-Request-Id if
// that was acceptable (1 to 64 of [A-Za-z0-9._-]).
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// requestIDs makes ids that are unique with all likelihood over processes: a random prefix and a counter. They are no
// secrets.
type requestIDs struct {
	prefix string
	last   atomic.Uint64
}

func newRequestIDs() *requestIDs {
	var b [6]byte
	_, _ = rand.Read(b[:]) // ends the process rather than fail
	return &requestIDs{prefix: hex.EncodeToString(b[:]) + "-"}
}

func (g *requestIDs) next() string { return g.prefix + strconv.FormatUint(g.last.Add(1), 36) }

func (s *Stack) identifying(ids *requestIDs, next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(HeaderRequestID)
		if !acceptableID(id) {
			id = ids.next()
		}
		if w, ok := rw.(*response); ok {
			w.id = id
		}
		rw.Header()[HeaderRequestID] = []string{id}
		next.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func acceptableID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
