package conformance

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/fcm"
	"borealis/test/sim/phone"
)

// firebaseModules installs Google's library once per content of what pins it, without the databases it can bring along.
var firebaseModules = sync.OnceValues(func() (string, error) {
	dir, err := installed([]string{"firebase/package.json", "firebase/package-lock.json"}, "", func(stage string) error {
		return run(stage, "npm", "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error")
	})
	return filepath.Join(dir, "node_modules"), err
})

// Google's own sender takes the simulator of FCM for the real thing: it gets access tokens, sends one by one
// and together, and understands every refusal. So a request that the simulator takes is one of FCM's shape, not of our making.
func TestFirebaseAdminSendsToTheSimulator(t *testing.T) {
	t.Parallel()
	node := need(t, "node", "nodejs npm")
	need(t, "npm", "nodejs npm")
	modules, err := firebaseModules()
	if err != nil {
		t.Fatal(err)
	}
	phones := phone.NewNetwork(clock.System{})
	sim := fcm.New(phone.Deps{Phones: phones, Faults: &phone.Faults{}, Clock: clock.System{}})
	server := httptest.NewUnstartedServer(sim)
	ca := newAuthority(t, "fcm.googleapis.com", "oauth2.googleapis.com")
	certificate, err := tls.LoadX509KeyPair(ca.certFile, ca.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}

	live, gone := phones.Add("fcm", ""), phones.Add("fcm", "")
	phones.SetState("fcm", gone, phone.Uninstalled)
	in, _ := json.Marshal(map[string]any{"account": sim.Credentials(), "messages": []any{
		map[string]any{
			"token": live, "data": map[string]string{"_j_msgid": "42", "k": "v"}, "notification": map[string]string{"title": "Hello", "body": "World"},
			"android": map[string]any{
				"priority": "high", "ttl": 3600000, "collapseKey": "c",
				"notification": map[string]any{"tag": "42", "channelId": "news", "clickAction": "OPEN", "notificationCount": 3, "priority": "max", "imageUrl": "https://example.com/p.png"},
			},
		},
		map[string]any{"token": live, "data": map[string]string{"only": "data"}},
		map[string]any{"token": gone, "data": map[string]string{"a": "b"}},
		map[string]any{"token": "cut off", "data": map[string]string{"a": "b"}},
		map[string]any{"token": live, "data": map[string]string{"from": "me"}},
		map[string]any{"token": live, "data": map[string]string{"k": strings.Repeat("x", 5000)}},
	}})
	cmd := exec.Command(node, "--require", "./resolver.cjs", "send.cjs")
	cmd.Dir = "firebase"
	cmd.Env = onlyEnv("NODE_PATH="+modules, "NO_UPDATE_NOTIFIER=1", "SIM_PORT="+address.Port(), "NODE_EXTRA_CA_CERTS="+ca.caFile)
	cmd.Stdin = bytes.NewReader(in)
	code, out := output(t, cmd)
	type result struct{ ID, Code, Message string }
	var got struct {
		Send, SendEach []result
		DryRun         string
	}
	if code != 0 || json.Unmarshal([]byte(out), &got) != nil {
		t.Fatalf("send.cjs: code %d, %s", code, out)
	}
	want := []string{
		"", "", "messaging/registration-token-not-registered", "messaging/invalid-argument", "messaging/invalid-argument", "messaging/invalid-argument",
	}
	for way, results := range map[string][]result{"send": got.Send, "sendEach": got.SendEach} {
		if len(results) != len(want) {
			t.Fatalf("%s: %+v", way, results)
		}
		for i, r := range results {
			if r.Code != want[i] || (r.Code == "") != strings.HasPrefix(r.ID, "projects/borealis-sim/messages/") {
				t.Errorf("%s: message %d: %+v, want %q", way, i, r, want[i])
			}
		}
	}
	if !strings.HasSuffix(got.DryRun, "/fake_message_id") {
		t.Errorf("a dry run is %q", got.DryRun)
	}
	p, _ := phones.Find("fcm", live)
	if len(p.Got) != 4 || p.Got[0].ID != "42" || p.Got[0].Title != "Hello" || p.Got[0].Tag != "42" || len(p.Screen) != 1 {
		t.Errorf("the phone got %+v", p)
	}
}
