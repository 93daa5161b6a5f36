package account

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/platform/account/apns"
)

// Answers of the admin API to credentials, for who mounts its routes.
var (
	ErrCompatUnknown = compat.Errorf(http.StatusUnauthorized, 4004, "dev_key does not exist")
	ErrCompatSecret  = compat.Errorf(http.StatusUnauthorized, 4005, "dev_secret is wrong")
	ErrCompatAbsent  = compat.Errorf(http.StatusUnauthorized, 4006, "Basic authentication is missing or malformed")
)

var (
	errCompatInternal = compat.Errorf(http.StatusInternalServerError, 10, "internal error")
	errNotYours       = compat.Errorf(http.StatusUnauthorized, 4007, "the app belongs to another developer")
	errSuspended      = compat.Errorf(http.StatusOK, 1015, "app delete fail: the app is suspended")
)

const (
	maxCompatBody = 64 << 10
	// maxUpload bounds a body with two files and what multipart adds.
	maxUpload = 2*apns.MaxFile + 16<<10
	// maxParts of a multipart body; four have a meaning.
	maxParts = 16
)

// CompatRoutes names the calls of the vendor's admin API. Deviations and choices:
//   - the same package again is the developer's app of that package, which joins the named group if it is not in it;
//   - an app that exists and is another developer's is 4007; one that does not exist, or was deleted, is 1013;
//   - a suspended app cannot be deleted by its developer (1015): a sanction is not shaken off that way;
//   - certificates are stored all or none; 1010 means that every one of them is there already;
//   - more apps or groups than a developer may have is 4007.
func (s *Service) CompatRoutes(handle func(pattern string, h gate.DeveloperHandler)) {
	handle("POST /v1/app", s.compatCreate)
	handle("POST /v1/app/{key}/delete", s.compatDelete)
	handle("DELETE /v1/app/{key}/delete", s.compatDelete)
	handle("POST /v1/app/{key}/certificate", s.compatCertificate)
}

type createRequest struct {
	AppName        string `json:"app_name"`
	AndroidPackage string `json:"android_package"`
	GroupName      string `json:"group_name"`
}

type createAnswer struct {
	AppKey         string `json:"app_key"`
	AndroidPackage string `json:"android_package"`
	IsNewCreated   bool   `json:"is_new_created"`
	MasterSecret   string `json:"master_secret"`
}

