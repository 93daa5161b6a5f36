package conformance

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"borealis/test/e2e"
)

// The vendor's Node libraries, unmodified. All have the vendor's host names built in.
func TestVendorLibraries(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	n := startTLS(t, ca)
	address, err := url.Parse(n.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range []struct{ name, module, style string }{
		{"jpush-async 4.2.0", "jpush-async", "promise"},
		{"jpush-async 4.1.0", "jpush-async-4.1", "promise"},
		{"jpush-async 4.1.0 with callbacks", "jpush-async-4.1", "callback"},
		{"jpush-sdk 3.5.0", "jpush-sdk", "callback"},
	} {
		t.Run(library.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t, n, library.module, library.style)
			b.run(t, "NODE_PORT="+address.Port(), "NODE_EXTRA_CA_CERTS="+ca.caFile, "NODE_OPTIONS=--require=./node/vendorhosts.cjs")
		})
	}
}

// The option proxy of the newest library replaces address and path of every call: with it the promise API can push to
// any server, without TLS too.
func TestVendorLibraryWithProxy(t *testing.T) {
	t.Parallel()
	n := start(t)
	b := newBackend(t, n, "jpush-async", "promise")
	b.proxy = n.URL + "/v3/push"
	b.run(t)
}

// backend is a run of node/serverapi.cjs for an app of its own.
type backend struct {
	n                      *e2e.Node
	app                    e2e.Credentials
	library, style, proxy  string
	android, silent, apple e2e.Device
	connected              map[string]client // by registration id
}

func newBackend(t testing.TB, n *e2e.Node, library, style string) *backend {
	t.Helper()
	b := &backend{n: n, app: n.NewApp(t), library: library, style: style, connected: map[string]client{}}
	b.android, b.silent, b.apple = n.Register(t, b.app, "android"), n.Register(t, b.app, "android"), n.Register(t, b.app, "ios")
	join(t, n, b.app, b.silent)
	for _, d := range []e2e.Device{b.android, b.apple} {
		device := newPaho3(t)
		if code := device.connect(t, credentials{url: n.MQTT, id: d.RegistrationID, user: b.app.Key, password: d.Secret}); code != 0 {
			t.Fatalf("CONNACK 0x%02X", code)
		}
		b.connected[d.RegistrationID] = device
	}
	return b
}

// run runs the script's cases as subtests, then checks that the connected devices got what was sent, in order, and
// nothing else.
func (b *backend) run(t *testing.T, env ...string) {
	cmd := nodeScript(t, "serverapi.cjs")
	cmd.Env = append(cmd.Env, env...)
	input, err := json.Marshal(map[string]any{
		"library": b.library, "style": b.style, "app_key": b.app.Key, "master_secret": b.app.Secret, "proxy": b.proxy,
		"devices": map[string]string{"android": b.android.RegistrationID, "silent": b.silent.RegistrationID, "ios": b.apple.RegistrationID},
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(input)
	code, said := output(t, cmd)
	if code != 0 {
		t.Fatalf("serverapi.cjs: exit code %d\n%s", code, said)
	}
	sent := map[string][]string{}
	total, cases := 0, 0
	for line := range strings.Lines(said) {
		var out struct {
			Sent  string   `json:"sent"`
			To    []string `json:"to"`
			Case  string   `json:"case"`
			Error *string  `json:"error"`
		}
		if err := json.Unmarshal([]byte(line), &out); err != nil {
			t.Errorf("the library printed %q", line)
			continue
		}
		if out.Sent != "" {
			total++
			for _, rid := range out.To {
				sent[rid] = append(sent[rid], out.Sent)
			}
			continue
		}
		cases++
		t.Run(out.Case, func(t *testing.T) {
			if out.Error != nil {
				t.Error(*out.Error)
			}
		})
	}
	if cases < 4 {
		t.Errorf("only %d cases ran:\n%s", cases, said)
	}
	b.check(t, sent, total)
}

func (b *backend) check(t *testing.T, sent map[string][]string, total int) {
	t.Helper()
	for rid, device := range b.connected {
		last := push(t, b.n, b.app, alert("last", rid))
		total++
		want := append(slices.Clone(sent[rid]), last)
		var got []string
		for len(got) < len(want) {
			got = append(got, idOf(t, next(t, device)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("device %s got %v, want %v", rid, got, want)
		}
	}
	awaitMessages(t, b.n, b.app, total)
}
