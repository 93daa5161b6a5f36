// Command go is the driver of the Go SDK for the scenarios.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	borealis "borealis/sdk/go"
)

func main() {
	d := &driver{out: json.NewEncoder(os.Stdout)}
	d.release = sync.NewCond(&d.mu)
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var c command
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, "driver:", err)
			os.Exit(1)
		}
		switch c.Do {
		case "end":
			d.working.Go(func() { d.answer(c) })
		default:
			d.answer(c)
		}
	}
	d.stop()
	d.working.Wait()
}

// command is a line of the harness.
type command struct {
	N            int                `json:"n"`
	Do           string             `json:"do"`
	Server       string             `json:"server"`
	AppKey       string             `json:"app_key"`
	Platform     string             `json:"platform"`
	Storage      string             `json:"storage"`
	Transport    string             `json:"transport"`
	Scale        float64            `json:"scale"`
	ClockOffset  int64              `json:"clock_offset_ms"`
	Version      string             `json:"version"`
	Purposes     []string           `json:"purposes"`
	Tags         []string           `json:"tags"`
	Alias        string             `json:"alias"`
	Attributes   map[string]*string `json:"attributes"`
	Timezone     string             `json:"timezone"`
	Channel      string             `json:"channel"`
	Token        string             `json:"token"`
	Environment  string             `json:"environment"`
	From         string             `json:"from"`
	To           string             `json:"to"`
	Enabled      bool               `json:"enabled"`
	ID           string             `json:"id"`
	Mode         string             `json:"mode"`
	Failures     int                `json:"failures"`
	Random       float64            `json:"random"`
	RetryAfterMS int64              `json:"retry_after_ms"`
}

type driver struct {
	outMu   sync.Mutex
	out     *json.Encoder
	client  *borealis.Client
	working sync.WaitGroup

	mu      sync.Mutex
	release *sync.Cond
	mode    string
	cancel  context.CancelFunc
	ended   chan struct{}
}

func (d *driver) print(line map[string]any) {
	d.outMu.Lock()
	defer d.outMu.Unlock()
	if err := d.out.Encode(line); err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
	}
}

func (d *driver) answer(c command) {
	line := map[string]any{"n": c.N}
	if err := d.do(c, line); err != nil {
		line["failed"] = err.Error()
	}
	d.print(line)
}

func (d *driver) do(c command, line map[string]any) error {
	switch c.Do {
	case "configure":
		return d.configure(c)
	case "consent":
		return d.client.Consent(c.Version, c.Purposes...)
	case "start":
		d.start()
		return nil
	case "stop":
		d.stop()
		return nil
	case "end":
		return d.client.End(context.Background())
	case "setTags":
		return d.client.SetTags(c.Tags...)
	case "addTags":
		return d.client.AddTags(c.Tags...)
	case "removeTags":
		return d.client.RemoveTags(c.Tags...)
	case "setAlias":
		return d.client.SetAlias(c.Alias, "")
	case "setAttributes":
		return d.client.SetAttributes(c.Attributes)
	case "setTimezone":
		return d.client.SetTimezone(c.Timezone)
	case "putToken":
		return d.client.PutToken(borealis.Token{Channel: c.Channel, Token: c.Token, Environment: c.Environment})
	case "setSilence":
		if c.From == "" {
			return d.client.SetSilence(nil)
		}
		return d.client.SetSilence(&borealis.Silence{From: c.From, To: c.To})
	case "setPushEnabled":
		return d.client.SetPushEnabled(c.Enabled)
	case "displayed":
		return d.client.Displayed(c.ID)
	case "clicked":
		return d.client.Clicked(c.ID)
	case "dismissed":
		return d.client.Dismissed(c.ID)
	case "handler":
		d.mu.Lock()
		defer d.mu.Unlock()
		d.mode = c.Mode
		d.release.Broadcast()
		return nil
	case "backoff":
		line["ms"] = borealis.Backoff(c.Failures, c.Random, time.Duration(c.RetryAfterMS)*time.Millisecond).Milliseconds()
		return nil
	}
	return fmt.Errorf("no command %q", c.Do)
}

func (d *driver) configure(c command) error {
	storage, err := borealis.OpenFileStorage(c.Storage)
	if err != nil {
		return err
	}
	d.client, err = borealis.New(borealis.Options{
		Server: c.Server, AppKey: c.AppKey, Platform: c.Platform, Storage: storage, Transport: c.Transport, Scale: c.Scale,
		Now:        func() time.Time { return time.Now().Add(time.Duration(c.ClockOffset) * time.Millisecond) },
		OnMessage:  d.message,
		OnWithdraw: func(_ context.Context, id string) { d.print(map[string]any{"event": "withdrawn", "id": id}) },
		OnEvent:    d.event,
	})
	return err
}

func (d *driver) message(ctx context.Context, m borealis.Message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	line := map[string]any{}
	if err := json.Unmarshal(data, &line); err != nil {
		return err
	}
	line["event"], line["silent"] = "message", m.Silent
	d.print(line)
	wake := context.AfterFunc(ctx, d.release.Broadcast)
	defer wake()
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.mode == "hold" && ctx.Err() == nil {
		d.release.Wait()
	}
	if d.mode == "fail" || d.mode == "hold" {
		return errors.New("the handler was told to fail")
	}
	return nil
}

func (d *driver) event(e borealis.Event) {
	line := map[string]any{"event": e.Kind}
	switch e.Kind {
	case borealis.Waiting:
		line["for"] = "consent"
	case borealis.Registered:
		line["registration_id"] = e.RegistrationID
	case borealis.Disconnected:
		line["reason"] = fmt.Sprint(e.Err)
	case borealis.Refused:
		if refused, ok := errors.AsType[*borealis.RefusedError](e.Err); ok {
			line["what"], line["code"] = refused.What, refused.Code
		}
	case borealis.Trouble:
		line["why"] = e.Err.Error()
	case borealis.TakenOver:
		return // told when Run has returned
	case borealis.Connected:
	}
	d.print(line)
}

func (d *driver) start() {
	if d.ended != nil {
		select {
		case <-d.ended:
		default:
			return
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel, d.ended = cancel, make(chan struct{})
	ended := d.ended
	go func() {
		err := d.client.Run(ctx)
		close(ended) // before the harness hears of it and starts again
		if errors.Is(err, borealis.ErrTakenOver) {
			d.print(map[string]any{"event": "taken_over"})
		} else if err != nil {
			d.print(map[string]any{"event": "error", "why": err.Error()})
		}
	}()
}

func (d *driver) stop() {
	if d.cancel != nil {
		d.cancel()
		<-d.ended
	}
}
