package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"borealis/internal/loadtest"
)

// BenchCmd is `borealis bench …`.
type BenchCmd struct {
	All       BenchAllCmd       `cmd:"" default:"withargs" help:"Everything below, one after the other."`
	Broadcast BenchBroadcastCmd `cmd:"" help:"Messages to all devices: server CPU per delivery, rate, latency."`
	Connect   BenchConnectCmd   `cmd:"" help:"Connections: how many per second, memory of an idle one."`
	API       BenchAPICmd       `cmd:"" name:"api" help:"Pushes to one device each: how many are accepted, how soon they arrive."`
	Audience  BenchAudienceCmd  `cmd:"" help:"Who is meant: sets of millions of devices, beside the roaring library step by step."`
	Clients   BenchClientsCmd   `cmd:"" hidden:"" help:"The clients' process of a run."`
	Peer      BenchPeerCmd      `cmd:"" hidden:"" help:"The peer's process of a run."`
}

// benchFlags are common to all measurements.
type benchFlags struct {
	Devices  int           `default:"9000" help:"Devices to connect. Each is an open file of the server and one of the clients." placeholder:"N"`
	Messages int           `default:"20" help:"Messages in each round of a broadcast." placeholder:"N"`
	Size     int           `default:"256" help:"Bytes of a message on the wire (payload)." placeholder:"BYTES"`
	Connects int           `default:"256" help:"Devices that connect at the same time." placeholder:"N"`
	Callers  int           `default:"64" help:"Concurrent callers of the API." placeholder:"N"`
	Duration time.Duration `default:"8s" help:"Length of each round of API calls." placeholder:"TIME"`
	Pace     int           `default:"1000" help:"Pushes per second of the round that measures latency." placeholder:"N"`
	Peer     bool          `default:"true" negatable:"" help:"Measure nats-server too, in the same run."`
	Timeout  time.Duration `default:"15m" help:"Give up after this time." placeholder:"TIME"`
	JSON     bool          `name:"json" help:"Print JSON."`
	Quiet    bool          `help:"Do not tell what is being done."`

	URL      string `name:"url" group:"A running server instead of one of its own" help:"Its base URL. It needs an app without limits and --registrations-per-minute 0." placeholder:"URL"`
	MQTT     string `name:"mqtt" group:"A running server instead of one of its own" help:"Its MQTT address, tcp://host:port." placeholder:"URL"`
	Internal string `name:"internal" group:"A running server instead of one of its own" help:"Base URL of its internal address; with it garbage is collected before memory is measured." placeholder:"URL"`
	AppKey   string `group:"A running server instead of one of its own" help:"AppKey." placeholder:"KEY"`
	Secret   string `group:"A running server instead of one of its own" env:"BOREALIS_MASTER_SECRET" help:"Master secret." placeholder:"SECRET"`
	PID      int    `name:"pid" group:"A running server instead of one of its own" help:"Its process id on this machine." placeholder:"PID"`
	DataDir  string `group:"A running server instead of one of its own" help:"Its data directory, for the bare commit floor; empty: a temporary one." placeholder:"DIR"`
}

// BenchAllCmd is `borealis bench all`.
type BenchAllCmd struct{ benchFlags }

// Run measures everything.
func (c *BenchAllCmd) Run(ctx context.Context) error {
	return c.measure(ctx, loadtest.Parts{Broadcast: true, Connect: true, API: true})
}

// BenchBroadcastCmd is `borealis bench broadcast`.
type BenchBroadcastCmd struct{ benchFlags }

// Run measures broadcasts.
func (c *BenchBroadcastCmd) Run(ctx context.Context) error {
	return c.measure(ctx, loadtest.Parts{Broadcast: true})
}

// BenchConnectCmd is `borealis bench connect`.
type BenchConnectCmd struct{ benchFlags }

// Run measures connections.
func (c *BenchConnectCmd) Run(ctx context.Context) error {
	return c.measure(ctx, loadtest.Parts{Connect: true})
}

// BenchAPICmd is `borealis bench api`.
type BenchAPICmd struct{ benchFlags }

// Run measures pushes to one device each.
func (c *BenchAPICmd) Run(ctx context.Context) error {
	return c.measure(ctx, loadtest.Parts{API: true})
}

// measure prints the report; it fails if something did not arrive.
func (f *benchFlags) measure(ctx context.Context, parts loadtest.Parts) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	o := loadtest.Options{
		Parts: parts, Devices: f.Devices, Messages: f.Messages, Size: f.Size, ConnectConcurrency: f.Connects,
		Callers: f.Callers, Duration: f.Duration, Pace: f.Pace, Peer: f.Peer,
		Binary: binary, ClientsArgs: []string{"bench", "clients"}, PeerArgs: []string{"bench", "peer"},
	}
	if !f.Quiet {
		o.Progress = io.Writer(os.Stderr)
	}
	if f.URL != "" {
		o.Target = &loadtest.Target{
			HTTP: f.URL, MQTT: f.MQTT, Internal: f.Internal, AppKey: f.AppKey, Secret: f.Secret, PID: f.PID, DataDir: f.DataDir,
		}
	}
	report, err := loadtest.Run(ctx, o)
	return printReport(report, err, f.JSON)
}

// printReport prints what was measured, also if that was not all.
func printReport(report *loadtest.Report, err error, asJSON bool) error {
	if report == nil {
		return err
	}
	write := report.WriteTable
	if asJSON {
		write = report.WriteJSON
	}
	err = errors.Join(err, write(os.Stdout))
	if err == nil && len(report.Problems) > 0 {
		return fmt.Errorf("%d problems, see above", len(report.Problems))
	}
	return err
}

// BenchAudienceCmd is `borealis bench audience`.
type BenchAudienceCmd struct {
	Devices int           `default:"10000000" help:"Devices of the app; ten million need 1.2 GB of memory and 0.3 GB of disk." placeholder:"N"`
	Rounds  int           `default:"200" help:"Rounds of each short measurement." placeholder:"N"`
	Dir     string        `help:"Where the database is made, and removed; empty: where temporary files are." placeholder:"DIR"`
	Timeout time.Duration `default:"30m" help:"Give up after this time." placeholder:"TIME"`
	JSON    bool          `name:"json" help:"Print JSON."`
	Quiet   bool          `help:"Do not tell what is being done."`
}

// Run measures the audience index in this process.
func (c *BenchAudienceCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	o := loadtest.AudienceOptions{Devices: c.Devices, Rounds: c.Rounds, Dir: c.Dir}
	if !c.Quiet {
		o.Progress = os.Stderr
	}
	report, err := loadtest.Audience(ctx, o)
	return printReport(report, err, c.JSON)
}

// BenchClientsCmd is the clients' process.
type BenchClientsCmd struct{}

// Run obeys orders from standard input.
func (*BenchClientsCmd) Run(ctx context.Context) error {
	return loadtest.Clients(ctx, os.Stdin, os.Stdout)
}

// BenchPeerCmd is the peer's process.
type BenchPeerCmd struct{}

// Run serves until standard input ends.
func (*BenchPeerCmd) Run(context.Context) error { return loadtest.Peer(os.Stdin, os.Stdout) }
