package compat

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// maxCredential bounds the Authorization header that is looked at, in bytes.
const maxCredential = 1024

// BasicAuth reads the user and password of a request. ok is false without the header and for a malformed one: another
// scheme, something that is not base64, no colon, an empty user. Padding of the base64 may be missing.
func BasicAuth(r *http.Request) (user, password string, ok bool) {
	return parseBasic(r.Header.Get("Authorization"))
}

func parseBasic(header string) (user, password string, ok bool) {
	const scheme = "basic "
	if len(header) > maxCredential || len(header) < len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return "", "", false
	}
	text := strings.TrimRight(strings.TrimSpace(header[len(scheme):]), "=")
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return "", "", false
	}
	user, password, ok = strings.Cut(string(raw), ":")
	if !ok || user == "" {
		return "", "", false
	}
	return user, password, true
}
