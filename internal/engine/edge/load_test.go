package edge

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
)

// The load tests need the devices in another process, so that what the server takes can be told apart. That process
// is this test binary again, with these variables set.
const (
	envAddress = "EDGE_LOAD_ADDRESS"
	envDevices = "EDGE_LOAD_DEVICES"
	envVersion = "EDGE_LOAD_VERSION"
	envQoS     = "EDGE_LOAD_QOS"
)

// runDevices is the process with the devices: it connects them, prints "ready", acknowledges what comes and prints
// how much came whenever a line is asked for; it ends with its standard input.
func runDevices() error {
	address := os.Getenv(envAddress)
	n, err := strconv.Atoi(os.Getenv(envDevices))
	if err != nil {
		return err
	}
	version, qos := mqtt.V311, byte(1)
	if os.Getenv(envVersion) == "5" {
		version = mqtt.V5
	}
	if os.Getenv(envQoS) == "0" {
		qos = 0
	}
	debug.SetGCPercent(400)
	codec, err := deviceid.New([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		return err
	}
	var received atomic.Int64
	var wg sync.WaitGroup
	slots := make(chan struct{}, 64)
	failed := make(chan error, n)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := runDevice(codec, address, version, qos, uint32(i+1), &received); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(received.Load())
	}
	return nil
}

func runDevice(codec *deviceid.Codec, address string, v mqtt.Version, qos byte, ordinal uint32, received *atomic.Int64) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	ref := deviceid.Ref{Epoch: 1, Ordinal: ordinal}
	hello := mqtt.Connect{
		Version: v, CleanStart: true, ClientID: []byte(codec.ID(testApp, ref)), KeepAlive: 600,
		HasUsername: true, Username: []byte(testAppKey), HasPassword: true, Password: []byte(codec.Secret(testApp, ref, 1)),
	}
	if _, err := conn.Write(hello.Append(nil)); err != nil {
		return err
	}
	want := mqtt.CONNACK
	if qos == 0 {
		want = mqtt.SUBACK
		sub := mqtt.AppendSubscribe(nil, v, 1, nil, mqtt.Filter{Topic: []byte("push")})
		if _, err := conn.Write(sub); err != nil {
			return err
		}
	}
	ready := make(chan error, 1)
	go readDevice(conn, v, want, ready, received)
	return <-ready
}

// readDevice acknowledges what comes until the connection ends; ready gets a word when the wanted packet has come.
func readDevice(conn net.Conn, v mqtt.Version, want mqtt.Type, ready chan error, received *atomic.Int64) {
	buf := make([]byte, 0, 4096)
	var acks []byte
	for {
		n, err := conn.Read(buf[len(buf):cap(buf)])
		if err != nil {
			select {
			case ready <- err:
			default:
			}
			return
		}
		buf = buf[:len(buf)+n]
		rest := buf
		acks = acks[:0]
		for {
			p, n, err := mqtt.Next(rest, cap(buf))
			if err != nil || n == 0 {
				break
			}
			rest = rest[n:]
			switch p.Type {
			case want:
				ready <- nil
			case mqtt.PUBLISH:
				m, err := mqtt.ParsePublish(v, p.Flags, p.Body)
				if err != nil {
					return
				}
				received.Add(1)
				if m.QoS == 1 {
					ack := mqtt.Puback{PacketID: m.PacketID}
					acks = ack.Append(acks, v)
				}
			}
		}
		buf = buf[:copy(buf, rest)]
		if len(acks) > 0 {
			if _, err := conn.Write(acks); err != nil {
				return
			}
		}
	}
}

// fleet is the process with the devices.
type fleet struct {
	t     testing.TB
	in    io.WriteCloser
	out   *bufio.Scanner
	count int
}

func startFleet(t testing.TB, e *Edge, count int, version mqtt.Version, qos byte) *fleet {
	t.Helper()
	return startFleetAt(t, e.Addr().String(), count, version, qos)
}

func startFleetAt(t testing.TB, address string, count int, version mqtt.Version, qos byte) *fleet {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), self, "-test.run=^$")
	cmd.Env = append(os.Environ(), envAddress+"="+address, envDevices+"="+strconv.Itoa(count),
		envVersion+"="+strconv.Itoa(int(version)), envQoS+"="+strconv.Itoa(int(qos)))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, in: in, out: bufio.NewScanner(out), count: count}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("devices: %v", err)
		}
	})
	if line := f.line(); line != "ready" {
		t.Fatalf("devices said %q", line)
	}
	return f
}

func (f *fleet) line() string {
	f.t.Helper()
	if !f.out.Scan() {
		f.t.Fatalf("devices ended: %v", f.out.Err())
	}
	return f.out.Text()
}

