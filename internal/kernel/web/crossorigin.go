package web

import (
	"net/http"
	"strings"
)

// CrossOrigin lets scripts of any web site call what is below the path prefix (the CORS protocol of browsers): it answers
// their preflight requests and marks every answer as readable. Only for surfaces whose callers send their credentials
// themselves in each request: the permission does not extend to cookies or to credentials that a browser remembers.
func CrossOrigin(prefix string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, prefix) {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			h.Set("Access-Control-Expose-Headers", "Retry-After")
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
		// An asterisk would not cover Authorization.
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-App-Key")
		h.Set("Access-Control-Max-Age", "7200") // seconds; browsers keep it no longer
		w.WriteHeader(http.StatusNoContent)
	})
}
