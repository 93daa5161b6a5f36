package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// parse runs a command line with a serve command as the binary has it.
func parse(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	var cli struct {
		Serve struct {
			Config
		} `cmd:""`
		Version struct{} `cmd:""`
	}
	p, err := kong.New(&cli, Options()...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Parse(args)
	return cli.Serve.Config, err
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "borealis.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.HTTPAddr != ":8080" || c.DrainTimeout != 30*time.Second || c.Mode != ModePrivate || !c.RunsCore() || !c.RunsEdge() {
		t.Errorf("defaults %+v", c)
	}
	if c.Keys() != filepath.Join("data", "keys.json") {
		t.Errorf("key file %q", c.Keys())
	}
	parsed, err := parse(t, "serve")
	if err != nil || !reflect.DeepEqual(parsed, c) {
		t.Errorf("parsed without arguments: %+v, %v", parsed, err)
	}
}

func TestPrecedence(t *testing.T) {
	file := writeFile(t, "mode: platform\nhttp-addr: ':1'\nmqtt-addr: :2\nmax-connections: 5\ndrain-timeout: 3s\ntrusted-proxies:\n- 10.0.0.0/8\n- 127.0.0.1/32\n")
	t.Setenv("BOREALIS_HTTP_ADDR", ":3")
	t.Setenv("BOREALIS_MQTT_ADDR", ":4")
	c, err := parse(t, "serve", "--config", file, "--mqtt-addr", ":5")
	if err != nil {
		t.Fatal(err)
	}
	if c.Mode != "platform" || c.HTTPAddr != ":3" || c.MQTTAddr != ":5" || c.InternalAddr != "127.0.0.1:9090" {
		t.Errorf("file, environment, flag, default: %q %q %q %q", c.Mode, c.HTTPAddr, c.MQTTAddr, c.InternalAddr)
	}
	if c.MaxConnections != 5 || c.DrainTimeout != 3*time.Second || len(c.TrustedProxies) != 2 {
		t.Errorf("typed values of the file: %+v", c)
	}
}

func TestFileFromEnvironment(t *testing.T) {
	t.Setenv("BOREALIS_CONFIG", writeFile(t, "mode: platform\n"))
	if c, err := parse(t, "serve"); err != nil || c.Mode != "platform" {
		t.Errorf("mode %q, %v", c.Mode, err)
	}
	if _, err := parse(t, "version"); err != nil {
		t.Errorf("a command without configuration: %v", err)
	}
}

