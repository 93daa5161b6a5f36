// Command borealis is the whole platform in one binary: the server, and what operators and developers need beside it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // calendars work on machines without a time zone database

	"github.com/alecthomas/kong"

	"borealis/internal/kernel/config"
)

type commands struct {
	Serve     ServeCmd     `cmd:"" help:"Run the server."`
	Demo      DemoCmd      `cmd:"" help:"Run a server with simulated devices and send one real push."`
	App       AppCmd       `cmd:"" help:"Administer the apps of a running server, over its admin socket."`
	Developer DeveloperCmd `cmd:"" help:"Administer the developers of a running server, over its admin socket."`
	Group     GroupCmd     `cmd:"" help:"Administer the app groups of a running server, over its admin socket."`
	Channel   ChannelCmd   `cmd:"" help:"Administer what apps have at vendors of push channels, over the admin socket."`
	Trace     TraceCmd     `cmd:"" help:"Tell why a device got a message or did not, over the admin socket."`
	Import    ImportCmd    `cmd:"" help:"Bring devices over from another push service."`
	Push      PushCmd      `cmd:"" help:"Send a push through the REST API."`
	Device    DeviceCmd    `cmd:"" help:"Run simulated devices that print what they receive."`
	Sim       SimCmd       `cmd:"" help:"Simulate the push services of phone makers and browsers, for development."`
	Bench     BenchCmd     `cmd:"" help:"Measure a server, beside a peer in the same run."`
	Config    ConfigCmd    `cmd:"" help:"Print the configuration file with its defaults."`
	OpenAPI   OpenAPICmd   `cmd:"" name:"openapi" help:"Print the OpenAPI document of the native API."`
	Doctor    DoctorCmd    `cmd:"" help:"Look for what in this environment will hurt."`
	Version   VersionCmd   `cmd:"" help:"Print what this binary was built from."`
}

// helpOfValue is the help of a flag or an argument. kong shows no default beside a placeholder, so it is said here.
func helpOfValue(v *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(v)
	if v.Flag == nil || v.Flag.PlaceHolder == "" || !v.HasDefault || v.Default == "" {
		return text
	}
	head, ends := strings.CutSuffix(text, ".")
	if ends {
		return head + "; default " + v.Default + "."
	}
	return text + "; default " + v.Default
}

func main() {
	if err := run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "borealis:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var cli commands
	parser := kong.Must(&cli, append(config.Options(),
		kong.Name("borealis"), kong.Description("Push, statistics and more for app developers, on your own machines."),
		kong.ShortUsageOnError(), kong.ValueFormatter(helpOfValue), kong.BindTo(ctx, (*context.Context)(nil)))...)
	kctx, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	return kctx.Run()
}
