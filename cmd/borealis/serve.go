package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"borealis/internal/app"
	"borealis/internal/kernel/config"
)

// ServeCmd is `borealis serve`.
type ServeCmd struct {
	config.Config `embed:""`
}

// Run serves until the context ends.
func (c *ServeCmd) Run(ctx context.Context) error {
	if err := c.Validate(); err != nil {
		return err
	}
	log := newLogger(c.LogLevel, c.LogFormat)
	node, err := app.Open(ctx, &c.Config, log)
	if err != nil {
		return err
	}
	log.Info("starting", "version", version, "target", c.Target, "http", c.HTTPAddr, "mqtt", c.MQTTAddr)
	if c.VendorURL != "" {
		log.Warn("messages for vendors go to a simulator, not to the vendors", "vendor_url", c.VendorURL)
	}
	return node.Run(ctx)
}

// newLogger writes to stderr: text for people, JSON for machines.
func newLogger(level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		fmt.Fprintln(os.Stderr, "borealis: log level:", err)
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "text" || format == "auto" && isTerminal(os.Stderr) {
		return slog.New(slog.NewTextHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, opts))
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
