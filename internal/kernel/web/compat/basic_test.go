package compat

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

func TestBasicAuth(t *testing.T) {
	t.Parallel()
	enc := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	good := map[string][2]string{
		"Basic " + enc("key:secret"):                         {"key", "secret"},
		"basic " + enc("key:secret"):                         {"key", "secret"},
		"BASIC  " + enc("key:secret") + " ":                  {"key", "secret"},
		"Basic " + enc("group-key:a:b"):                      {"group-key", "a:b"},
		"Basic " + enc("key:"):                               {"key", ""},
		"Basic " + strings.TrimRight(enc("a:12345678"), "="): {"a", "12345678"},
	}
	for header, want := range good {
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		if user, pass, ok := BasicAuth(r); !ok || user != want[0] || pass != want[1] {
			t.Errorf("%q: %q %q %v", header, user, pass, ok)
		}
	}
	for _, header := range []string{
		"", "Basic", "Basic ", "Bearer abc", "Basic !!!", "Basic " + enc("nocolon"), "Basic " + enc(":secret"),
		"Basic" + enc("key:secret"), "Basic " + enc(strings.Repeat("k", 1000)+":s"),
	} {
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		if user, _, ok := BasicAuth(r); ok {
			t.Errorf("%q gave user %q", header, user)
		}
	}
}

func FuzzBasic(f *testing.F) {
	f.Add("Basic a2V5OnNlY3JldA==")
	f.Add("basic Og==")
	f.Fuzz(func(t *testing.T, header string) {
		user, pass, ok := parseBasic(header)
		if !ok {
			if user != "" || pass != "" {
				t.Error("values beside a refusal")
			}
			return
		}
		u2, p2, ok := parseBasic("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass)))
		if !ok && len(header) < maxCredential-8 || ok && (u2 != user || p2 != pass) {
			t.Errorf("%q: %q %q, again %q %q %v", header, user, pass, u2, p2, ok)
		}
	})
}
