package borealis

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a server whose connections are pipes, so that tests own the time.
type fake struct {
	mu    sync.Mutex
	dials []dialed
	// connect answers a CONNECT; nil: the code 0.
	connect func(n int) []byte
	conns   chan *fakeConn
	refuse  bool
}

type dialed struct {
	address string
	at      time.Time
}

type fakeConn struct {
	net.Conn
	in *bufio.Reader
}

func newFake() *fake { return &fake{conns: make(chan *fakeConn, 100)} }

func (f *fake) dial(_ context.Context, _, address string) (net.Conn, error) {
	f.mu.Lock()
	f.dials = append(f.dials, dialed{address, time.Now()})
	n, refuse := len(f.dials), f.refuse
	f.mu.Unlock()
	if refuse {
		return nil, errors.New("refused")
	}
	device, server := net.Pipe()
	go func() {
		c := &fakeConn{server, bufio.NewReader(server)}
		if _, err := readPacket(c.in); err != nil {
			return
		}
		answer := []byte{0x20, 3, 0, 0, 0}
		if f.connect != nil {
			answer = f.connect(n)
		}
		if _, err := server.Write(answer); err != nil || answer[3] != 0 {
			_ = server.Close()
			return
		}
		f.conns <- c
	}()
	return device, nil
}

// RoundTrip answers registrations.
func (f *fake) RoundTrip(*http.Request) (*http.Response, error) {
	body := `{"registration_id":"rid","secret":"s","mqtt":["tcp://one.example:1883","tcp://two.example:1883"],"keep_alive":60}`
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (f *fake) client(t *testing.T, change func(*Options)) *Client {
	t.Helper()
	o := Options{
		Server: "http://one.example", AppKey: "k", Platform: "iot", Storage: &MemoryStorage{}, Dial: f.dial, HTTP: &http.Client{Transport: f},
		Random: func() float64 { return 0.5 },
	}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Consent("1", "push"); err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs the client until stop is called.
func run(t *testing.T, c *Client) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// drain reads what the device sends, and gives it to each.
func (c *fakeConn) drain(each func(packet)) {
	for {
		p, err := readPacket(c.in)
		if err != nil {
			return
		}
		if each != nil {
			each(p)
		}
	}
}

func TestDelaysDoubleUntilTheyAreLongestAndEndWithTheNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.refuse = true
		c := f.client(t, nil)
		stop := run(t, c)
		time.Sleep(10 * time.Minute) // of the bubble's clock
		f.mu.Lock()
		var gaps []time.Duration
		for i := range f.dials[1:] {
			gaps = append(gaps, f.dials[i+1].at.Sub(f.dials[i].at))
		}
		before, turns := len(f.dials), f.dials[0].address != f.dials[1].address
		f.refuse = false
		f.mu.Unlock()
		for i, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
			if i >= len(gaps) || gaps[i] != want {
				t.Errorf("delays %v", gaps)
				break
			}
		}
		if !turns {
			t.Error("only one of two addresses is tried")
		}
		began := time.Now()
		c.NetworkUp()
		conn := <-f.conns
		if time.Since(began) > 0 {
			t.Errorf("connected %s after the network came back", time.Since(began))
		}
		go conn.drain(nil)
		stop()
		if len(f.dials) != before+1 {
			t.Errorf("%d connections after the network came back", len(f.dials)-before)
		}
	})
}

func TestServerThatFallsSilentIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		stop := run(t, f.client(t, nil))
		first := <-f.conns
		began, pings := time.Now(), 0
		first.drain(func(p packet) {
			if p.kind == typePingreq {
				pings++
			}
		})
		if after := time.Since(began); after != 90*time.Second || pings != 1 {
			t.Errorf("left after %s and %d pings, want 1.5 times the keep-alive of 60 s", after, pings)
		}
		second := <-f.conns
		go second.drain(func(p packet) {
			if p.kind == typePingreq {
				_, _ = second.Write([]byte{typePingresp << 4, 0})
			}
		})
		time.Sleep(time.Hour)
		stop()
		if len(f.dials) != 2 {
			t.Errorf("%d connections, though the second server answers", len(f.dials))
		}
	})
}

func TestServerThatNamesAnotherIsFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.connect = func(n int) []byte {
			if n == 1 {
				return append([]byte{0x20, 19, 0, 0x9c, 16, 0x1c, 0, 13}, "other.ex:1884"...)
			}
			if n == 2 {
				return append([]byte{0x20, 18, 0, 0x9d, 15, 0x1c, 0, 12}, "third.ex:999"...)
			}
			return []byte{0x20, 3, 0, 0, 0}
		}
		stop := run(t, f.client(t, nil))
		conn := <-f.conns
		go conn.drain(nil)
		stop()
		if len(f.dials) != 3 || f.dials[1].address != "other.ex:1884" || f.dials[2].address != "third.ex:999" {
			t.Errorf("dialled %v", f.dials)
		}
	})
}

// failing is a storage whose disk is full for one document.
type failing struct {
	MemoryStorage
	full string
}

func (s *failing) Put(name string, document []byte) error {
	if name == s.full {
		return errors.New("disk full")
	}
	return s.MemoryStorage.Put(name, document)
}

func TestMessageThatCannotBeRememberedIsNotAcknowledgedAndShownOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		shown := 0
		storage := &failing{full: docSeen}
		c := f.client(t, func(o *Options) {
			o.Storage = storage
			o.OnMessage = func(context.Context, Message) error { shown++; return nil }
		})
		stop := run(t, c)
		message := publishPacket("push", 9, []byte(`{"id":"1","type":"notification"}`))
		acks := 0
		conn := <-f.conns
		go conn.drain(func(packet) { acks++ })
		if _, err := conn.Write(message); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if shown != 1 || acks != 0 {
			t.Errorf("shown %d times, acknowledged %d times", shown, acks)
		}
		_ = conn.Close()
		conn = <-f.conns
		go conn.drain(func(packet) { acks++ })
		if _, err := conn.Write(message); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if shown != 1 || acks != 1 {
			t.Errorf("when it came again: shown %d times, acknowledged %d times", shown, acks)
		}
		stop()
	})
}

func TestCallsThatCannotBeStoredFailAndChangeNothing(t *testing.T) {
	t.Parallel()
	storage := &failing{}
	c, err := New(Options{Server: "http://one.example", AppKey: "k", Platform: "iot", Storage: storage})
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		docIdentity: func() error { return c.Consent("1") },
		docProfile:  func() error { return c.AddTags("a") },
		docReceipts: func() error { return c.Displayed("1") },
	}
	for name, call := range calls {
		storage.full = name
		if call() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if c.state.identity.Consent != nil || !c.state.words.Pending.empty() || len(c.state.receipts) != 0 {
		t.Errorf("something changed: %+v", c.state)
	}
}

func TestRunRunsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newFake().client(t, nil)
		stop := run(t, c)
		synctest.Wait()
		if err := c.Run(context.Background()); !errors.Is(err, ErrRunning) {
			t.Errorf("the second: %v", err)
		}
		stop()
	})
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	good := Options{Server: "https://push.example.com/", AppKey: "k", Platform: "desktop", Storage: &MemoryStorage{}}
	for name, change := range map[string]func(*Options){
		"Server": func(o *Options) { o.Server = "push.example.com" }, "AppKey": func(o *Options) { o.AppKey = "" },
		"Platform": func(o *Options) { o.Platform = "winphone" }, "Storage": func(o *Options) { o.Storage = nil },
		"Transport": func(o *Options) { o.Transport = "pigeon" },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}

func TestWhatIsSaidIsBounded(t *testing.T) {
	t.Parallel()
	c, err := New(Options{Server: "http://one.example", AppKey: "k", Platform: "iot", Storage: &MemoryStorage{}})
	if err != nil {
		t.Fatal(err)
	}
	many := make([]string, maxTags+1)
	for i := range many {
		many[i] = string(rune('a' + i))
	}
	if err := c.SetTags(many...); !errors.Is(err, ErrTooMuch) {
		t.Errorf("tags: %v", err)
	}
	for i := range maxReceipts + 100 {
		if err := c.Displayed(string(rune('a' + i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.state.receipts); n != maxReceipts || c.state.receipts[n-1].ID != string(rune('a'+maxReceipts+99)) {
		t.Errorf("%d receipts are kept", n)
	}
}