func (s *Service) compatCreate(w http.ResponseWriter, r *http.Request, developer *gate.Developer) {
	in, err := readCreate(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	app, isNew, err := s.EnsureApp(r.Context(), developer, NewApp{Name: in.AppName, Package: in.AndroidPackage, Group: in.GroupName})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	compat.Write(w, http.StatusOK, createAnswer{AppKey: app.Key, AndroidPackage: app.Package, IsNewCreated: isNew, MasterSecret: app.MasterSecret})
}

func readCreate(r *http.Request) (createRequest, error) {
	var in createRequest
	body, err := compat.Body(r, maxCompatBody)
	if err != nil {
		return in, compat.Errorf(http.StatusBadRequest, 4003, "body could not be read or has more than %d bytes", maxCompatBody)
	}
	if err := compat.Decode(body, &in); err != nil {
		return in, compat.Errorf(http.StatusBadRequest, 4003, "%s", err)
	}
	in.AppName, in.AndroidPackage, in.GroupName = strings.TrimSpace(in.AppName), strings.TrimSpace(in.AndroidPackage), strings.TrimSpace(in.GroupName)
	if in.AppName == "" || in.AndroidPackage == "" {
		return in, compat.Errorf(http.StatusBadRequest, 4002, "app_name and android_package must not be empty")
	}
	return in, nil
}

// success is the answer of calls that have nothing to say.
type success struct {
	Success string `json:"success"`
}

func writeSuccess(w http.ResponseWriter) {
	compat.Write(w, http.StatusOK, success{"Synchronized success"})
}

// ownedBy refuses apps of others.
func ownedBy(developer *gate.Developer) func(*App) error {
	return func(app *App) error {
		if app.Developer != developer.ID {
			return errNotYours
		}
		return nil
	}
}

func (s *Service) compatDelete(w http.ResponseWriter, r *http.Request, developer *gate.Developer) {
	_, err := s.deleteApp(r.Context(), developerActor(developer), r.PathValue("key"), func(app *App) error {
		if err := ownedBy(developer)(app); err != nil {
			return err
		}
		if app.State == gate.Suspended {
			return errSuspended
		}
		return nil
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	writeSuccess(w)
}

func (s *Service) compatCertificate(w http.ResponseWriter, r *http.Request, developer *gate.Developer) {
	// Before the file is read, which takes long: whether it can be of use.
	app, err := queryApp(r.Context(), s.db, r.PathValue("key"))
	if err == nil {
		err = ownedBy(developer)(&app.App)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	form, err := readForm(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	var uploads []Upload
	for _, part := range []struct {
		environment apns.Environment
		prefix      string
	}{{apns.Development, "dev"}, {apns.Production, "pro"}} {
		if file := form[part.prefix+"CertificateFile"]; len(file) > 0 {
			uploads = append(uploads, Upload{part.environment, file, string(form[part.prefix+"CertificatePassword"])})
		}
	}
	if len(uploads) == 0 {
		s.refuse(w, r, errNoFile)
		return
	}
	if err := s.setCertificates(r.Context(), developerActor(developer), app.Key, uploads, ownedBy(developer)); err != nil {
		s.refuse(w, r, err)
		return
	}
	writeSuccess(w)
}

var errNoFile = compat.Errorf(http.StatusOK, 1014, "no certificate file")

// readForm reads a multipart body as parts by name, the first of each.
func readForm(r *http.Request) (map[string][]byte, error) {
	form := make(map[string][]byte)
	parts := 0
	err := compat.Multipart(r, compat.MultipartLimits{Body: maxUpload, Part: apns.MaxFile, Parts: maxParts + 1}, func(p *compat.Part) error {
		if parts++; parts > maxParts {
			return compat.Errorf(http.StatusOK, 1012, "certificate invalid: the body has more than %d parts", maxParts)
		}
		data, err := io.ReadAll(p)
		if _, twice := form[p.Name]; err == nil && !twice {
			form[p.Name] = data
		}
		return err
	})
	known, is := errors.AsType[*compat.Error](err)
	switch {
	case err == nil:
		return form, nil
	case is && known.Code == 1012:
		return nil, known
	case is && known.Code == 1005:
		return nil, compat.Errorf(http.StatusOK, 1012, "certificate invalid: %s", known.Message)
	default:
		return nil, compat.Errorf(http.StatusOK, 1014, "no certificate file: the multipart body could not be read")
	}
}

// refuse answers with what an error means in the admin API, or logs what it is not to say.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var (
		known   *compat.Error
		invalid *InvalidError
	)
	switch {
	case errors.As(err, &known):
	case errors.As(err, &invalid):
		err = compat.Errorf(http.StatusBadRequest, 4003, "%s", invalid)
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrDeleted):
		err = compat.Errorf(http.StatusOK, 1013, "app_key is invalid")
	case errors.Is(err, ErrTooMany):
		err = compat.Errorf(http.StatusUnauthorized, 4007, "%s", ErrTooMany)
	case errors.Is(err, ErrSameCertificate):
		err = compat.Errorf(http.StatusOK, 1010, "%s", ErrSameCertificate)
	case errors.Is(err, apns.ErrInvalid):
		err = compat.Errorf(http.StatusOK, 1012, "%s", err)
	default:
		s.log.Error("admin call failed", "path", r.URL.Path, "err", fmt.Errorf("account: %w", err))
	}
	compat.WriteError(w, err, errCompatInternal)
}
