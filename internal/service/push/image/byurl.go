package image

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"borealis/internal/kernel/web/compat"
)

const (
	// maxBody bounds a body of addresses.
	maxBody = 64 << 10
	// maxURLBytes bounds one address.
	maxURLBytes = 2048
)

// urls is a body of addresses: what is not empty.
type urls struct {
	imageType string
	common    string
	byVendor  map[string]string
}

// readURLs reads a body. Members nobody knows are ignored. Errors: *compat.Error.
func readURLs(r *http.Request) (u urls, err error) {
	body, err := compat.Body(r, maxBody)
	if err != nil {
		return u, err
	}
	var members map[string]json.RawMessage
	if err := compat.Decode(body, &members); err != nil {
		return u, compat.Errorf(400, 1003, "%s", err)
	}
	u.byVendor = make(map[string]string)
	u.imageType = strings.Trim(string(members["image_type"]), `"`)
	if u.imageType == "null" {
		u.imageType = ""
	}
	if u.common, err = address("image_url", members); err != nil {
		return u, err
	}
	for _, v := range vendors() {
		text, err := address(v.urlMember(), members)
		if err != nil {
			return u, err
		}
		if text != "" {
			u.byVendor[v.name] = text
		}
	}
	return u, nil
}

// address reads a member that is an http or https URL, or a path on the device; absent, null and "" are the same.
func address(name string, members map[string]json.RawMessage) (string, error) {
	var text string
	if raw, ok := members[name]; ok && json.Unmarshal(raw, &text) != nil {
		return "", compat.Errorf(400, 1003, "%s must be a string", name)
	}
	text = strings.TrimSpace(text)
	if len(text) > maxURLBytes {
		return "", compat.Errorf(400, 1003, "%s must not be longer than %d bytes", name, maxURLBytes)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" || u.Scheme != "" && u.Host == "" {
		return "", compat.Errorf(400, 1003, "%s must be an address that begins with http:// or https://, or a path", name)
	}
	return text, nil
}

// parseKind reads image_type.
func parseKind(text string) (kind, error) {
	if text == "" {
		return 0, compat.Errorf(400, 1002, "Missing parameter: image_type")
	}
	n, err := strconv.Atoi(text)
	if k := kind(n); err == nil && k >= bigPicture && k <= smallIcon {
		return k, nil
	}
	return 0, compat.Errorf(400, 1003, "image_type must be 1, 2 or 3")
}

// assign gives every vendor the address it shows for an image of a kind. named are the vendors that the answer names
// even if they have none.
func (u urls) assign(k kind) (pictures []picture, named []string) {
	for _, v := range vendors() {
		own, given := u.byVendor[v.name]
		switch {
		case given && v.shows.has(k):
			pictures = append(pictures, picture{vendor: v.name, url: own})
		case given:
			named = append(named, v.name)
		case u.common != "" && v.takes(k, u.common):
			pictures = append(pictures, picture{vendor: v.name, url: u.common})
		case u.common != "" && v.named:
			named = append(named, v.name)
		}
	}
	return pictures, named
}

// postURLs answers POST /v3/images/byurls.
func (s *Service) postURLs(w http.ResponseWriter, r *http.Request, app int64) error {
	u, err := readURLs(r)
	if err != nil {
		return err
	}
	k, err := parseKind(u.imageType)
	if err != nil {
		return err
	}
	if u.common == "" && len(u.byVendor) == 0 {
		return compat.Errorf(400, 1002, "Missing parameter: image_url or the address for a vendor")
	}
	pictures, named := u.assign(k)
	mediaID := newMediaID(k)
	if err := s.add(r.Context(), app, mediaID, k, pictures); err != nil {
		return err
	}
	byVendor := make(map[string]picture, len(pictures))
	for _, p := range pictures {
		byVendor[p.vendor] = p
	}
	write(w, mediaID, byVendor, named)
	return nil
}

// putURLs answers PUT /v3/images/byurls/{media_id}.
func (s *Service) putURLs(w http.ResponseWriter, r *http.Request, app int64) error {
	u, err := readURLs(r)
	if err != nil {
		return err
	}
	if len(u.byVendor) == 0 {
		return compat.Errorf(400, 1002, "Missing parameter: the address for a vendor")
	}
	u.common = "" // a new image has one, a change does not
	mediaID := r.PathValue("media_id")
	var named []string
	pictures, err := s.change(r.Context(), app, mediaID, func(k kind) (p []picture) { p, named = u.assign(k); return p })
	if err != nil {
		return err
	}
	write(w, mediaID, pictures, named)
	return nil
}
