package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web"
	"borealis/internal/platform/account"
)

// AdminSocket is the name of the socket in the data directory.
const AdminSocket = "admin.sock"

// AdminApp is an app as the admin socket shows it.
type AdminApp struct {
	Name         string         `json:"name"`
	AppKey       string         `json:"app_key"`
	MasterSecret string         `json:"master_secret,omitempty"`
	State        string         `json:"state"`
	DevKey       string         `json:"dev_key,omitempty"`
	Package      string         `json:"android_package,omitempty"`
	CreatedAt    time.Time      `json:"created_at"`
	Settings     []gate.Setting `json:"settings,omitempty"`
	Online       int            `json:"online"`
}

// AdminChange is one "name=value".
type AdminChange = account.Assignment

// operator is the actor of what comes over the socket, in the audit log.
const operator = "operator on the admin socket"

// adminServer answers operators on a Unix socket. Whoever may open the file is authorised; its mode is 0600.
type adminServer struct {
	core   *core
	path   string
	server *http.Server
	socket net.Listener
}

func newAdminServer(c *core, path string) *adminServer {
	a := &adminServer{core: c, path: path}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apps", a.create)
	mux.HandleFunc("GET /apps", a.list)
	mux.HandleFunc("GET /apps/{key}", a.show)
	mux.HandleFunc("PATCH /apps/{key}", a.set)
	mux.HandleFunc("DELETE /apps/{key}", a.remove)
	a.developerRoutes(mux)
	a.groupRoutes(mux)
	a.importRoutes(mux)
	a.channelRoutes(mux)
	a.server = &http.Server{Handler: http.MaxBytesHandler(mux, 1<<20), ReadHeaderTimeout: 5 * time.Second}
	return a
}

func (a *adminServer) start(ctx context.Context) error {
	// The database lock says that no other process is alive, so a socket that is there is a dead one's.
	if err := os.Remove(a.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("app: admin socket: %w", err)
	}
	var lc net.ListenConfig
	socket, err := lc.Listen(ctx, "unix", a.path)
	if err != nil {
		return fmt.Errorf("app: admin socket: %w", err)
	}
	if err := os.Chmod(a.path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("app: admin socket: %w", err), socket.Close())
	}
	a.socket = socket
	return nil
}

func (a *adminServer) run(context.Context) error {
	if err := a.server.Serve(a.socket); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (a *adminServer) stop(ctx context.Context) error { return a.server.Shutdown(ctx) }

func (a *adminServer) create(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Name string `json:"name"`
	}
	if !decodeAdmin(w, r, &in) {
		return
	}
	app, err := a.core.account.CreateApp(r.Context(), operator, in.Name)
	a.answer(w, r, err, func() any { return a.present(app) })
}

func (a *adminServer) list(w http.ResponseWriter, r *http.Request) {
	apps, err := a.core.account.Apps(r.Context())
	a.answer(w, r, err, func() any {
		out := make([]AdminApp, 0, len(apps))
		for i := range apps {
			shown := a.present(&apps[i])
			shown.Settings = nil
			out = append(out, shown)
		}
		return out
	})
}

func (a *adminServer) show(w http.ResponseWriter, r *http.Request) {
	app, err := a.core.account.App(r.Context(), r.PathValue("key"))
	a.answer(w, r, err, func() any { return a.present(app) })
}

func (a *adminServer) set(w http.ResponseWriter, r *http.Request) {
	var in []AdminChange
	if !decodeAdmin(w, r, &in) {
		return
	}
	app, err := a.core.account.SetApp(r.Context(), operator, r.PathValue("key"), in)
	a.answer(w, r, err, func() any { return a.present(app) })
}

func (a *adminServer) remove(w http.ResponseWriter, r *http.Request) {
	app, err := a.core.account.DeleteApp(r.Context(), operator, r.PathValue("key"))
	a.answer(w, r, err, func() any { return a.present(app) })
}

func (a *adminServer) present(app *account.App) AdminApp {
	shown := AdminApp{
		Name: app.Name, AppKey: app.Key, MasterSecret: app.MasterSecret, State: string(app.State), Package: app.Package, CreatedAt: app.CreatedAt,
		Settings: app.Settings.List(), Online: a.core.presence.Count(app.ID),
	}
	if d := a.core.gate.DeveloperByID(app.Developer); d != nil {
		shown.DevKey = d.Key
	}
	return shown
}

func decodeAdmin(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		web.WriteProblem(w, r, web.Problem{Status: http.StatusBadRequest, Detail: "the body is not the JSON this call takes"})
		return false
	}
	return true
}

func (a *adminServer) answer(w http.ResponseWriter, r *http.Request, err error, body func() any) {
	var invalid *account.InvalidError
	switch {
	case errors.As(err, &invalid):
		web.WriteProblem(w, r, web.Problem{Status: http.StatusUnprocessableEntity, Detail: invalid.Error()})
	case errors.Is(err, account.ErrNotFound), errors.Is(err, account.ErrNoDeveloper), errors.Is(err, account.ErrNoGroup):
		web.WriteProblem(w, r, web.Problem{Status: http.StatusNotFound, Detail: err.Error()})
	case errors.Is(err, account.ErrDeleted):
		web.WriteProblem(w, r, web.Problem{Status: http.StatusConflict, Detail: err.Error()})
	case err != nil:
		a.core.log.Error("admin call failed", "err", err)
		web.WriteProblem(w, r, web.Problem{Status: http.StatusInternalServerError, Detail: err.Error()})
	default:
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(body()); err != nil {
			a.core.log.Warn("admin answer not written", "err", err)
		}
	}
}
