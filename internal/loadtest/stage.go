package loadtest

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
)

// stage is a server under test with clients on it.
type stage struct {
	side    side
	report  *Report
	pid     int
	timing  timing
	clients *process
	// collect has the server collect garbage.
	collect func(context.Context) error
	// send publishes messages with these contents to everybody, all at once, at a QoS.
	send func(ctx context.Context, qos byte, contents []string) error
	// content is the length of a message's content so that its payload has Options.Size bytes.
	content int
	round   uint32
	say     func(format string, args ...any)
}

// order gives the clients an order.
func (s *stage) order(o order) (answer, error) {
	var a answer
	if err := s.clients.ask(o, &a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, fmt.Errorf("clients: %s: %s", o.Op, a.Error)
	}
	return a, nil
}

// settled is the server's memory when it has finished and collected.
func (s *stage) settled(ctx context.Context) (int64, error) {
	if err := s.timing.awaitQuiet(ctx, s.pid); err != nil {
		return 0, err
	}
	if err := s.collect(ctx); err != nil {
		return 0, err
	}
	return s.timing.steadyMemory(ctx, s.pid)
}

// idle reports what the server does for connections that do nothing, in percent of one processor.
func (s *stage) idle(ctx context.Context, section string) error {
	before, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	if err := wait(ctx, s.timing.idle); err != nil {
		return err
	}
	after, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	s.report.set(s.side, section, "CPU of the idle server", "% of one", 100*(after-before).Seconds()/s.timing.idle.Seconds())
	return nil
}

// connect connects clients and reports how quickly, and what that cost.
func (s *stage) connect(ctx context.Context, section, name string, o order) error {
	o.Op = "connect"
	s.say("%s: connecting %d clients", s.side, o.Count)
	before, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	a, err := s.order(o)
	if err != nil {
		return err
	}
	if err := s.timing.awaitQuiet(ctx, s.pid); err != nil {
		return err
	}
	after, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	s.report.set(s.side, section, name, "per second", float64(a.Count)/a.Seconds)
	s.report.set(s.side, section, name+": server CPU each", "µs", micros(after-before)/float64(a.Count))
	return nil
}

func (s *stage) disconnect(ctx context.Context) error {
	if _, err := s.order(order{Op: "disconnect"}); err != nil {
		return err
	}
	return s.timing.awaitQuiet(ctx, s.pid)
}

// roundTime bounds the delivery of one batch to n clients.
func roundTime(n int) float64 { return 20 + float64(n)/250 }

// warm sends a message and learns how long contents have to be.
func (s *stage) warm(ctx context.Context, qos byte, devices, size int) error {
	s.round++
	if s.content == 0 {
		s.content = markLen
	}
	if _, err := s.order(order{Op: "expect", Round: s.round, Messages: 1, Each: true}); err != nil {
		return err
	}
	content := mark{s.round, 0, clock.System{}.Now()}.text(s.content)
	if err := s.send(ctx, qos, []string{content}); err != nil {
		return err
	}
	a, err := s.order(order{Op: "await", Count: devices, Seconds: roundTime(devices)})
	if err != nil {
		return err
	}
	if a.Arrived.Fresh == 0 {
		return fmt.Errorf("%s: nobody received the first message", s.side)
	}
	s.content = max(s.content+size-int(a.Arrived.Size), markLen)
	return s.timing.awaitQuiet(ctx, s.pid)
}

// broadcast sends messages to all clients, batch at a time, and reports what that cost.
func (s *stage) broadcast(ctx context.Context, section string, qos byte, devices, messages, batch int) error {
	s.round++
	s.say("%s: %s, %d messages to %d clients", s.side, section, messages, devices)
	if _, err := s.order(order{Op: "expect", Round: s.round, Messages: messages, Each: true}); err != nil {
		return err
	}
	before, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	var (
		began = clock.System{}.Now()
		got   = &arrived{}
	)
	for seq := 0; seq < messages; {
		contents := make([]string, 0, batch)
		for ; len(contents) < batch && seq < messages; seq++ {
			contents = append(contents, mark{s.round, uint32(seq), clock.System{}.Now()}.text(s.content))
		}
		if err := s.send(ctx, qos, contents); err != nil {
			return fmt.Errorf("%s: %w", section, err)
		}
		a, err := s.order(order{Op: "await", Count: seq * devices, Seconds: roundTime(devices * batch)})
		if err != nil {
			return err
		}
		if got = a.Arrived; got.Fresh < int64(seq*devices) {
			break
		}
	}
	if err := s.timing.awaitQuiet(ctx, s.pid); err != nil {
		return err
	}
	after, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	s.judge(section, got, int64(messages*devices))
	if got.Fresh == 0 {
		return nil
	}
	set := func(name, unit string, v float64) { s.report.set(s.side, section, name, unit, v) }
	set("server CPU per delivered message", "µs", micros(after-before)/float64(got.Fresh))
	set("deliveries", "per second", float64(got.Fresh)/time.Unix(0, got.Last).Sub(began).Seconds())
	set("sent to received p50", "ms", got.Latency.P50us/1000)
	set("sent to received p99", "ms", got.Latency.P99us/1000)
	set("sent to received max", "ms", got.Latency.Maxus/1000)
	return nil
}

// judge reports what did not arrive as it should.
func (s *stage) judge(section string, got *arrived, want int64) {
	if got.Fresh < want {
		s.report.problemf("%s, %s: %d of %d deliveries", s.side, section, got.Fresh, want)
	}
	if got.Again > 0 {
		s.report.notef("%s, %s: %d deliveries were repeated", s.side, section, got.Again)
	}
	if got.Strange > 0 {
		s.report.notef("%s, %s: %d messages of earlier rounds arrived", s.side, section, got.Strange)
	}
	if got.Lost > 0 {
		s.report.problemf("%s, %s: %d connections were lost, the first because: %s", s.side, section, got.Lost, got.LostWhy)
	}
}

// sections of broadcasts.
func broadcastSection(qos byte, batch int) string {
	if batch == 1 {
		return fmt.Sprintf("broadcast QoS %d, one at a time", qos)
	}
	return fmt.Sprintf("broadcast QoS %d, %d at once", qos, batch)
}

// broadcasts runs the rounds of one QoS.
func (s *stage) broadcasts(ctx context.Context, qos byte, devices, messages, size int) error {
	if err := s.warm(ctx, qos, devices, size); err != nil {
		return err
	}
	for _, batch := range []int{1, atOnce} {
		if err := s.broadcast(ctx, broadcastSection(qos, batch), qos, devices, messages, batch); err != nil {
			return err
		}
	}
	return nil
}

// atOnce is the number of messages of a batch.
const atOnce = 4

// versions of MQTT the clients speak.
const (
	version5   = byte(mqtt.V5)
	version311 = byte(mqtt.V311)
)
