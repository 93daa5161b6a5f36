package app

import (
	"errors"
	"net/http"

	"borealis/internal/app/jpushimport"
	"borealis/internal/engine/device"
	"borealis/internal/kernel/web"
	"borealis/internal/service/push/relay"
	"borealis/internal/service/push/relay/vendor"
)

// AdminImportApp makes an app with keys that it has elsewhere.
type AdminImportApp struct {
	Name         string `json:"name,omitempty"`
	AppKey       string `json:"app_key"`
	MasterSecret string `json:"master_secret"`
}

// AdminImportDevices is a batch of devices of one app, at most device.MaxImport and about half a megabyte.
type AdminImportDevices struct {
	// Update replaces what is known of devices that nobody has claimed.
	Update  bool                 `json:"update,omitempty"`
	Devices []jpushimport.Device `json:"devices"`
}

// AdminImportStatus says how far the move of an app is.
type AdminImportStatus struct {
	Imported  int64 `json:"imported"`
	Unclaimed int64 `json:"unclaimed"`
}

// AdminVendorAccount is where and as whom pushes are relayed; empty members mean the vendor's own address and the app's own keys.
type AdminVendorAccount struct {
	URL          string `json:"url,omitempty"`
	AppKey       string `json:"app_key,omitempty"`
	MasterSecret string `json:"master_secret,omitempty"`
}

// importRoutes are what `borealis import` calls. A run is many calls of bounded size, each of which is complete when it is answered, so
// that it can stop anywhere and go on.
func (a *adminServer) importRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /import/apps", a.importApp)
	mux.HandleFunc("POST /import/apps/{key}/devices", a.importDevices)
	mux.HandleFunc("PUT /import/apps/{key}/vendor", a.importVendor)
	mux.HandleFunc("GET /import/apps/{key}", a.importStatus)
}

func (a *adminServer) importApp(w http.ResponseWriter, r *http.Request) {
	var in AdminImportApp
	if !decodeAdmin(w, r, &in) {
		return
	}
	app, _, err := a.core.account.ImportApp(r.Context(), operator, in.Name, in.AppKey, in.MasterSecret)
	a.answer(w, r, err, func() any { return a.present(app) })
}

func (a *adminServer) importDevices(w http.ResponseWriter, r *http.Request) {
	var in AdminImportDevices
	if !decodeAdmin(w, r, &in) {
		return
	}
	app := a.core.gate.App(r.PathValue("key"))
	out := jpushimport.Result{Refused: []jpushimport.Refused{}}
	devices := make([]device.Imported, 0, len(in.Devices))
	places := make([]int, 0, len(in.Devices)) // of devices in the call
	for i, d := range in.Devices {
		p, err := jpushimport.ParsePlatform(d.Platform)
		if err != nil {
			out.Refused = append(out.Refused, jpushimport.Refused{Index: i, Reason: err.Error()})
			continue
		}
		devices = append(devices, device.Imported{ID: d.RegistrationID, Platform: p, Alias: d.Alias, Tags: d.Tags, Mobile: d.Mobile})
		places = append(places, i)
	}
	done, err := a.core.devices.Import(r.Context(), app, devices, in.Update)
	for _, x := range done.Refused {
		out.Refused = append(out.Refused, jpushimport.Refused{Index: places[x.Index], Field: x.Err.Field, Reason: x.Err.Detail})
	}
	out.Created, out.Updated, out.Known, out.Claimed, out.Gone = done.Created, done.Updated, done.Known, done.Claimed, done.Gone
	a.answerImport(w, r, err, out)
}

// importVendor keeps the account that relayed pushes are sent with.
func (a *adminServer) importVendor(w http.ResponseWriter, r *http.Request) {
	var in AdminVendorAccount
	if !decodeAdmin(w, r, &in) {
		return
	}
	app, err := a.core.account.App(r.Context(), r.PathValue("key"))
	if err != nil {
		a.answer(w, r, err, nil)
		return
	}
	accounts := relay.Accounts{DB: a.core.db, Sealer: a.core.keys}
	err = accounts.Set(r.Context(), app.ID, relay.Account{URL: in.URL, Key: in.AppKey, Secret: in.MasterSecret})
	a.answerImport(w, r, err, struct{}{})
}

func (a *adminServer) importStatus(w http.ResponseWriter, r *http.Request) {
	app, err := a.core.account.App(r.Context(), r.PathValue("key"))
	if err != nil {
		a.answer(w, r, err, nil)
		return
	}
	count, err := a.core.devices.Imports(r.Context(), &app.App)
	a.answerImport(w, r, err, AdminImportStatus{Imported: count.Total, Unclaimed: count.Unclaimed})
}

// answerImport is answer for errors of devices and of the vendor's address.
func (a *adminServer) answerImport(w http.ResponseWriter, r *http.Request, err error, body any) {
	var address *vendor.AddressError
	switch {
	case errors.As(err, &address):
		web.WriteProblem(w, r, web.Problem{Status: http.StatusUnprocessableEntity, Detail: err.Error()})
	case device.IsKind(err, device.UnknownApp):
		web.WriteProblem(w, r, web.Problem{Status: http.StatusNotFound, Detail: "no app has this key"})
	case device.IsKind(err, device.AppDisabled), device.IsKind(err, device.Invalid), device.IsKind(err, device.Exhausted):
		web.WriteProblem(w, r, web.Problem{Status: http.StatusUnprocessableEntity, Detail: err.Error()})
	default:
		a.answer(w, r, err, func() any { return body })
	}
}
