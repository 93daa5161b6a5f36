package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"borealis/internal/app"
)

// DeveloperCmd is `borealis developer …`.
type DeveloperCmd struct {
	Create DeveloperCreateCmd `cmd:"" help:"Create a developer and print their keys."`
	List   DeveloperListCmd   `cmd:"" help:"List the developers."`
	Show   DeveloperShowCmd   `cmd:"" help:"Show a developer with their secret."`
	Set    DeveloperSetCmd    `cmd:"" help:"Change what a developer may do, all or none."`
}

// DeveloperCreateCmd is `borealis developer create`.
type DeveloperCreateCmd struct {
	adminFlags
	Name string `required:"" help:"Name of the developer."`
}

// Run creates the developer.
func (c *DeveloperCreateCmd) Run(ctx context.Context) error {
	return c.developer(ctx, http.MethodPost, "", map[string]string{"name": c.Name})
}

// DeveloperListCmd is `borealis developer list`.
type DeveloperListCmd struct{ adminFlags }

// Run lists the developers.
func (c *DeveloperListCmd) Run(ctx context.Context) error {
	out := []app.AdminDeveloper{}
	if err := c.call(ctx, http.MethodGet, "/developers", nil, &out); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DEV KEY\tNAME\tFILES\tCREATED")
	for _, d := range out {
		fmt.Fprintf(w, "%s\t%s\t%t\t%s\n", d.DevKey, d.Name, d.Files, d.CreatedAt.Local().Format(time.DateTime))
	}
	return w.Flush()
}

// DeveloperShowCmd is `borealis developer show`.
type DeveloperShowCmd struct {
	adminFlags
	Key string `arg:"" help:"DevKey."`
}

// Run shows the developer.
func (c *DeveloperShowCmd) Run(ctx context.Context) error {
	return c.developer(ctx, http.MethodGet, c.Key, nil)
}

// DeveloperSetCmd is `borealis developer set`.
type DeveloperSetCmd struct {
	adminFlags
	Key     string   `arg:"" help:"DevKey."`
	Changes []string `arg:"" name:"name=value" help:"What to change: name=… and files=true|false (may upload files for pushes to groups)."`
}

// Run changes the developer.
func (c *DeveloperSetCmd) Run(ctx context.Context) error {
	changes, err := parseChanges(c.Changes)
	if err != nil {
		return err
	}
	return c.developer(ctx, http.MethodPatch, c.Key, changes)
}

// developer makes a call that answers with a developer, and prints them.
func (f *adminFlags) developer(ctx context.Context, method, key string, in any) error {
	var out app.AdminDeveloper
	if err := f.call(ctx, method, adminPath("/developers", key), in, &out); err != nil {
		return err
	}
	if f.JSON {
		return printJSON(out)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	printRows(w, [][2]string{{"name", out.Name}, {"dev_key", out.DevKey}, {"dev_secret", out.DevSecret}, {"files", strconv.FormatBool(out.Files)}})
	return w.Flush()
}

func adminPath(root, key string) string {
	if key == "" {
		return root
	}
	return root + "/" + url.PathEscape(key)
}

// GroupCmd is `borealis group …`.
type GroupCmd struct {
	Create GroupCreateCmd `cmd:"" help:"Create an app group and print its keys."`
	List   GroupListCmd   `cmd:"" help:"List the app groups."`
	Show   GroupShowCmd   `cmd:"" help:"Show an app group with its master secret and apps."`
	Set    GroupSetCmd    `cmd:"" help:"Change an app group, all or none."`
	Delete GroupDeleteCmd `cmd:"" help:"Delete an app group; its apps stay."`
}

// GroupCreateCmd is `borealis group create`.
type GroupCreateCmd struct {
	adminFlags
	Developer string   `required:"" help:"DevKey of its developer." placeholder:"KEY"`
	Name      string   `required:"" help:"Name of the group."`
	Apps      []string `help:"AppKeys of its apps." placeholder:"KEY"`
}

// Run creates the group.
func (c *GroupCreateCmd) Run(ctx context.Context) error {
	return c.group(ctx, http.MethodPost, "", app.AdminGroupRequest{DevKey: c.Developer, Name: c.Name, Apps: c.Apps})
}

// GroupListCmd is `borealis group list`.
type GroupListCmd struct{ adminFlags }

// Run lists the groups.
func (c *GroupListCmd) Run(ctx context.Context) error {
	out := []app.AdminGroup{}
	if err := c.call(ctx, http.MethodGet, "/groups", nil, &out); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GROUP KEY\tNAME\tDEVELOPER\tAPPS\tCREATED")
	for _, g := range out {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", g.GroupKey, g.Name, g.DevKey, len(g.Apps), g.CreatedAt.Local().Format(time.DateTime))
	}
	return w.Flush()
}

// GroupShowCmd is `borealis group show`.
type GroupShowCmd struct {
	adminFlags
	Key string `arg:"" help:"GroupKey."`
}

// Run shows the group.
func (c *GroupShowCmd) Run(ctx context.Context) error {
	return c.group(ctx, http.MethodGet, c.Key, nil)
}

// GroupSetCmd is `borealis group set`.
type GroupSetCmd struct {
	adminFlags
	Key     string   `arg:"" help:"GroupKey."`
	Changes []string `arg:"" name:"name=value" help:"What to change: name=…, apps+=KEY,… to add and apps-=KEY,… to remove apps."`
}

// Run changes the group.
func (c *GroupSetCmd) Run(ctx context.Context) error {
	changes, err := parseChanges(c.Changes)
	if err != nil {
		return err
	}
	return c.group(ctx, http.MethodPatch, c.Key, changes)
}

// GroupDeleteCmd is `borealis group delete`.
type GroupDeleteCmd struct {
	adminFlags
	Key string `arg:"" help:"GroupKey."`
}

// Run deletes the group.
func (c *GroupDeleteCmd) Run(ctx context.Context) error {
	var out map[string]any
	if err := c.call(ctx, http.MethodDelete, adminPath("/groups", c.Key), nil, &out); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out)
	}
	_, err := fmt.Println("deleted", c.Key)
	return err
}

// group makes a call that answers with a group, and prints it.
func (f *adminFlags) group(ctx context.Context, method, key string, in any) error {
	var out app.AdminGroup
	if err := f.call(ctx, method, adminPath("/groups", key), in, &out); err != nil {
		return err
	}
	if f.JSON {
		return printJSON(out)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	printRows(w, [][2]string{
		{"name", out.Name}, {"group_key", out.GroupKey}, {"master_secret", out.MasterSecret}, {"developer", out.DevKey}, {"apps", strings.Join(out.Apps, ",")},
	})
	return w.Flush()
}