func TestEveryOptionFromEnvironment(t *testing.T) {
	values := map[string]string{
		"data-dir": "/d", "mode": "platform", "target": "core", "node-name": "n1", "key-file": "/k",
		"http-addr": ":1", "mqtt-addr": ":2", "mqtts-addr": ":3", "internal-addr": ":4",
		"public-url": "https://p.example", "vendor-url": "http://127.0.0.1:9099", "sms-gateway": "/sms.json", "tls-cert": "/c", "tls-key": "/y", "trusted-proxies": "10.0.0.0/8", "callback-allow": "10.1.0.0/16",
		"webpush-allow": "10.2.0.0/16",
		"database-url":  "postgres://h/d", "nats-url": "nats://h:1",
		"max-connections": "7", "registrations-per-minute": "8", "drain-timeout": "9s",
		"log-level": "warn", "log-format": "text",
	}
	for _, o := range options() {
		if values[o.name] == "" {
			t.Fatalf("%s is new: give it a value here", o.name)
		}
		t.Setenv(EnvName(o.name), values[o.name])
	}
	c, err := parse(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range options() {
		got := strings.Trim(fmt.Sprint(reflect.ValueOf(c).Field(o.index).Interface()), "[]")
		if got != values[o.name] {
			t.Errorf("%s did not take %s: %q", o.name, EnvName(o.name), got)
		}
	}
}

// kong validates the struct of the chosen command by itself.
func TestParsingValidates(t *testing.T) {
	_, err := parse(t, "serve", "--mode", "x", "--tls-key", "k")
	if err == nil || !strings.Contains(err.Error(), "mode: ") || !strings.Contains(err.Error(), "tls-cert: is required with tls-key") {
		t.Errorf("got %v", err)
	}
}

func TestFileProblems(t *testing.T) {
	cases := map[string]struct {
		text string
		want []string
	}{
		"unknown keys": {"mode: private\nmood: x\n\n# c\nhttp_addr: :1\n", []string{`line 2: unknown key "mood"`, `line 5: unknown key "http_addr"`}},
		"nested":       {"mode:\n  a: b\n", []string{`line 1: "mode" takes`}},
		"twice":        {"mode: private\nmode: platform\n", []string{`line 2: "mode" is given twice`}},
		"list":         {"- a\n", []string{"expected `name: value`"}},
		"config":       {"config: other.yaml\n", []string{`unknown key "config"`}},
		"not YAML":     {"mode: [\n", []string{"not YAML"}},
		"anchor":       {"mode: &a private\n", []string{`line 1: "mode" takes`}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, c.text)
			_, err := parse(t, "serve", "--config", file)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
					t.Errorf("%q and the path are not in %q", want, err)
				}
			}
		})
	}
	if _, err := parse(t, "serve", "--config", "/nonexistent.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestFileErrorsDoNotQuotePasswords(t *testing.T) {
	for _, text := range []string{"database-url: 'postgres://u:hunter2@h/d\n", "database-url: postgres://u:hunter2@h/d: [\n", "database-url: {a: hunter2}\n"} {
		_, err := parse(t, "serve", "--config", writeFile(t, text))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestEmptyAndNullKeepDefaults(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "mode:\nhttp-addr: null\n"} {
		c, err := parse(t, "serve", "--config", writeFile(t, text))
		if err != nil || c.Mode != "private" || c.HTTPAddr != ":8080" {
			t.Errorf("%q: %q %q %v", text, c.Mode, c.HTTPAddr, err)
		}
	}
}

func TestValidateReportsEverything(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		set  func(*Config)
		want []string
	}{
		"enumerations": {func(c *Config) { c.Mode, c.Target, c.LogLevel, c.LogFormat = "a", "b", "c", "d" },
			[]string{"mode", "target", "log-level", "log-format"}},
		"addresses": {func(c *Config) { c.HTTPAddr, c.MQTTAddr, c.InternalAddr = "", "nohost", "x:99999" },
			[]string{"http-addr", "mqtt-addr", "internal-addr"}},
		"same address":         {func(c *Config) { c.MQTTAddr = ":8080" }, []string{"mqtt-addr"}},
		"key without cert":     {func(c *Config) { c.TLSKey = "k" }, []string{"tls-cert"}},
		"cert without key":     {func(c *Config) { c.TLSCert = "k" }, []string{"tls-key"}},
		"mqtts only with TLS":  {func(c *Config) { c.MQTTSAddr = "bad" }, nil},
		"mqtts":                {func(c *Config) { c.MQTTSAddr, c.TLSCert, c.TLSKey = "bad", "c", "k" }, []string{"mqtts-addr"}},
		"database without key": {func(c *Config) { c.DatabaseURL = "postgres://h/d" }, []string{"key-file"}},
		"stores":               {func(c *Config) { c.DatabaseURL, c.NATSURL = "mysql://h/d", "nats://a:1,b" }, []string{"database-url", "key-file", "nats-url"}},
		"edge":                 {func(c *Config) { c.Target = "edge" }, []string{"nats-url", "key-file"}},
		"core":                 {func(c *Config) { c.Target = "core" }, []string{"nats-url"}},
		"limits": {func(c *Config) { c.MaxConnections, c.RegistrationsPerMinute, c.DrainTimeout = -1, -1, time.Hour },
			[]string{"max-connections", "registrations-per-minute", "drain-timeout"}},
		"names": {func(c *Config) {
			c.NodeName, c.PublicURL, c.TrustedProxies, c.DataDir = "a b", "ftp://x", []string{"10.0.0.1"}, ""
		},
			[]string{"data-dir", "node-name", "public-url", "trusted-proxies"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := Default()
			if err != nil {
				t.Fatal(err)
			}
			c.set(&cfg)
			var got []string
			if joined, ok := cfg.Validate().(interface{ Unwrap() []error }); ok {
				for _, e := range joined.Unwrap() {
					var fe FieldError
					if !errors.As(e, &fe) {
						t.Fatalf("not a FieldError: %v", e)
					}
					got = append(got, fe.Field)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("fields %v, want %v", got, c.want)
			}
		})
	}
}

func TestSampleIsCommitted(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "borealis.sample.yaml")
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != string(Sample()) {
		t.Errorf("%s is not what the options say: make gen", path)
	}
}

