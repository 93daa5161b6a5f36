package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/config"
	"borealis/internal/kernel/secret"
)

// edgeNode is the edge of this node.
type edgeNode = edge.Edge

// subjectKeys is where core nodes tell which keys the installation has.
const subjectKeys = "core.keys"

type keysReply struct {
	Fingerprint string `cbor:"1,keyasint"`
}

func newEdge(cfg *config.Config, codec *deviceid.Codec, b *bus.Bus, node string, tlsConfig *tls.Config, reg prometheus.Registerer, log *slog.Logger) (*edge.Edge, error) {
	o := edge.Options{
		ID: node, Addr: cfg.MQTTAddr, TLS: tlsConfig, Codec: codec, Bus: b, Clock: clock.System{}, Log: log, Registerer: reg,
		Limits: edge.Limits{Connections: cfg.MaxConnections},
	}
	if tlsConfig != nil {
		o.TLSAddr = cfg.MQTTSAddr
	}
	return edge.New(o)
}

// edgeKeys reads the key file of a node that has no database.
func edgeKeys(cfg *config.Config) (*secret.Keys, error) { return secret.Load(cfg.Keys()) }

// checkKeys asks the core nodes which keys the installation has, until one answers: an edge with other keys would
// refuse every device.
func checkKeys(ctx context.Context, b *bus.Bus, keys *secret.Keys, log *slog.Logger) error {
	for {
		var reply keysReply
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := b.Request(attempt, subjectKeys, struct{}{}, &reply)
		cancel()
		switch {
		case err == nil:
			if err := keys.Check(reply.Fingerprint); err != nil {
				return fmt.Errorf("app: the key file is not the one of this installation: %w", err)
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, bus.ErrNoResponder):
			log.Warn("waiting for a core node", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}
