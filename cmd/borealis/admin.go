package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"borealis/internal/app"
)

// AppCmd is `borealis app …`.
type AppCmd struct {
	Create AppCreateCmd `cmd:"" help:"Create an app and print its keys."`
	List   AppListCmd   `cmd:"" help:"List the apps."`
	Show   AppShowCmd   `cmd:"" help:"Show an app with its master secret and settings."`
	Set    AppSetCmd    `cmd:"" help:"Change settings of an app, all or none."`
	Delete AppDeleteCmd `cmd:"" help:"Delete an app for good: its keys stop working, its devices are disconnected."`
}

// adminFlags are common to all sub-commands.
type adminFlags struct {
	DataDir string `default:"./data" env:"BOREALIS_DATA_DIR" help:"Data directory of the running server." placeholder:"DIR"`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// AppCreateCmd is `borealis app create`.
type AppCreateCmd struct {
	adminFlags
	Name string `required:"" help:"Name of the app."`
}

// Run creates the app.
func (c *AppCreateCmd) Run(ctx context.Context) error {
	var out app.AdminApp
	if err := c.call(ctx, http.MethodPost, "/apps", map[string]string{"name": c.Name}, &out); err != nil {
		return err
	}
	return c.print(out)
}

// AppListCmd is `borealis app list`.
type AppListCmd struct{ adminFlags }

// Run lists the apps.
func (c *AppListCmd) Run(ctx context.Context) error {
	out := []app.AdminApp{}
	if err := c.call(ctx, http.MethodGet, "/apps", nil, &out); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "APP KEY\tNAME\tSTATE\tONLINE\tCREATED")
	for _, a := range out {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", a.AppKey, a.Name, a.State, a.Online, a.CreatedAt.Local().Format(time.DateTime))
	}
	return w.Flush()
}

// AppShowCmd is `borealis app show`.
type AppShowCmd struct {
	adminFlags
	Key string `arg:"" help:"AppKey."`
}

// Run shows the app.
func (c *AppShowCmd) Run(ctx context.Context) error {
	var out app.AdminApp
	if err := c.call(ctx, http.MethodGet, "/apps/"+url.PathEscape(c.Key), nil, &out); err != nil {
		return err
	}
	return c.print(out)
}

// AppSetCmd is `borealis app set`.
type AppSetCmd struct {
	adminFlags
	Key     string   `arg:"" help:"AppKey."`
	Changes []string `arg:"" name:"name=value" help:"Settings to change; also name=…, state=enabled|disabled|suspended, limits=vendor-free-tier and developer=KEY."`
}

// Run changes the settings.
func (c *AppSetCmd) Run(ctx context.Context) error {
	changes, err := parseChanges(c.Changes)
	if err != nil {
		return err
	}
	var out app.AdminApp
	if err := c.call(ctx, http.MethodPatch, "/apps/"+url.PathEscape(c.Key), changes, &out); err != nil {
		return err
	}
	return c.print(out)
}

// parseChanges reads arguments of the form name=value.
func parseChanges(args []string) ([]app.AdminChange, error) {
	changes := make([]app.AdminChange, 0, len(args))
	for _, text := range args {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("%q has not the form name=value", text)
		}
		changes = append(changes, app.AdminChange{Name: name, Value: value})
	}
	return changes, nil
}

// AppDeleteCmd is `borealis app delete`.
type AppDeleteCmd struct {
	adminFlags
	Key string `arg:"" help:"AppKey."`
}

// Run deletes the app.
func (c *AppDeleteCmd) Run(ctx context.Context) error {
	var out app.AdminApp
	if err := c.call(ctx, http.MethodDelete, "/apps/"+url.PathEscape(c.Key), nil, &out); err != nil {
		return err
	}
	out.Settings = nil
	return c.print(out)
}

// printRows prints names and values, without those that have none.
func printRows(w io.Writer, rows [][2]string) {
	for _, row := range rows {
		if row[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
		}
	}
}

func (f *adminFlags) print(a app.AdminApp) error {
	if f.JSON {
		return printJSON(a)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	printRows(w, [][2]string{
		{"name", a.Name}, {"app_key", a.AppKey}, {"master_secret", a.MasterSecret}, {"state", a.State},
		{"developer", a.DevKey}, {"android_package", a.Package},
	})
	for _, s := range a.Settings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Value, s.Help)
	}
	return w.Flush()
}

func printJSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// call makes a request to the admin socket.
func (f *adminFlags) call(ctx context.Context, method, path string, in, out any) error {
	socket := filepath.Join(f.DataDir, app.AdminSocket)
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}
	defer client.CloseIdleConnections()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://borealis"+path, body)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server is running on the data directory %s (no answer on %s); --data-dir names another one", f.DataDir, socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("not allowed to open %s: run this as the user of the server", socket)
	case err != nil:
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		var problem struct {
			Detail string `json:"detail"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil || problem.Detail == "" {
			return fmt.Errorf("the server answered %s", resp.Status)
		}
		return errors.New(problem.Detail)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
