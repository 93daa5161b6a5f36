package sdk

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"borealis/internal/app"
	"borealis/internal/engine/edge/mqtt"
	"borealis/test/e2e"
)

// walk is one scenario with one SDK.
type walk struct {
	t       testing.TB
	s       scenario
	lang    *language
	node    *e2e.Node
	dataDir string
	restart func() *e2e.Node // nil if the server is shared
	app     e2e.Credentials
	front   *front
	driver  *driver
	storage string
	names   map[string]string
	taker   net.Conn
	offset  time.Duration
}

// run walks through all steps.
func (w *walk) run() {
	t := w.t
	w.names = map[string]string{}
	settings := map[string]string{"device_alias": "device"}
	maps.Copy(settings, w.s.Settings)
	var changes []app.AdminChange
	for k, v := range settings {
		changes = append(changes, app.AdminChange{Name: k, Value: v})
	}
	w.app = w.node.NewApp(t, changes...)
	w.front = newFront(t, w.node.URL, w.node.MQTT) // which it keeps when it restarts
	w.storage = t.TempDir()
	if ms, ok := w.s.Configure["clock_offset_ms"].(float64); ok {
		w.offset = time.Duration(ms) * time.Millisecond
	}
	w.live()
	t.Cleanup(func() {
		if w.taker != nil {
			_ = w.taker.Close()
		}
		w.lang.leave(t, w.driver)
	})
	for i, step := range w.s.Steps {
		if err := w.repeat(step); err != nil {
			t.Fatalf("%s: step %d, %s: %v", w.s.file, i+1, text(step), err)
		}
	}
	if rest := w.driver.leftover(); len(rest) > 0 {
		t.Errorf("%s: nobody expected %s", w.s.file, text(rest))
	}
}

// live begins a life of the device.
func (w *walk) live() {
	w.t.Helper()
	w.driver = w.lang.enter(w.t)
	args := object{"server": w.front.url(), "app_key": w.app.Key, "platform": w.lang.platform, "storage": w.storage, "scale": 0.01, "transport": w.lang.transport}
	maps.Copy(args, w.s.Configure)
	w.must("configure", args)
}

func (w *walk) must(do string, args object) {
	w.t.Helper()
	if a, err := w.driver.ask(do, args); err != nil || a["failed"] != nil {
		w.t.Fatalf("%s: %s: %v %s", w.s.file, do, err, text(a))
	}
}

var placeholder = regexp.MustCompile(`\$\{[^}]*\}`)

// fill replaces what stands for a name or a time.
func (w *walk) fill(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, m := range v {
			out[k] = w.fill(m)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, m := range v {
			out[i] = w.fill(m)
		}
		return out
	case string:
		return placeholder.ReplaceAllStringFunc(v, w.value)
	}
	return v
}

func (w *walk) value(p string) string {
	name := p[2 : len(p)-1]
	if minutes, ok := strings.CutPrefix(name, "hh:mm"); ok {
		m := 0
		if minutes != "" {
			var err error
			if m, err = strconv.Atoi(minutes); err != nil {
				w.t.Fatalf("%s: %v", p, err)
			}
		}
		return time.Now().UTC().Add(w.offset + time.Duration(m)*time.Minute).Format("15:04")
	}
	if ms, ok := strings.CutPrefix(name, "now"); ok {
		n := 0
		if ms != "" {
			var err error
			if n, err = strconv.Atoi(ms); err != nil {
				w.t.Fatalf("%s: %v", p, err)
			}
		}
		return strconv.FormatInt(time.Now().UnixMilli()+int64(n), 10)
	}
	out, ok := w.names[name]
	if !ok {
		w.t.Fatalf("nothing was named %q", name)
	}
	return out
}

