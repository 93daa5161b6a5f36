package image

import (
	"bytes"
	"errors"
	"image"
	_ "image/jpeg" // for image.DecodeConfig
	_ "image/png"  // for image.DecodeConfig
	"io"
	"net/http"

	"borealis/internal/kernel/id"
	"borealis/internal/kernel/web"
	"borealis/internal/kernel/web/compat"
)

const (
	// maxForm leaves room for the form around two pictures, and for those that are too large by little.
	maxForm     = 2*MaxFileBytes + 1<<20
	maxParts    = 16
	maxTypeText = 16
)

// form is what an upload has brought so far.
type form struct {
	service   *Service
	r         *http.Request
	imageType string
	typed     bool // image_type was given
	pictures  []picture
}

// readForm reads the pictures of an upload into drafts. After an error there are none; otherwise the caller commits or
// discards them. Errors: *compat.Error, and those of the database.
func (s *Service) readForm(r *http.Request) (*form, error) {
	f := &form{service: s, r: r}
	err := compat.Multipart(r, compat.MultipartLimits{Body: maxForm, Part: MaxFileBytes, Parts: maxParts}, f.part)
	if err == nil && len(f.pictures) == 0 {
		err = compat.Errorf(400, 1002, "Missing parameter: oppo_file or xiaomi_file")
	}
	if err != nil {
		f.discard()
		return nil, err
	}
	return f, nil
}

func (f *form) discard() {
	for _, p := range f.pictures {
		p.draft.Discard(f.r.Context())
	}
}

// part takes one part of the form. Parts nobody knows are ignored.
func (f *form) part(p *compat.Part) (err error) {
	switch p.Name {
	case "image_type":
		if f.typed {
			return compat.Errorf(400, 1003, "image_type is given twice")
		}
		f.typed = true
		f.imageType, err = p.Text(maxTypeText)
		return err
	case "oppo_file":
		return f.receive(p, "oppo")
	case "xiaomi_file":
		return f.receive(p, "xiaomi")
	}
	return nil
}

func (f *form) receive(p *compat.Part, vendor string) error {
	for _, other := range f.pictures {
		if other.vendor == vendor {
			return compat.Errorf(400, 1003, "%s is given twice", p.Name)
		}
	}
	// What is read to find out what it is belongs to the picture too.
	var head bytes.Buffer
	contentType, err := sniff(io.TeeReader(p, &head), p.Name)
	if err != nil {
		return err
	}
	draft, err := f.service.Blobs.Put(f.r.Context(), io.MultiReader(&head, p), MaxFileBytes)
	if err != nil {
		return err
	}
	pictureID := id.NewKey()
	f.pictures = append(f.pictures, picture{
		vendor: vendor, id: pictureID, contentType: contentType, draft: draft, url: f.service.PublicURL(f.r) + picturePath + pictureID,
	})
	return nil
}

// sniff tells by its content what kind of picture comes, and refuses all but JPEG and PNG.
func sniff(in io.Reader, name string) (contentType string, err error) {
	config, format, err := image.DecodeConfig(in)
	var own *compat.Error
	switch {
	case errors.As(err, &own): // the body is too large, or broken
		return "", own
	case err != nil, format != "jpeg" && format != "png", config.Width < 1, config.Height < 1:
		return "", compat.Errorf(400, 1003, "%s must be a JPEG or PNG picture", name)
	}
	return "image/" + format, nil
}

// postFiles answers POST /v3/images/byfiles.
func (s *Service) postFiles(w http.ResponseWriter, r *http.Request, app int64) error {
	web.AllowBody(r, maxForm)
	if n, err := s.live(r.Context(), app); err != nil || n >= s.MaxLive {
		compat.Drain(r, maxForm)
		if err == nil {
			err = s.errFull()
		}
		return err
	}
	f, err := s.readForm(r)
	if err != nil {
		return err
	}
	k, err := parseKind(f.imageType)
	if err != nil {
		f.discard()
		return err
	}
	mediaID := newMediaID(k)
	if err := s.add(r.Context(), app, mediaID, k, f.pictures); err != nil {
		f.discard()
		return err
	}
	pictures := make(map[string]picture, len(f.pictures))
	for _, p := range f.pictures {
		pictures[p.vendor] = p
	}
	write(w, mediaID, pictures, nil)
	return nil
}

// putFiles answers PUT /v3/images/byfiles/{media_id}.
func (s *Service) putFiles(w http.ResponseWriter, r *http.Request, app int64) error {
	web.AllowBody(r, maxForm)
	mediaID := r.PathValue("media_id")
	if _, _, err := s.find(r.Context(), app, mediaID); err != nil {
		compat.Drain(r, maxForm)
		return err
	}
	f, err := s.readForm(r)
	if err != nil {
		return err
	}
	pictures, err := s.change(r.Context(), app, mediaID, func(kind) []picture { return f.pictures })
	if err != nil {
		f.discard()
		return err
	}
	write(w, mediaID, pictures, nil)
	return nil
}
