package loadtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// PeerName is what the peer is called in reports.
const PeerName = "nats-server"

// peerHello is the first line of the peer's process.
type peerHello struct {
	MQTT    string `json:"mqtt"`
	Version string `json:"version"`
}

// peerOrder is a line to it: Op is collect.
type peerOrder struct {
	Op string `json:"op"`
}

// Peer runs a nats-server with MQTT on a loopback port and JetStream in a temporary directory until in ends. It is the
// body of the peer's process: it writes its address as a line of JSON to out and collects garbage when told to.
func Peer(in io.Reader, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "borealis-bench-peer-")
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o := &server.Options{
		ServerName: "peer", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir,
		MQTT: server.MQTTOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT},
	}
	s, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	s.Start()
	defer func() {
		s.Shutdown()
		s.WaitForShutdown()
	}()
	if !s.ReadyForConnections(20 * time.Second) {
		return errors.New("peer: nats-server did not start")
	}
	address := "tcp://" + net.JoinHostPort(o.MQTT.Host, strconv.Itoa(o.MQTT.Port)) // the server writes the port it took into its options
	answers := json.NewEncoder(out)
	if err := answers.Encode(peerHello{MQTT: address, Version: server.VERSION}); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		for range 2 {
			runtime.GC()
		}
		if err := answers.Encode(peerOrder{Op: "collected"}); err != nil {
			return fmt.Errorf("peer: %w", err)
		}
	}
	return lines.Err()
}
