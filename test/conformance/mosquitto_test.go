package conformance

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/test/e2e"
)

// mosquitto is the command line clients of Eclipse mosquitto: one device, one version, one transport.
type mosquitto struct {
	v   version
	who credentials
}

// args are the arguments that say who connects where. The clients report each packet because of -d.
func (m *mosquitto) args(t testing.TB) []string {
	t.Helper()
	server, err := url.Parse(m.who.url)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-d", "-V", map[version]string{v311: "mqttv311", v5: "mqttv5"}[m.v],
		"-h", server.Hostname(), "-p", server.Port(), "-i", m.who.id, "-u", m.who.user, "-P", m.who.password}
	if m.who.trust != nil {
		args = append(args, "--cafile", m.who.trust.caFile)
	}
	return args
}

// run runs one of the clients to its end and returns its exit code and all it said.
func (m *mosquitto) run(t testing.TB, program string, args ...string) (int, string) {
	t.Helper()
	return output(t, exec.Command(need(t, program, "mosquitto-clients"), append(m.args(t), args...)...))
}

// subscription is a running mosquitto_sub.
type subscription struct {
	lines chan string
	said  []string
}

// subscribe starts mosquitto_sub, which ends after so many messages.
func (m *mosquitto) subscribe(t testing.TB, qos byte, messages int) *subscription {
	t.Helper()
	args := append(m.args(t), "-t", "push", "-q", fmt.Sprint(qos), "-C", fmt.Sprint(messages), "-F", "MESSAGE %t %q %x")
	cmd := exec.Command(need(t, "mosquitto_sub", "mosquitto-clients"), args...)
	from, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &subscription{lines: make(chan string, 1000)}
	go func() {
		defer close(s.lines)
		for in := bufio.NewReader(from); ; {
			line, err := in.ReadString('\n')
			if line != "" {
				s.lines <- strings.TrimSpace(line)
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		for range s.lines {
		}
		_ = cmd.Wait()
	})
	return s
}

// await is the rest of the next line that begins with the prefix.
func (s *subscription) await(t testing.TB, prefix string) string {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, more := <-s.lines:
			if !more {
				t.Fatalf("mosquitto_sub ended without %q:\n%s", prefix, strings.Join(s.said, "\n"))
			}
			s.said = append(s.said, line)
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest
			}
		case <-late:
			t.Fatalf("mosquitto_sub did not say %q:\n%s", prefix, strings.Join(s.said, "\n"))
		}
	}
}

// message is the next message.
func (s *subscription) message(t testing.TB) received {
	t.Helper()
	fields := strings.Fields(s.await(t, "MESSAGE "))
	if len(fields) != 3 || len(fields[1]) != 1 {
		t.Fatalf("mosquitto_sub printed %q", fields)
	}
	payload, err := hex.DecodeString(fields[2])
	if err != nil {
		t.Fatal(err)
	}
	return received{fields[0], fields[1][0] - '0', string(payload)}
}

// ended waits for the end of mosquitto_sub.
func (s *subscription) ended(t testing.TB) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, more := <-s.lines:
			if !more {
				return
			}
			s.said = append(s.said, line)
		case <-late:
			t.Fatal("mosquitto_sub still runs")
		}
	}
}

// Both versions, both qualities of service, over TCP and TLS.
func TestMosquitto(t *testing.T) {
	t.Parallel()
	need(t, "mosquitto_sub", "mosquitto-clients")
	need(t, "mosquitto_pub", "mosquitto-clients")
	ca := newAuthority(t)
	plain, secure := start(t), startTLS(t, ca)
	for _, v := range []version{v311, v5} {
		for _, qos := range []byte{0, 1} {
			for _, scheme := range []string{"tcp", "mqtts"} {
				t.Run(fmt.Sprintf("v%d QoS %d %s", v, qos, scheme), func(t *testing.T) {
					t.Parallel()
					n, trust := plain, (*authority)(nil)
					if scheme == "mqtts" {
						n, trust = secure, ca
					}
					app := n.NewApp(t)
					d := n.Register(t, app, "android")
					m := &mosquitto{v, credentials{endpoint(t, d, scheme), d.RegistrationID, app.Key, d.Secret, trust}}
					m.refused(t)
					m.delivered(t, n, app, qos)
				})
			}
		}
	}
}

// refused: the clients name the codes of CONNACK and SUBACK.
func (m *mosquitto) refused(t *testing.T) {
	t.Helper()
	stranger := mosquitto{m.v, m.who}
	stranger.who.password = "wrong"
	connack := fmt.Sprintf("received CONNACK (%d)", badCredentials.in(m.v))
	if code, said := stranger.run(t, "mosquitto_sub", "-t", "push", "-C", "1", "-W", "10"); code == 0 || !strings.Contains(said, connack) {
		t.Errorf("wrong secret: exit code %d, want %q:\n%s", code, connack, said)
	}
	suback := fmt.Sprintf("Subscribed (mid: 1): %d", filterRefused.in(m.v))
	if _, said := m.run(t, "mosquitto_sub", "-t", "other", "-q", "1", "-C", "1", "-W", "10"); !strings.Contains(said, suback) {
		t.Errorf("other topic: want %q:\n%s", suback, said)
	}
}

// delivered: what was sent before the connection and after it arrives, is counted, and events are too.
func (m *mosquitto) delivered(t *testing.T, n *e2e.Node, app e2e.Credentials, qos byte) {
	t.Helper()
	early := push(t, n, app, alert("early", m.who.id))
	s := m.subscribe(t, qos, 2)
	if got := s.message(t); got.topic != "push" || idOf(t, got) != early {
		t.Errorf("got %+v, want message %s, which was owed", got, early)
	}
	// mosquitto_sub sends SUBSCRIBE before any PUBACK, so once this is counted the subscription is in force.
	awaitReceipt(t, n, app, early)
	msg := push(t, n, app, alert("live", m.who.id))
	got := s.message(t)
	if got.topic != "push" || got.qos != qos || idOf(t, got) != msg {
		t.Errorf("got %+v, want message %s at QoS %d", got, msg, qos)
	}
	awaitReceipt(t, n, app, msg)
	s.ended(t)
	if granted := fmt.Sprint("Subscribed (mid: 1): ", qos); !slices.Contains(s.said, granted) {
		t.Errorf("want %q:\n%s", granted, strings.Join(s.said, "\n"))
	}

	events := fmt.Sprintf(`{"events":[{"id":%q,"event":"displayed","at":%d},{"id":%q,"event":"clicked","at":0}]}`, msg, time.Now().UnixMilli(), msg)
	if code, said := m.run(t, "mosquitto_pub", "-t", "up/events", "-q", fmt.Sprint(qos), "-m", events); code != 0 {
		t.Errorf("mosquitto_pub up/events: exit code %d\n%s", code, said)
	}
	awaitFunnel(t, n, app, msg, funnel{Targets: 1, Sent: 1, Delivered: 1, Displayed: 1, Clicked: 1, Failed: map[string]int{}})
	if _, said := m.run(t, "mosquitto_pub", "-t", "other", "-q", "1", "-m", "x"); m.v == v5 && !strings.Contains(said, "RC:135") || m.v == v311 && strings.Contains(said, "received PUBACK") {
		t.Errorf("mosquitto_pub to another topic:\n%s", said)
	}
}