// received is how many messages the devices have got.
func (f *fleet) received() int {
	f.t.Helper()
	if _, err := io.WriteString(f.in, "\n"); err != nil {
		f.t.Fatal(err)
	}
	n, err := strconv.Atoi(f.line())
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// cpuTime is what this process has used.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Skip("no /proc")
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+2:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rss is the resident memory of this process in bytes.
func rss(t testing.TB) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc")
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

const fleetSize = 9_000

// BenchmarkIdleMemory reports the resident memory per idle connected device, as it is some moments after they have
// connected. Run it with -benchtime=1x and nothing else.
func BenchmarkIdleMemory(b *testing.B) {
	c := newCore(b)
	e := startEdge(b, c, nil)
	for b.Loop() {
		warm := startFleet(b, e, 100, mqtt.V5, 1)
		warm.in.Close()
		eventually(b, "warm-up devices gone", func() bool { return e.gate.open.Load() == 0 })
		runtime.GC()
		debug.FreeOSMemory()
		before, heapBefore := rss(b), heap()
		startFleet(b, e, fleetSize, mqtt.V5, 1)
		eventually(b, "all loaded", func() bool { return e.presence.count() == fleetSize && e.loads.waiting() == 0 })
		c.do(func() { c.connects, c.owedAsks = nil, nil })
		settled := rss(b)
		debug.FreeOSMemory()
		b.ReportMetric(float64(settled-before)/fleetSize, "B/device-as-is")
		b.ReportMetric(float64(rss(b)-before)/fleetSize, "B/device-after-GC")
		b.ReportMetric(float64(heap()-heapBefore)/fleetSize, "heap-B/device")
	}
}

// heap is the live heap in bytes.
func heap() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// BenchmarkBroadcast reports the server's CPU time per delivered message of a broadcast to fleetSize devices.
func BenchmarkBroadcast(b *testing.B) {
	for _, qos := range []byte{0, 1} {
		for _, together := range []int{1, 4} {
			b.Run(fmt.Sprintf("qos=%d/queued=%d", qos, together), func(b *testing.B) { benchmarkBroadcast(b, qos, together) })
		}
	}
}

func benchmarkBroadcast(b *testing.B, qos byte, together int) {
	b.Helper()
	c := newCore(b)
	e := startEdge(b, c, nil)
	f := startFleet(b, e, fleetSize, mqtt.V5, qos)
	set := roaring.New()
	set.AddRange(1, fleetSize+1)
	targets := portable(set)
	payload := bytes.Repeat([]byte("x"), 256)
	msg, sent := int64(0), 0
	round := func() {
		for range together {
			msg++
			c.publish(edgewire.SubjectDeliver, edgewire.Deliver{
				App: testApp, Set: targets, Node: "node", Seq: uint64(msg),
				Frame: edgewire.Frame{Msg: msg, Payload: payload, Wide: true, Expires: time.Now().Add(time.Hour).UnixMilli()},
			})
		}
		sent += together * fleetSize
		pace(b, "all received", func() bool { return f.received() >= sent })
		pace(b, "all confirmed", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			stages := c.stages[tallyKey{testApp, msg}]
			return stages != nil && stages[edgewire.Delivered].GetCardinality() == fleetSize
		})
	}
	round()
	before, sentBefore := cpuTime(b), sent
	for b.Loop() {
		round()
	}
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(sent-sentBefore), "cpu-µs/msg")
}

// pace is eventually with few looks, which cost CPU time too.
func pace(b *testing.B, what string, condition func() bool) {
	b.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			b.Fatalf("not in time: %s", what)
		}
		wait := time.NewTimer(20 * time.Millisecond)
		<-wait.C
	}
}

// BenchmarkBareWrite is the floor for BenchmarkBroadcast on the same machine: the same bytes to the same devices by
// write(2) in a plain loop, at QoS 0, nothing recorded.
func BenchmarkBareWrite(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	conns := make(chan *net.TCPConn, fleetSize)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 1024)
			if _, err := conn.Read(buf); err != nil {
				return
			}
			ack := mqtt.Connack{}
			if _, err := conn.Write(ack.Append(nil, mqtt.V311)); err != nil {
				return
			}
			conns <- conn.(*net.TCPConn)
		}
	}()
	f := startFleetAt(b, ln.Addr().String(), fleetSize, mqtt.V311, 1)
	var fds []int
	for range fleetSize {
		conn := <-conns
		defer conn.Close()
		raw, err := conn.SyscallConn()
		if err != nil {
			b.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			b.Fatal(err)
		}
	}
	p := mqtt.Publish{Topic: []byte(topicPush), Payload: bytes.Repeat([]byte("x"), 256)}
	packet := p.Append(nil, mqtt.V311)
	sent := 0
	before := cpuTime(b)
	for b.Loop() {
		for _, fd := range fds {
			if n, err := syscall.Write(fd, packet); err != nil || n != len(packet) {
				b.Fatalf("write: %d %v", n, err)
			}
		}
		sent += len(fds)
		pace(b, "all received", func() bool { return f.received() >= sent })
	}
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(sent), "cpu-µs/msg")
}
