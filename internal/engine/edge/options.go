package edge

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/deviceid"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
)

// Options say what an Edge works with. ID, Codec, Bus, Clock and Log are required.
type Options struct {
	// ID names this edge on the bus: unique among all edges, one NATS token (no dot, space, '*' or '>').
	ID string
	// Addr is the "host:port" of MQTT over TCP; port 0 picks a free one; empty: none.
	Addr string
	// TLSAddr is the same for MQTT over TLS, and needs TLS.
	TLSAddr string
	TLS     *tls.Config
	// Codec checks registration ids and secrets.
	Codec *deviceid.Codec
	Bus   *bus.Bus
	Clock clock.Clock
	Log   *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
	// Loops is the number of event loops; 0: one per CPU.
	Loops  int
	Limits Limits
}

// Limits bound what connections and queues may take. A zero field means its default.
type Limits struct {
	// Connections is the most open sockets; default: the process's limit of open files less a reserve of 10 % and 64.
	Connections int
	// HalfOpenPerIP is the most sockets of one address that have not finished CONNECT. Default 1,024: a whole mobile
	// carrier, or a reverse proxy, may be one address.
	HalfOpenPerIP int
	// ConnectTimeout is how long a CONNECT may take. Default 10 s.
	ConnectTimeout time.Duration
	// ConnectPacket is the largest CONNECT, and of what may follow before the CONNACK. Default 8 KiB.
	ConnectPacket int
	// UpPacket is the largest packet a connected device may send. Default 128 KiB.
	UpPacket int
	// Ups is the number of unanswered up messages of one connection (Receive Maximum of the server). Default 16.
	Ups int
	// Inflight is the most unacknowledged messages on one connection; the client's Receive Maximum may be lower.
	// Default 128.
	Inflight int
	// Pending is the most messages that wait for the window of one connection; beyond it they are reloaded from the
	// core later. Default 32.
	Pending int
	// OutboundHigh is the number of bytes a socket has not taken yet at which messages wait. Default 64 KiB.
	OutboundHigh int
	// OutboundMax is the number at which the connection ends. Default 256 KiB.
	OutboundMax int
	// StallTimeout ends a connection that takes nothing of what waits for it. Default 30 s.
	StallTimeout time.Duration
	// CoreWait is how long an admission, an up message or a question for owed messages is repeated while no core node
	// answers. Default 8 s.
	CoreWait time.Duration
	// Admissions, UpRequests, Loads and Reloads are how many of these wait for the core at once. Defaults 512, 256, 64
	// and 16.
	Admissions, UpRequests, Loads, Reloads int
	// AdmissionQueue and UpQueue are how many more wait for their turn. Defaults 16,384 and 8,192.
	AdmissionQueue, UpQueue int
	// QueueItems and QueueBytes bound the deliveries that wait in one loop. Defaults 100,000 and 64 MiB.
	QueueItems, QueueBytes int
	// Receipts is the most unconfirmed receipts (one per device, message and stage). Default 4,000,000.
	Receipts int
	// Tick is how often loops look at deadlines. Default 100 ms.
	Tick time.Duration
	// LingerTime is how long a refused peer may take to read why. Default 2 s.
	LingerTime time.Duration
}

// Fixed times of the protocol between edge and core.
const (
	directFlush      = 4 * time.Millisecond
	wideFlush        = 150 * time.Millisecond
	presenceFlush    = 10 * time.Millisecond
	presenceInterval = 2 * time.Second
	factsLife        = time.Minute
	noFactsLife      = 5 * time.Second
	factsKept        = 20_000
	noFactsKept      = 5_000
	requestTimeout   = 3 * time.Second
	syncGrace        = 500 * time.Millisecond
	sweepInterval    = time.Second
	reloadRetry      = time.Second
	noKeepAliveProbe = 10 * time.Minute
)

// withDefaults fills the zero fields.
func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) { *v = cmp.Or(*v, d) }
	defTime := func(v *time.Duration, d time.Duration) { *v = cmp.Or(*v, d) }
	def(&l.Connections, defaultConnections())
	def(&l.HalfOpenPerIP, 1024)
	defTime(&l.ConnectTimeout, 10*time.Second)
	def(&l.ConnectPacket, 8<<10)
	def(&l.UpPacket, 128<<10)
	def(&l.Ups, 16)
	def(&l.Inflight, 128)
	def(&l.Pending, 32)
	def(&l.OutboundHigh, 64<<10)
	def(&l.OutboundMax, 256<<10)
	defTime(&l.StallTimeout, 30*time.Second)
	defTime(&l.CoreWait, 8*time.Second)
	def(&l.Admissions, 512)
	def(&l.UpRequests, 256)
	def(&l.Loads, 64)
	def(&l.Reloads, 16)
	def(&l.AdmissionQueue, 16_384)
	def(&l.UpQueue, 8_192)
	def(&l.QueueItems, 100_000)
	def(&l.QueueBytes, 64<<20)
	def(&l.Receipts, 4_000_000)
	defTime(&l.Tick, 100*time.Millisecond)
	defTime(&l.LingerTime, 2*time.Second)
	return l
}

func defaultConnections() int {
	const unknown = 10_000
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur > 1<<30 {
		return unknown
	}
	n := int(files.Cur)
	return max(n-n/10-64, 16)
}

func (o *Options) check() error {
	switch {
	case o.ID == "" || strings.ContainsAny(o.ID, ". *>\t\r\n"):
		return fmt.Errorf("edge: id %q is not one NATS token", o.ID)
	case o.Codec == nil, o.Bus == nil, o.Clock == nil, o.Log == nil:
		return errors.New("edge: codec, bus, clock and log are required")
	case o.TLSAddr != "" && o.TLS == nil:
		return errors.New("edge: TLS address without TLS configuration")
	case o.Limits.Inflight > 65_535:
		return errors.New("edge: MQTT allows at most 65,535 messages in flight")
	}
	o.Limits = o.Limits.withDefaults()
	if o.Loops <= 0 {
		o.Loops = runtime.GOMAXPROCS(0)
	}
	return nil
}
