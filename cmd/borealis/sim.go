package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/test/sim"
	"borealis/test/sim/phone"
)

// SimCmd is `borealis sim`.
type SimCmd struct {
	Addr string `default:"127.0.0.1:9099" help:"Address to listen on." placeholder:"ADDR"`
}

// Run serves the simulated vendors and prints a JSON line for each notification that arrives on a phone.
func (c *SimCmd) Run(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return err
	}
	server := sim.New(clock.System{})
	type arrival struct {
		Channel string             `json:"channel"`
		Token   string             `json:"token"`
		Got     phone.Notification `json:"got"`
	}
	lines := make(chan arrival, 1024)
	server.Phones.Hear(func(channel, token string, n phone.Notification) {
		select {
		case lines <- arrival{channel, token, n}:
		default: // whoever reads is slower than the phones; GET /sim/phones has everything
		}
	})
	go func() {
		out := json.NewEncoder(os.Stdout)
		for line := range lines {
			if err := out.Encode(line); err != nil {
				return // nobody reads any more
			}
		}
	}()
	fmt.Fprintf(os.Stderr, `Vendors are simulated at http://%s: start the server with --vendor-url http://%[1]s
GET http://%[1]s/sim lists them and how each can fail; docs/channels.md says what else it can be told.
What arrives on phones is printed here.
`, l.Addr())
	return serveSim(ctx, server, l)
}

// serveSim serves until ctx ends. HTTP/2 without TLS is for APNs and Google.
func serveSim(ctx context.Context, h http.Handler, l net.Listener) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: h, Protocols: protocols, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	return errors.Join(s.Close(), ignoreClosed(<-ended))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
