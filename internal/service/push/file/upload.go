package file

import (
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"borealis/internal/kernel/blob"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/web"
	"borealis/internal/kernel/web/compat"
)

const (
	// maxBody leaves room for the form around the file, and for files that are too large by little, so that their senders
	// get an answer instead of a broken connection.
	maxBody  = MaxBytes + 1<<20
	maxParts = 16
	// maxNameBytes bounds the name of a file.
	maxNameBytes = 255
	maxTTLText   = 16
)

// form is what an upload has brought so far.
type form struct {
	service *Service
	r       *http.Request
	owner   Owner
	file    file
	draft   *blob.Draft
	ttl     time.Duration
}

// upload answers POST /v3/files/{type}.
func (s *Service) upload(w http.ResponseWriter, r *http.Request, c caller) error {
	web.AllowBody(r, maxBody)
	if err := s.mayUpload(r, c.owner); err != nil {
		compat.Drain(r, maxBody)
		return err
	}
	defer s.slots.give(c.owner)
	f := &form{service: s, r: r, owner: c.owner, file: file{id: id.NewUUID(), kind: r.PathValue("type")}, ttl: maxTTL * time.Hour}
	err := compat.Multipart(r, compat.MultipartLimits{Body: maxBody, Part: MaxBytes, Parts: maxParts}, f.part)
	if err == nil {
		err = f.store()
	}
	if err != nil {
		if f.draft != nil {
			f.draft.Discard(r.Context())
		}
		return err
	}
	compat.Write(w, http.StatusOK, map[string]string{"file_id": f.file.id})
	return nil
}

// mayUpload tells before the body is read what can be told then. If it returns nil, a slot is taken.
func (s *Service) mayUpload(r *http.Request, o Owner) error {
	if kind := r.PathValue("type"); kind != KindAlias && kind != KindRegistrationID {
		return compat.Errorf(400, 1003, "the type of a file must be %s or %s", KindAlias, KindRegistrationID)
	}
	n, err := s.live(r.Context(), o)
	switch {
	case err != nil:
		return err
	case n >= MaxLive:
		return errFull()
	case !s.slots.take(o):
		return compat.Errorf(http.StatusTooManyRequests, 2002, "too many uploads at once")
	}
	return nil
}

// part takes one part of the form. Parts nobody knows are ignored.
func (f *form) part(p *compat.Part) error {
	switch p.Name {
	case "ttl":
		if f.file.ttlGiven {
			return compat.Errorf(400, 1003, "ttl is given twice")
		}
		return f.setTTL(p)
	case "filename":
		if f.draft != nil {
			return compat.Errorf(400, 1003, "filename is given twice")
		}
		return f.receive(p)
	}
	return nil
}

func (f *form) setTTL(p *compat.Part) error {
	text, err := p.Text(maxTTLText)
	if err != nil {
		return err
	}
	hours, err := strconv.Atoi(text)
	if err != nil || hours < 1 || hours > maxTTL {
		return compat.Errorf(400, 1003, "ttl must be a number of hours from 1 to %d", maxTTL)
	}
	f.ttl, f.file.ttlGiven = time.Duration(hours)*time.Hour, true
	return nil
}

func (f *form) receive(p *compat.Part) error {
	switch {
	case !strings.EqualFold(path.Ext(p.FileName), ".txt"):
		return compat.Errorf(400, 1003, "filename must be a file whose name ends with .txt")
	case len(p.FileName) > maxNameBytes:
		return compat.Errorf(400, 1003, "the name of the file must not be longer than %d bytes", maxNameBytes)
	case strings.ContainsRune(p.FileName, 0):
		return compat.Errorf(400, 1003, "the name of the file must not contain a zero byte")
	}
	content := &checker{in: p}
	draft, err := f.service.Blobs.Put(f.r.Context(), content, MaxBytes)
	if err != nil {
		return err
	}
	f.draft = draft
	f.file.name, f.file.size, f.file.lines = p.FileName, draft.Size(), content.lines
	return nil
}

func (f *form) store() error {
	if f.draft == nil {
		return compat.Errorf(400, 1002, "Missing parameter: filename")
	}
	f.file.createdAt = f.service.now()
	f.file.expiresAt = f.file.createdAt + f.ttl.Milliseconds()
	return f.service.add(f.r.Context(), f.owner, f.file, f.draft)
}
