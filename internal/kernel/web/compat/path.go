package compat

import (
	"net/http"
	"net/url"
	"strings"
)

// Path wraps the handler of an origin that serves the compatible APIs and makes routing as forgiving as their clients
// need, for paths under /v1 and /v3 only:
//
//   - empty segments vanish: /v3//push/validate, /v3/schedules/, /v3/tags/vip/?platform=android;
//   - the paths of the vendor's Beijing zone are those of the others: /v3/device/…, /v3/report/…, /v3/push/schedules/…;
//   - "&new_format=true" at the end of an alias path moves into the query;
//   - each segment is percent-decoded once, by the mux, and + stays +;
//   - HEAD / is answered 200 at once, without credentials: clients probe with it and wait for the answer.
//
// The path handed on is in the form http.ServeMux considers clean, so that it never answers with a redirect, which
// would make clients lose the body. Other paths pass untouched. The pattern next matched is noted on r.
func Path(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && (r.URL.Path == "/" || r.URL.Path == "") {
			w.WriteHeader(http.StatusOK)
			return
		}
		escaped := r.URL.EscapedPath()
		if !underAPI(escaped) {
			next.ServeHTTP(w, r)
			return
		}
		clean, newFormat := cleanPath(escaped)
		if clean == escaped && !newFormat {
			next.ServeHTTP(w, r)
			return
		}
		r2 := *r
		u := *r.URL
		// A decoding error cannot be: clean consists of segments of a path that url.Parse took.
		if path, err := url.PathUnescape(clean); err == nil {
			u.Path, u.RawPath = path, clean
		}
		if newFormat {
			u.RawQuery = joinQuery(u.RawQuery, "new_format=true")
		}
		r2.URL = &u
		next.ServeHTTP(w, &r2)
		r.Pattern = r2.Pattern
	})
}

// underAPI reports whether the first segment is v1 or v3. Doubled slashes may come before it.
func underAPI(escaped string) bool {
	p := strings.TrimLeft(escaped, "/")
	return strings.HasPrefix(p, "v3/") || strings.HasPrefix(p, "v1/") || p == "v3" || p == "v1"
}

// gluedQuery is what one official client appends to an alias path when it has no platform to ask for.
const gluedQuery = "&new_format=true"

// cleanPath applies the rules to a percent-encoded path. It is idempotent.
func cleanPath(escaped string) (clean string, newFormat bool) {
	segs := make([]string, 0, 8)
	for seg := range strings.SplitSeq(escaped, "/") {
		if seg != "" {
			segs = append(segs, keepDots(seg))
		}
	}
	segs = zoneAlias(segs)
	if n := len(segs); n >= 3 && segs[0] == "v3" && segs[1] == "aliases" {
		segs[n-1], newFormat = strings.CutSuffix(segs[n-1], gluedQuery)
		if segs[n-1] == "" {
			segs = segs[:n-1]
		}
	}
	if len(segs) == 1 {
		return "/" + segs[0] + "/", false // the root itself, which the mux would redirect there
	}
	return "/" + strings.Join(segs, "/"), newFormat
}

// keepDots encodes the segments . and .., which are legal tags and aliases and which the mux would resolve.
func keepDots(seg string) string {
	switch seg {
	case ".":
		return "%2E"
	case "..":
		return "%2E%2E"
	}
	return seg
}

// zoneAlias maps a path of the Beijing zone to the common one.
func zoneAlias(segs []string) []string {
	if len(segs) < 3 || segs[0] != "v3" {
		return segs
	}
	switch {
	case segs[1] == "report", // /v3/report/<x> is /v3/<x>
		segs[1] == "push" && segs[2] == "schedules",
		segs[1] == "device" && (segs[2] == "tags" || segs[2] == "aliases"):
		return append(segs[:1], segs[2:]...)
	case segs[1] == "device":
		segs[1] = "devices"
	}
	return segs
}

func joinQuery(a, b string) string {
	if a == "" {
		return b
	}
	return a + "&" + b
}
