package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/app"
)

// crash is one life of the test: devices that stay, and which message reached whom.
type crash struct {
	p       *Process
	app     Credentials
	devices []Device

	mu  sync.Mutex
	got map[string]map[string]bool // message → registration id
}

func (c *crash) received(msg, rid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.got[msg] == nil {
		c.got[msg] = map[string]bool{}
	}
	c.got[msg][rid] = true
}

// listen connects one device and collects what it receives until stop is called or the test ends.
func (c *crash) listen(t *testing.T, broker string, d Device) (stop func()) {
	client, got := connectV3(t, broker, c.app, d)
	end := make(chan struct{})
	go func() {
		for {
			select {
			case f := <-got:
				c.received(f.ID, d.RegistrationID)
			case <-end:
				return
			}
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { client.Disconnect(0); close(end) }) }
	t.Cleanup(stop)
	return stop
}

// connect connects all devices.
func (c *crash) connect(t *testing.T) (disconnect func()) {
	var stops []func()
	for _, d := range c.devices {
		stops = append(stops, c.listen(t, c.p.MQTT, d))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// sent is an accepted message and whom it must reach.
type sent struct {
	id      string
	targets []string
}

// flood sends pushes from many callers until stopped and returns those that were accepted.
func (c *crash) flood(total int, stop *atomic.Bool) []sent {
	var (
		mu       sync.Mutex
		accepted []sent
		wg       sync.WaitGroup
		left     atomic.Int64
	)
	left.Store(int64(total))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for range 32 {
		wg.Go(func() {
			for !stop.Load() {
				n := left.Add(-1)
				if n < 0 {
					return
				}
				audience, targets := c.pick(int(n))
				body, _ := json.Marshal(notification(audience, fmt.Sprint("push ", n)))
				req, _ := http.NewRequest(http.MethodPost, c.p.URL+"/v3/push", bytes.NewReader(body))
				req.SetBasicAuth(c.app.Key, c.app.Secret)
				resp, err := client.Do(req)
				if err != nil {
					continue // not accepted, as far as the caller knows
				}
				data, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				var answer pushAnswer
				if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(data, &answer) != nil {
					continue
				}
				mu.Lock()
				accepted = append(accepted, sent{answer.MsgID, targets})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return accepted
}

// killAmid floods the server and kills it at a random moment before the limit; it returns what had been accepted.
func (c *crash) killAmid(total int, limit time.Duration) ([]sent, time.Duration) {
	var stop atomic.Bool
	accepted := make(chan []sent, 1)
	go func() { accepted <- c.flood(total, &stop) }()
	moment := rand.N(limit)
	<-time.After(moment)
	c.p.Kill()
	stop.Store(true)
	return <-accepted, moment
}

// pick chooses an audience: one device, some by tag, or (rarely) everybody, which is a wide message.
func (c *crash) pick(n int) (any, []string) {
	switch {
	case n%97 == 0:
		return "all", c.rids(func(int) bool { return true })
	case n%10 == 0:
		return map[string]any{"tag": []string{"even"}}, c.rids(func(i int) bool { return i%2 == 0 })
	default:
		d := c.devices[n%len(c.devices)]
		return to(d.RegistrationID), []string{d.RegistrationID}
	}
}

func (c *crash) rids(take func(int) bool) (out []string) {
	for i, d := range c.devices {
		if take(i) {
			out = append(out, d.RegistrationID)
		}
	}
	return out
}

// missing counts the pairs that have not arrived.
func (c *crash) missing(accepted []sent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	missing, example := 0, ""
	for _, s := range accepted {
		for _, rid := range s.targets {
			if !c.got[s.id][rid] {
				missing++
				example = fmt.Sprintf("message %s to %s (%d targets)", s.id, rid, len(s.targets))
			}
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d deliveries are missing, e.g. %s", missing, example)
	}
	return nil
}

// The promise: whatever was answered with 200 reaches every target, though the server is killed at a random moment with
// a thousand pushes in flight.
func TestNothingAcceptedIsLost(t *testing.T) {
	const rounds, connected, silent = 20, 12, 1000
	p := NewProcess(t, t.TempDir())
	p.Start(t)
	c := &crash{p: p, app: p.NewApp(t, app.AdminChange{Name: "offline_messages", Value: "0"}), got: map[string]map[string]bool{}}
	for i := range connected {
		c.devices = append(c.devices, p.Register(t, c.app, "android"))
		client, _ := connectV3(t, p.MQTT, c.app, c.devices[i])
		client.Disconnect(10)
		if i%2 == 0 {
			p.Call(t, c.app, http.MethodPost, "/v3/devices/"+c.devices[i].RegistrationID, map[string]any{"tags": map[string]any{"add": []string{"even"}}}, nil)
		}
	}
	// Devices that never connect make a push to everybody a wide message.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range silent / 8 {
				d := p.Register(t, c.app, "ios")
				p.Call(t, Credentials{d.RegistrationID, d.Secret}, http.MethodGet, "/device/v1/profile", nil, nil)
			}
		})
	}
	wg.Wait()
	total := 0
	for round := range rounds {
		disconnect := c.connect(t)
		accepted, moment := c.killAmid(1000, 400*time.Millisecond)
		disconnect()
		p.Start(t)
		disconnect = c.connect(t)
		Eventually(t, fmt.Sprintf("round %d, killed after %s, %d accepted", round, moment, len(accepted)), func() error { return c.missing(accepted) })
		disconnect()
		total += len(accepted)
	}
	t.Logf("%d accepted messages in %d lives, none lost", total, rounds)
	if total < 20*rounds {
		t.Errorf("only %d messages were accepted: the test did not test much", total)
	}
	p.Terminate(t)
}
