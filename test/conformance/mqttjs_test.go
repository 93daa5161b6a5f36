package conformance

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// mqttJS is mqtt.js in a process of its own, driven by node/device.cjs.
type mqttJS struct {
	v    version
	cmd  *exec.Cmd
	to   io.WriteCloser
	acks chan int
	in   chan received
	end  chan int
}

func newMQTTJS(v version) func(testing.TB) client {
	return func(testing.TB) client {
		return &mqttJS{v: v, acks: make(chan int, 10), in: make(chan received, 100), end: make(chan int, 10)}
	}
}

func (m *mqttJS) version() version          { return m.v }
func (m *mqttJS) messages() <-chan received { return m.in }
func (m *mqttJS) gone() <-chan int          { return m.end }

// run starts the process, which serves one connection after the other.
func (m *mqttJS) run(t testing.TB, trust *authority) {
	t.Helper()
	cmd := nodeScript(t, "device.cjs")
	cmd.Stderr = os.Stderr
	if trust != nil {
		cmd.Env = append(cmd.Env, "NODE_EXTRA_CA_CERTS="+trust.caFile)
	}
	to, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.cmd, m.to = cmd, to
	read := make(chan struct{})
	go func() {
		defer close(read)
		m.read(t, from)
	}()
	t.Cleanup(func() {
		_ = to.Close() // what makes the script end
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("device.cjs: %v", err)
		}
		late.Stop()
	})
}

// event is a line of device.cjs: one of its members is set.
type event struct {
	Ack     *int `json:"ack"`
	Gone    *int `json:"gone"`
	Message *struct {
		Topic   string `json:"topic"`
		QoS     byte   `json:"qos"`
		Payload []byte `json:"payload"`
	} `json:"message"`
	Failed string `json:"failed"`
}

func (m *mqttJS) read(t testing.TB, from io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Errorf("device.cjs said %q", lines.Text())
			continue
		}
		switch {
		case e.Ack != nil:
			m.acks <- *e.Ack
		case e.Gone != nil:
			m.end <- *e.Gone
		case e.Message != nil:
			m.in <- received{e.Message.Topic, e.Message.QoS, string(e.Message.Payload)}
		default:
			t.Errorf("mqtt.js: %s", e.Failed)
		}
	}
}

// ask sends a command and returns the code of the packet that answers it; broken if the connection ends instead.
func (m *mqttJS) ask(t testing.TB, command map[string]any) int {
	t.Helper()
	line, err := json.Marshal(command)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.to.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	select {
	case code := <-m.acks:
		return code
	case code := <-m.end:
		m.end <- code
		return broken
	case <-time.After(patience):
		t.Fatalf("%s: no answer", command["do"])
		return broken
	}
}

func (m *mqttJS) connect(t testing.TB, c credentials) int {
	t.Helper()
	if m.cmd == nil {
		m.run(t, c.trust)
	}
	return m.ask(t, map[string]any{
		"do": "connect", "url": c.url, "version": m.v, "id": c.id, "user": c.user, "password": c.password,
	})
}

func (m *mqttJS) subscribe(t testing.TB, filter string, qos byte) int {
	t.Helper()
	return m.ask(t, map[string]any{"do": "subscribe", "filter": filter, "qos": qos})
}

func (m *mqttJS) publish(t testing.TB, topic, payload string) int {
	t.Helper()
	return m.ask(t, map[string]any{"do": "publish", "topic": topic, "payload": payload})
}

func (m *mqttJS) disconnect(t testing.TB) {
	t.Helper()
	m.ask(t, map[string]any{"do": "disconnect"})
}
