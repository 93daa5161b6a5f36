package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Parts say what is measured.
type Parts struct{ Broadcast, Connect, API bool }

// Options say how to measure. Binary, ClientsArgs and PeerArgs name the processes; the rest must be set too, unless
// it says otherwise.
type Options struct {
	Parts Parts
	// Devices connected; Messages per round of a broadcast; Size of a message's payload in bytes.
	Devices, Messages, Size int
	// ConnectConcurrency is how many clients connect at once.
	ConnectConcurrency int
	// Callers of the API at once, Duration of each of its rounds, Pace of the second one in pushes per second.
	Callers  int
	Duration time.Duration
	Pace     int
	// Peer: measure the peer too.
	Peer bool
	// Target is a running server; nil: one is started and ended.
	Target *Target
	// Binary is this program; with ClientsArgs it runs Clients, with PeerArgs Peer, with "serve" a server.
	Binary                string
	ClientsArgs, PeerArgs []string
	// Progress takes a line for each thing that is begun; nil: nobody listens.
	Progress io.Writer

	timing timing // zero: defaultTiming
}

// Limits of Options.
const (
	maxDevices  = 100_000
	maxMessages = 1000
)

func (o *Options) check() error {
	switch {
	case o.Parts == Parts{}:
		return errors.New("bench: nothing to measure")
	case o.Devices < 1 || o.Devices > maxDevices:
		return fmt.Errorf("bench: the number of devices must be between 1 and %d", maxDevices)
	case o.Messages < 1 || o.Messages > maxMessages:
		return fmt.Errorf("bench: the number of messages must be between 1 and %d", maxMessages)
	case o.Size < 160 || o.Size > 2048:
		return errors.New("bench: the size of a message must be between 160 and 2048 bytes")
	case o.Callers < 1 || o.Callers > 1024 || o.Pace < 1 || o.Duration < time.Second || o.Duration > 10*time.Minute:
		return errors.New("bench: callers must be 1 to 1024, the pace at least 1, the duration 1 s to 10 min")
	}
	if err := enoughFiles(o.Devices); err != nil {
		return err
	}
	if o.Target != nil {
		return o.Target.check()
	}
	return nil
}

// spareFiles is what a process opens besides connections.
const spareFiles = 200

// enoughFiles: the server and the clients' process have one open file for each device.
func enoughFiles(devices int) error {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return nil //nolint:nilerr // where it cannot be asked for, the run will show
	}
	if uint64(devices)+spareFiles > files.Max {
		return fmt.Errorf("bench: %d devices need more open files than the limit of %d: raise it (ulimit -Hn) or use fewer --devices", devices, files.Max)
	}
	return nil
}

// bench is one run.
type bench struct {
	o      Options
	dir    string
	report *Report
}

// Run measures and returns the report. What arrived late or not at all is in Report.Problems; an error means that the
// run could not go on, and comes with the figures taken so far.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "borealis-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.timing == (timing{}) {
		o.timing = defaultTiming()
	}
	b := &bench{o: o, dir: dir, report: newReport(&o)}
	if err := b.measureOurs(ctx); err != nil {
		return b.report, fmt.Errorf("bench: %w", err)
	}
	if !o.Peer || !o.Parts.Broadcast && !o.Parts.Connect {
		return b.report, nil
	}
	if err := b.measurePeer(ctx); err != nil {
		if ctx.Err() != nil {
			return b.report, fmt.Errorf("bench: %w", ctx.Err())
		}
		b.report.problemf("%s: %v", PeerName, err)
	}
	return b.report, nil
}

func (b *bench) sayf(format string, args ...any) {
	if b.o.Progress != nil {
		fmt.Fprintf(b.o.Progress, format+"\n", args...)
	}
}
