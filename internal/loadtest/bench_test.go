package loadtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func options(t *testing.T) Options {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Parts: Parts{Broadcast: true, Connect: true, API: true}, Devices: 12, Messages: 8, Size: 256, ConnectConcurrency: 4,
		Callers: 3, Duration: time.Second, Pace: 100, Peer: true, Binary: binary, ClientsArgs: []string{"clients"}, PeerArgs: []string{"peer"},
		timing: timing{quiet: 20 * time.Millisecond, quietMost: 200 * time.Millisecond, steady: 10 * time.Millisecond, steadyMost: 100 * time.Millisecond, idle: 50 * time.Millisecond},
	}
}

// A whole run with real processes, a real peer and a few devices: everything is measured and nothing stays behind.
func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("BOREALIS_DATABASE_URL", "postgres://never")
	var progress strings.Builder
	o := options(t)
	o.Progress = &progress
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	for _, problem := range report.Problems {
		t.Error(problem)
	}
	find := func(section, name string) *Row {
		for i, r := range report.Rows {
			if r.Section == section && r.Name == name {
				return &report.Rows[i]
			}
		}
		t.Errorf("%s, %s is missing", section, name)
		return &Row{}
	}
	for _, section := range []string{"broadcast QoS 0, one at a time", "broadcast QoS 0, 4 at once", "broadcast QoS 1, one at a time", "broadcast QoS 1, 4 at once"} {
		for _, name := range []string{"deliveries", "sent to received p50"} {
			if r := find(section, name); r.Ours == nil || r.Peer == nil || *r.Ours <= 0 || *r.Peer <= 0 || r.Ratio == nil {
				t.Errorf("%s: %+v", section, r)
			}
		}
	}
	for _, name := range []string{"memory per idle connection", "memory before", "connected at QoS 0, with SUBSCRIBE"} {
		if r := find("connections", name); r.Ours == nil || r.Peer == nil {
			t.Errorf("connections: %+v", r)
		}
	}
	if r := find("pushes to one device each, paced", "accepted"); r.Ours == nil || *r.Ours < 50 || *r.Ours > 110 {
		t.Errorf("paced: %+v", r)
	}
	find("pushes to one device each", "bare commits (floor)")
	if left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	var table strings.Builder
	if err := report.WriteTable(&table); err != nil || !strings.Contains(table.String(), "there is no peer in this run but the bare commit") {
		t.Errorf("%v\n%s", err, &table)
	}
	t.Log("\n" + table.String())
}

func TestRunTellsWhatFailed(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	o := options(t)
	o.ClientsArgs = []string{"fail"}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "this child fails") {
		t.Errorf("clients: %v", err)
	}
	o = options(t)
	o.Parts, o.PeerArgs = Parts{Connect: true}, []string{"fail"}
	report, err := Run(t.Context(), o)
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "this child fails") {
		t.Errorf("peer: %v, %+v", err, report)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o = options(t)
	o.Progress = writerFunc(func(line []byte) {
		if strings.Contains(string(line), "one at a time") {
			cancel()
		}
	})
	if _, err := Run(ctx, o); err == nil {
		t.Error("a run that was cancelled succeeded")
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	good := options(t)
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for i, spoil := range []func(*Options){
		func(o *Options) { o.Parts = Parts{} }, func(o *Options) { o.Devices = 0 }, func(o *Options) { o.Messages = maxMessages + 1 },
		func(o *Options) { o.Size = 10 }, func(o *Options) { o.Callers = 0 }, func(o *Options) { o.Pace = 0 },
		func(o *Options) { o.Duration = 0 }, func(o *Options) { o.Target = &Target{HTTP: "http://x"} },
	} {
		o := good
		spoil(&o)
		if o.check() == nil {
			t.Errorf("case %d is accepted", i)
		}
	}
}

func TestStopKillsWhoDoesNotListen(t *testing.T) {
	t.Parallel()
	o := options(t)
	p, err := start(t.Context(), o.Binary, t.TempDir(), "clients", "clients")
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := p.ask(order{Op: "dance"}, &a); err != nil || a.Error != `unknown order "dance"` {
		t.Errorf("%+v, %v", a, err)
	}
	if err := p.ask(order{Op: "connect", Count: 1}, &a); err != nil || a.Error == "" {
		t.Errorf("connecting more than are registered: %+v, %v", a, err)
	}
	p.stop()
	p.stop()
	if err := p.ask(order{Op: "ids"}, &a); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("after its end: %v", err)
	}
	if _, err := cpuTime(p.pid()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("process %d lives: %v", p.pid(), err)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0.00", 0.0123: "0.012", 0.5: "0.50", 9.99: "9.99", 12.34: "12.3", 123.4: "123", 1234: "1,234", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := figure(&v); got != want {
			t.Errorf("%v: %s, not %s", v, got, want)
		}
	}
	if figure(nil) != "-" {
		t.Error("no figure")
	}
}

func TestRowsKeepTogether(t *testing.T) {
	t.Parallel()
	var r Report
	r.set(ours, "a", "1", "x", 2)
	r.set(ours, "b", "1", "x", 3)
	r.set(theirs, "a", "2", "x", 5)
	r.set(theirs, "a", "1", "x", 4)
	var got []string
	for _, row := range r.Rows {
		got = append(got, fmt.Sprint(row.Section, row.Name))
	}
	if strings.Join(got, " ") != "a1 a2 b1" || *r.Rows[0].Ratio != 0.5 || r.Rows[1].Ratio != nil || r.Rows[1].Ours != nil {
		t.Errorf("rows %q, %+v", got, r.Rows)
	}
}