// The sample with every option uncommented is the defaults.
func TestSampleSaysTheDefaults(t *testing.T) {
	want, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	option := regexp.MustCompile(`(?m)^#([a-z-]+: )`)
	text := option.ReplaceAllString(string(Sample()), "$1")
	file := writeFile(t, text)
	got, err := parse(t, "serve", "--config", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	got.File = ""
	if len(got.TrustedProxies) == 0 {
		got.TrustedProxies = nil
	}
	if len(got.WebPushAllow) == 0 {
		got.WebPushAllow = nil
	}
	if len(got.CallbackAllow) == 0 {
		got.CallbackAllow = nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if n := len(option.FindAllString(string(Sample()), -1)); n != len(options()) {
		t.Errorf("%d options in the sample, %d exist", n, len(options()))
	}
}

func TestEveryOptionIsDescribed(t *testing.T) {
	for f := range reflect.TypeFor[Config]().Fields() {
		help := f.Tag.Get("help")
		if f.Tag.Get("name") == "" || f.Tag.Get("group") == "" || !strings.HasSuffix(help, ".") {
			t.Errorf("%s needs a name, a group and a help that is a sentence", f.Name)
		}
	}
}

func TestYAMLReadsBack(t *testing.T) {
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	c.DataDir, c.NodeName, c.TrustedProxies = `C:\a "b" # c`, "null", []string{"::/0", "10.0.0.0/8"}
	c.CallbackAllow, c.WebPushAllow = []string{"192.168.0.0/16"}, []string{"fd00::/8"}
	c.PublicURL, c.NATSURL = "https://x.example/a: b", "nats://h:1"
	got, err := parse(t, "serve", "--config", writeFile(t, string(c.YAML())))
	if err != nil {
		t.Fatalf("%v\n%s", err, c.YAML())
	}
	got.File = ""
	if !reflect.DeepEqual(got, c) {
		t.Errorf("got  %+v\nwant %+v", got, c)
	}
}

func TestURLNeverPrintsPasswords(t *testing.T) {
	urls := map[URL]string{
		"":                                "",
		"postgres://u:hunter2@h/d?x=1":    "postgres://u:xxxxx@h/d?x=1",
		"postgres://h/d?password=hunter2": "postgres://h/d?password=xxxxx",
		"nats://hunter2@h:4222,nats://u:hunter2@i:1": "nats://xxxxx@h:4222,nats://u:xxxxx@i:1",
		"host=h password=hunter2":                    "xxxxx",
		"postgres://u:hun%ter2@h/d":                  "xxxxx@h/d",
		"nats://a:1,nats://b:2":                      "nats://a:1,nats://b:2",
	}
	for u, want := range urls {
		if got := u.String(); got != want {
			t.Errorf("%q prints as %q", string(u), got)
		}
		c := Config{DatabaseURL: u}
		js, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "url", u, "cfg", c)
		all := fmt.Sprintf("%v %+v %#v %s %s %s %s", c, c, c, u, js, log.String(), c.YAML())
		if strings.Contains(all, "hunter2") || strings.Contains(all, "hun%ter2") {
			t.Errorf("printed: %s", all)
		}
	}
}

func TestLocalHTTP(t *testing.T) {
	c := Config{}
	for addr, want := range map[fakeAddr]string{"[::]:80": "http://127.0.0.1:80", "10.0.0.1:8": "http://10.0.0.1:8", "0.0.0.0:1": "http://127.0.0.1:1"} {
		if got := c.LocalHTTP(addr); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
}

type fakeAddr string

func (fakeAddr) Network() string  { return "tcp" }
func (a fakeAddr) String() string { return string(a) }

func FuzzParseFile(f *testing.F) {
	f.Add([]byte("mode: private\nmax-connections: 3\ntrusted-proxies: [a, b]\n"))
	f.Add([]byte("mode: |\n  x\n---\nnode-name: \"\\u0041\"\n"))
	f.Add(Sample())
	known := map[string]bool{}
	for _, o := range options() {
		known[o.name] = true
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := parseFile(data)
		if err != nil && values != nil {
			t.Error("values beside an error")
		}
		for key := range values {
			if !known[key] {
				t.Errorf("unknown key %q", key)
			}
		}
	})
}
