package loadtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
	"borealis/internal/simulate"
)

// Clients obeys orders from in until it ends, one line of JSON each, and answers each with a line on out. It is the
// body of the clients' process.
func Clients(ctx context.Context, in io.Reader, out io.Writer) error {
	c := &clients{transport: &http.Transport{MaxIdleConnsPerHost: maxConcurrency}}
	defer c.disconnect()
	defer c.transport.CloseIdleConnections()
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read order: %w", err)
		}
		began := clock.System{}.Now()
		a, err := c.obey(ctx, o)
		if err != nil {
			a.Error = err.Error()
		}
		a.Seconds = clock.System{}.Now().Sub(began).Seconds()
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
	}
}

const (
	maxConcurrency = 512
	// sources is how many loopback addresses clients connect from: one has 28,000 ports, and what was closed lately
	// still occupies some.
	sources = 16
)

// clients is the state of the clients' process. Only obey's goroutine changes it; connections read tally.
type clients struct {
	transport *http.Transport
	devices   []simulate.Credentials
	conns     []*client
	serving   sync.WaitGroup

	tally   atomic.Pointer[tally]
	closing atomic.Bool
	lost    atomic.Int64
	lostWhy atomic.Pointer[string]
}

// client is one connection.
type client struct {
	all   *clients
	index int
	conn  *simulate.Conn
}

// Published implements simulate.Handler.
func (c *client) Published(p *mqtt.Publish) {
	if t := c.all.tally.Load(); t != nil {
		t.count(c.index, p.Payload, clock.System{}.Now())
	}
}

// Acked implements simulate.Handler.
func (*client) Acked(uint16, mqtt.Code) {}

func (c *clients) obey(ctx context.Context, o order) (answer, error) {
	if o.Seconds > 0 && o.Op != "await" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(o.Seconds*float64(time.Second)))
		defer cancel()
	}
	switch o.Op {
	case "register":
		return c.register(ctx, o)
	case "connect":
		return c.connect(ctx, o)
	case "disconnect":
		return answer{Count: c.disconnect()}, nil
	case "expect":
		c.lost.Store(0)
		c.lostWhy.Store(nil)
		c.tally.Store(newTally(o.Round, len(c.conns), o.Messages, o.Each))
		return answer{}, nil
	case "await":
		return c.await(o)
	case "ids":
		ids := make([]string, 0, o.Count)
		for i := range min(o.Count, len(c.devices)) {
			ids = append(ids, c.devices[i].RegistrationID)
		}
		return answer{IDs: ids}, nil
	}
	return answer{}, fmt.Errorf("unknown order %q", o.Op)
}

// register adds devices until there are o.Count.
func (c *clients) register(ctx context.Context, o order) (answer, error) {
	have := len(c.devices)
	more := make([]simulate.Credentials, max(o.Count-have, 0))
	how := simulate.RegisterOptions{HTTP: &http.Client{Transport: c.transport, Timeout: 30 * time.Second}}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(concurrency(o))
	for i := range more {
		work.Go(func() (err error) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			more[i], err = simulate.Register(ctx, o.HTTP, o.AppKey, how)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return answer{}, err
	}
	c.devices = append(c.devices, more...)
	return answer{Count: len(more)}, nil
}

// connect opens o.Count connections, each ready to receive; what could not be opened is told as an error, and the
// others stay.
func (c *clients) connect(ctx context.Context, o order) (answer, error) {
	if len(c.conns) > 0 {
		return answer{}, errors.New("there are connections already")
	}
	if !o.Anonymous && o.Count > len(c.devices) {
		return answer{}, fmt.Errorf("%d devices are registered, not %d", len(c.devices), o.Count)
	}
	c.closing.Store(false)
	c.lost.Store(0)
	opened := make([]*client, o.Count)
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(concurrency(o))
	for i := range opened {
		work.Go(func() (err error) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			opened[i], err = c.open(ctx, o, i)
			return err
		})
	}
	err := work.Wait()
	for _, one := range opened {
		if one != nil {
			c.conns = append(c.conns, one)
		}
	}
	return answer{Count: len(c.conns)}, err
}

// open connects one client and starts to read.
func (c *clients) open(ctx context.Context, o order, index int) (*client, error) {
	one := &client{all: c, index: index}
	how := simulate.ConnOptions{
		Address: o.MQTT, Dial: dialFrom(index), Version: mqtt.Version(o.Version), KeepAlive: 10 * time.Minute, Timeout: 30 * time.Second, Handler: one,
	}
	if o.Anonymous {
		how.ClientID, how.CleanStart = fmt.Sprintf("bench-%s-%d", o.Topic, index), true
	} else {
		device := c.devices[index]
		how.ClientID, how.Username, how.Password = device.RegistrationID, o.AppKey, device.Secret
	}
	conn, err := simulate.Connect(ctx, how)
	if err != nil {
		return nil, err
	}
	if o.Topic != "" {
		granted, err := conn.Subscribe(o.Topic, o.QoS)
		if err == nil && granted != o.QoS {
			err = fmt.Errorf("asked for QoS %d, got %d", o.QoS, granted)
		}
		if err != nil {
			_ = conn.Abort()
			return nil, err
		}
	}
	one.conn = conn
	c.serving.Go(func() {
		err := conn.Serve()
		if !c.closing.Load() {
			c.lost.Add(1)
			why := err.Error()
			c.lostWhy.CompareAndSwap(nil, &why)
		}
		_ = conn.Abort()
	})
	return one, nil
}

// dialFrom spreads clients over loopback addresses when they connect to one.
func dialFrom(index int) simulate.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{KeepAlive: -1}
		if host, _, err := net.SplitHostPort(address); err == nil {
			if ip := net.ParseIP(host).To4(); ip != nil && ip.IsLoopback() {
				d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+index%sources))}
			}
		}
		return d.DialContext(ctx, network, address)
	}
}

func (c *clients) disconnect() int {
	c.closing.Store(true)
	n := len(c.conns)
	for _, one := range c.conns {
		_ = one.conn.Close()
	}
	c.serving.Wait()
	c.conns = nil
	return n
}

func (c *clients) await(o order) (answer, error) {
	t := c.tally.Load()
	if t == nil {
		return answer{}, errors.New("no round has begun")
	}
	t.await(int64(o.Count), time.Duration(o.Seconds*float64(time.Second)))
	a := &arrived{
		Fresh: t.fresh.Load(), Again: t.again.Load(), Strange: t.strange.Load(), Lost: c.lost.Load(), Size: t.size.Load(),
		First: t.first.Load(), Last: t.last.Load(), Latency: t.latency.latency(),
	}
	if why := c.lostWhy.Load(); why != nil {
		a.LostWhy = *why
	}
	return answer{Arrived: a}, nil
}

func concurrency(o order) int { return min(cmp.Or(max(o.Concurrency, 0), 64), maxConcurrency) }
