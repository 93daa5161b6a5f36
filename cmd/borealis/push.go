package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// PushCmd is `borealis push`.
type PushCmd struct {
	URL      string            `default:"http://127.0.0.1:8080" help:"Base URL of the server."`
	AppKey   string            `required:"" help:"AppKey."`
	Secret   string            `required:"" env:"BOREALIS_MASTER_SECRET" help:"Master secret."`
	Alert    string            `help:"Text of the notification."`
	Title    string            `help:"Title of the notification."`
	Message  string            `help:"Content of a custom message."`
	Platform []string          `help:"Platforms; all if none is named."`
	Tag      []string          `help:"Devices with any of these tags."`
	TagAnd   []string          `help:"Devices with all of these tags."`
	TagNot   []string          `help:"Devices with none of these tags."`
	Alias    []string          `help:"Devices with one of these aliases."`
	To       []string          `name:"registration-id" help:"These devices."`
	Extras   map[string]string `help:"Extra members, key=value."`
	TTL      *int64            `name:"ttl" help:"Seconds the push is kept for devices that are away."`
	CID      string            `name:"cid" help:"Idempotency key."`
	Validate bool              `help:"Check the push without sending it."`
}

// Run sends the push and prints the answer.
func (c *PushCmd) Run(ctx context.Context) error {
	body, err := json.Marshal(c.object())
	if err != nil {
		return err
	}
	path := "/v3/push"
	if c.Validate {
		path += "/validate"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(c.AppKey, c.Secret)
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("refused: %s %s", resp.Status, bytes.TrimSpace(answer))
	}
	_, err = fmt.Fprintf(os.Stdout, "%s\n", bytes.TrimSpace(answer))
	return err
}

func (c *PushCmd) object() map[string]any {
	push := map[string]any{"platform": "all", "audience": c.audience()}
	if len(c.Platform) > 0 {
		push["platform"] = c.Platform
	}
	if c.Alert != "" {
		notification := map[string]any{"alert": c.Alert}
		android := map[string]any{}
		if c.Title != "" {
			android["title"] = c.Title
			notification["ios"] = map[string]any{"alert": map[string]string{"title": c.Title, "body": c.Alert}}
			notification["hmos"] = map[string]any{"title": c.Title, "alert": c.Alert}
		}
		if len(c.Extras) > 0 {
			android["extras"] = c.Extras
		}
		if len(android) > 0 {
			notification["android"] = android
		}
		push["notification"] = notification
	}
	if c.Message != "" {
		push["message"] = map[string]any{"msg_content": c.Message, "extras": c.Extras}
	}
	if c.TTL != nil {
		push["options"] = map[string]any{"time_to_live": *c.TTL}
	}
	if c.CID != "" {
		push["cid"] = c.CID
	}
	return push
}

func (c *PushCmd) audience() any {
	selected := map[string]any{}
	for key, list := range map[string][]string{"tag": c.Tag, "tag_and": c.TagAnd, "tag_not": c.TagNot, "alias": c.Alias, "registration_id": c.To} {
		if len(list) > 0 {
			selected[key] = list
		}
	}
	if len(selected) == 0 {
		return "all"
	}
	return selected
}
