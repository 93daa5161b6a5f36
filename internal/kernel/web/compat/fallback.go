package compat

import (
	"net/http"
	"strings"
)

// Fallback answers what no route of mux takes, in the wire shape clients can read: 405 with the code of the API that
// was called when the path exists for another method, 404 otherwise. Register it for a whole root ("/v3/"), so that the
// mux never writes its own text answers there.
func Fallback(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed := otherMethods(mux, r)
		if len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			ErrorWriterFor(r.URL.Path)(w, Errorf(http.StatusMethodNotAllowed, methodCode(r.URL.Path), "Method not allowed."), nil)
			return
		}
		ErrorWriterFor(r.URL.Path)(w, Errorf(http.StatusNotFound, 1020, "The requested resource does not exist."), nil)
	})
}

// otherMethods lists the methods for which a more specific pattern than the one of this request exists.
func otherMethods(mux *http.ServeMux, r *http.Request) []string {
	var allowed []string
	probe := &http.Request{URL: r.URL, Host: r.Host}
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		probe.Method = m
		if _, pattern := mux.Handler(probe); pattern != "" && pattern != r.Pattern {
			allowed = append(allowed, m)
		}
	}
	return allowed
}

func methodCode(path string) int {
	if strings.HasPrefix(path, "/v1/app") {
		return 4001
	}
	return 1001
}
