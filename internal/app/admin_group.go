package app

import (
	"net/http"
	"time"

	"borealis/internal/platform/account"
)

// AdminDeveloper is a developer as the admin socket shows it.
type AdminDeveloper struct {
	Name      string    `json:"name"`
	DevKey    string    `json:"dev_key"`
	DevSecret string    `json:"dev_secret,omitempty"`
	Files     bool      `json:"files"`
	CreatedAt time.Time `json:"created_at"`
}

// AdminGroup is an app group as the admin socket shows it.
type AdminGroup struct {
	Name         string    `json:"name"`
	GroupKey     string    `json:"group_key"`
	MasterSecret string    `json:"master_secret,omitempty"`
	DevKey       string    `json:"dev_key"`
	Apps         []string  `json:"apps"`
	CreatedAt    time.Time `json:"created_at"`
}

// AdminGroupRequest asks for a group.
type AdminGroupRequest struct {
	DevKey string   `json:"dev_key"`
	Name   string   `json:"name"`
	Apps   []string `json:"apps"`
}

func (a *adminServer) developerRoutes(mux *http.ServeMux) {
	one := func(w http.ResponseWriter, r *http.Request, d *account.Developer, err error) {
		a.answer(w, r, err, func() any { return presentDeveloper(d) })
	}
	mux.HandleFunc("POST /developers", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Name string `json:"name"`
		}
		if decodeAdmin(w, r, &in) {
			d, err := a.core.account.CreateDeveloper(r.Context(), operator, in.Name)
			one(w, r, d, err)
		}
	})
	mux.HandleFunc("GET /developers", func(w http.ResponseWriter, r *http.Request) {
		all, err := a.core.account.Developers(r.Context())
		a.answer(w, r, err, func() any {
			out := make([]AdminDeveloper, 0, len(all))
			for i := range all {
				out = append(out, presentDeveloper(&all[i]))
			}
			return out
		})
	})
	mux.HandleFunc("GET /developers/{key}", func(w http.ResponseWriter, r *http.Request) {
		d, err := a.core.account.Developer(r.Context(), r.PathValue("key"))
		one(w, r, d, err)
	})
	mux.HandleFunc("PATCH /developers/{key}", func(w http.ResponseWriter, r *http.Request) {
		var in []AdminChange
		if decodeAdmin(w, r, &in) {
			d, err := a.core.account.SetDeveloper(r.Context(), operator, r.PathValue("key"), in)
			one(w, r, d, err)
		}
	})
}

func (a *adminServer) groupRoutes(mux *http.ServeMux) {
	one := func(w http.ResponseWriter, r *http.Request, g *account.Group, err error) {
		a.answer(w, r, err, func() any { return presentGroup(g) })
	}
	mux.HandleFunc("POST /groups", func(w http.ResponseWriter, r *http.Request) {
		var in AdminGroupRequest
		if decodeAdmin(w, r, &in) {
			g, err := a.core.account.CreateGroup(r.Context(), operator, in.DevKey, in.Name, in.Apps...)
			one(w, r, g, err)
		}
	})
	mux.HandleFunc("GET /groups", func(w http.ResponseWriter, r *http.Request) {
		all, err := a.core.account.Groups(r.Context())
		a.answer(w, r, err, func() any {
			out := make([]AdminGroup, 0, len(all))
			for i := range all {
				out = append(out, presentGroup(&all[i]))
			}
			return out
		})
	})
	mux.HandleFunc("GET /groups/{key}", func(w http.ResponseWriter, r *http.Request) {
		g, err := a.core.account.Group(r.Context(), r.PathValue("key"))
		one(w, r, g, err)
	})
	mux.HandleFunc("PATCH /groups/{key}", func(w http.ResponseWriter, r *http.Request) {
		var in []AdminChange
		if decodeAdmin(w, r, &in) {
			g, err := a.core.account.SetGroup(r.Context(), operator, r.PathValue("key"), in)
			one(w, r, g, err)
		}
	})
	mux.HandleFunc("DELETE /groups/{key}", func(w http.ResponseWriter, r *http.Request) {
		key := r.PathValue("key")
		err := a.core.account.DeleteGroup(r.Context(), operator, key)
		a.answer(w, r, err, func() any { return map[string]any{"group_key": key, "deleted": true} })
	})
}

func presentDeveloper(d *account.Developer) AdminDeveloper {
	return AdminDeveloper{Name: d.Name, DevKey: d.Key, DevSecret: d.Secret, Files: d.Files, CreatedAt: d.CreatedAt}
}

func presentGroup(g *account.Group) AdminGroup {
	return AdminGroup{
		Name: g.Name, GroupKey: g.Key, MasterSecret: g.MasterSecret, DevKey: g.DeveloperKey, Apps: append([]string{}, g.AppKeys...), CreatedAt: g.CreatedAt,
	}
}