// repeat takes a step as often as a command says.
func (w *walk) repeat(step object) error {
	times, repeated := step["times"].(float64)
	if !repeated || step["sdk"] == nil {
		return w.step(w.fill(step).(object))
	}
	for i := range int(times) {
		w.names["i"] = strconv.Itoa(i)
		if err := w.step(w.fill(step).(object)); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) step(step object) error {
	switch word(step) {
	case "sdk":
		return w.stepSDK(step)
	case "expect":
		return w.stepExpect(step)
	case "server":
		return w.stepServer(step)
	case "network":
		return w.stepNetwork(step)
	case "check":
		return w.holds(step["check"], step)
	}
	deadline := time.Now().Add(patience)
	for {
		err := w.holds(step["eventually"], step)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// holds compares a fact.
func (w *walk) holds(name any, step object) error {
	of, _ := step["of"].(string)
	got, err := w.fact(name.(string), of)
	if err != nil {
		return err
	}
	want, _ := step["is"].(object)
	if off, ok := got.(time.Duration); ok {
		limit, _ := want["off_by_less_than_ms"].(float64)
		if off >= time.Duration(limit)*time.Millisecond {
			return fmt.Errorf("off by %s", off)
		}
		return nil
	}
	if want == nil {
		return errors.New("is has no members")
	}
	return subset(want, plain(got))
}

func (w *walk) stepSDK(step object) error {
	do := step["sdk"].(string)
	if do == "kill" {
		w.driver = w.lang.kill(w.t, w.driver)
		w.live()
		return nil
	}
	args := object{}
	for k, v := range step {
		if k != "sdk" && k != "returns" && k != "failed" && k != "async" && k != "times" {
			args[k] = v
		}
	}
	if step["async"] == true {
		_, err := w.driver.send(do, args)
		return err
	}
	a, err := w.driver.ask(do, args)
	if err != nil {
		return err
	}
	if (a["failed"] != nil) != (step["failed"] == true) {
		return fmt.Errorf("answered %s", text(a))
	}
	if want, ok := step["returns"].(object); ok {
		return subset(want, a)
	}
	return nil
}

func (w *walk) stepExpect(step object) error {
	e, err := w.driver.event(step["expect"].(string))
	if err != nil {
		return err
	}
	if want, ok := step["with"].(object); ok {
		if err := subset(want, e); err != nil {
			return fmt.Errorf("%w in %s", err, text(e))
		}
	}
	if as, ok := step["as"].(string); ok {
		name, ok := e["registration_id"].(string)
		if !ok {
			name, ok = e["id"].(string)
		}
		if !ok {
			return fmt.Errorf("%s has no id to name", text(e))
		}
		w.names[as] = name
	}
	return nil
}

func (w *walk) stepServer(step object) error {
	rid, secret := w.front.identity()
	switch step["server"] {
	case "push":
		body, ok := step["body"].(object)
		if !ok {
			return errors.New("no body")
		}
		for k, v := range (object{"platform": "all", "audience": object{"registration_id": []string{rid}}}) {
			if body[k] == nil {
				body[k] = v
			}
		}
		var out object
		status := w.node.Call(w.t, w.app, http.MethodPost, "/v3/push", body, &out)
		id, _ := out["msg_id"].(string)
		if status != http.StatusOK || id == "" {
			return fmt.Errorf("status %d, %s", status, text(out))
		}
		if as, ok := step["as"].(string); ok {
			w.names[as] = id
		}
	case "withdraw":
		id, _ := step["id"].(string)
		if status := w.node.Call(w.t, w.app, http.MethodDelete, "/v3/push/"+id, nil, nil); status != http.StatusOK {
			return fmt.Errorf("status %d", status)
		}
	case "delete_device":
		if status := w.node.Call(w.t, e2e.Credentials{Key: rid, Secret: secret}, http.MethodDelete, "/device/v1/registration", nil, nil); status != http.StatusNoContent {
			return fmt.Errorf("status %d", status)
		}
	case "takeover":
		return w.takeOver(rid, secret)
	case "leave":
		return w.taker.Close()
	case "restart":
		if w.restart == nil {
			return errors.New("the server is shared")
		}
		w.node.Stop()
		w.node = w.restart()
	default:
		return errors.New("the server cannot do that")
	}
	return nil
}

// takeOver connects as the device from elsewhere.
func (w *walk) takeOver(rid, secret string) error {
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.node.MQTT, "tcp://"))
	if err != nil {
		return err
	}
	w.taker = conn
	p := mqtt.Connect{
		Version: mqtt.V5, KeepAlive: 0, ClientID: []byte(rid), HasUsername: true, Username: []byte(w.app.Key), HasPassword: true, Password: []byte(secret),
	}
	if _, err := conn.Write(p.Append(nil)); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	done := errors.New("accepted")
	err = packets(conn, func(p mqtt.Packet, _ []byte) error {
		if a, err := mqtt.ParseConnack(mqtt.V5, p.Body); p.Type != mqtt.CONNACK || err != nil || a.Code != mqtt.Success {
			return fmt.Errorf("refused: %v", a.Code)
		}
		return done
	})
	if !errors.Is(err, done) {
		return err
	}
	return nil
}

func (w *walk) stepNetwork(step object) error {
	times := 1
	if n, ok := step["times"].(float64); ok {
		times = int(n)
	}
	number := func(name string) int { n, _ := step[name].(float64); return int(n) }
	switch step["network"] {
	case "cut":
		w.front.cut()
	case "down":
		w.front.down()
	case "up":
		w.front.up()
	case "deaf":
		w.front.beDeaf()
	case "hear":
		w.front.hear()
	case "answer":
		path, _ := step["path"].(string)
		after := ""
		if n, ok := step["retry_after"].(float64); ok {
			after = strconv.Itoa(int(n))
		}
		w.front.answer(path, number("status"), times, after)
	case "connack":
		w.front.mu.Lock()
		defer w.front.mu.Unlock()
		for range times {
			w.front.connacks = append(w.front.connacks, byte(number("code")))
		}
	case "inject":
		payload, err := payloadOf(step)
		if err != nil {
			return err
		}
		return w.front.inject(payload, step["acknowledged"] != false)
	case "packet":
		raw, err := payloadOf(step)
		if err != nil {
			return err
		}
		l, err := w.front.online()
		if err != nil {
			return err
		}
		return l.write(raw)
	default:
		return errors.New("the network cannot do that")
	}
	return nil
}

func payloadOf(step object) ([]byte, error) {
	if v, ok := step["base64"].(string); ok {
		return base64.StdEncoding.DecodeString(v)
	}
	if v, ok := step["text"].(string); ok {
		return []byte(v), nil
	}
	if v, ok := step["payload"].(object); ok {
		// Numbers may stand as text, to be filled in.
		if at, ok := v["expires_at"].(string); ok {
			n, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				return nil, err
			}
			v["expires_at"] = n
		}
		return []byte(text(v)), nil
	}
	return nil, errors.New("no payload")
}
