// Package config defines the options of a Borealis server, once.
//
// Config is the only definition: its struct tags carry name, default, group and help. The command line flags, the
// environment variables (BOREALIS_ and the upper snake case of the flag), the YAML file (--config, keys named as the
// flags), the sample file and the printed configuration are all made from it. Precedence: flag, environment, file,
// default.
//
// Invariants: an unknown key in a file is an error that names the file, the line and the key; Validate reports every
// problem at once; a password within a URL is never printed.
package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Values of Config.Mode.
const (
	// ModePrivate serves one organisation: no identity review, no agreement demanded.
	ModePrivate = "private"
	// ModePlatform serves many tenants: everything the service agreement asks is enforced.
	ModePlatform = "platform"
)

// Values of Config.Target.
const (
	TargetAll  = "all"
	TargetCore = "core"
	TargetEdge = "edge"
)

// Config is what `borealis serve` can be told. It is embedded in the command's struct for kong. The zero value is not
// useful: use Default, or parse with the options of Options.
type Config struct {
	File string `group:"Files" help:"YAML file with these options; flags and environment variables win over it." name:"config" placeholder:"FILE" yaml:"-"`

	DataDir  string `default:"./data"  group:"Node" help:"Directory of everything the node keeps: database, keys, files, admin socket." name:"data-dir" placeholder:"DIR"`
	Mode     string `default:"private" group:"Node" help:"private: one organisation, nothing demanded. platform: many tenants; reserved, it differs in nothing yet. One of: private, platform." name:"mode" placeholder:"MODE"`
	Target   string `default:"all" group:"Node" help:"Which parts this node runs: all, core (APIs, planning, database) or edge (device connections, no database). One of: all, core, edge." name:"target" placeholder:"PART"`
	NodeName string `group:"Node" help:"Name of this node in logs, leases and the bus, unique in the cluster. Empty: the host name." name:"node-name" placeholder:"NAME"`
	KeyFile  string `group:"Node" help:"File with the id key and the master keys, the same on every node, mode 0600. Required with database-url. Empty: keys.json in data-dir, created on the first start." name:"key-file" placeholder:"FILE"`

	HTTPAddr       string   `default:":8080" group:"Listeners" help:"Address of the REST APIs, the device API, WebSocket and the console." name:"http-addr" placeholder:"ADDR"`
	MQTTAddr       string   `default:":1883" group:"Listeners" help:"Address for devices over plain MQTT. Empty: not served." name:"mqtt-addr" placeholder:"ADDR"`
	MQTTSAddr      string   `default:":8883" group:"Listeners" help:"Address for devices over MQTT with TLS, served when tls-cert is set. Empty: not served." name:"mqtts-addr" placeholder:"ADDR"`
	InternalAddr   string   `default:"127.0.0.1:9090" group:"Listeners" help:"Address of metrics, health and profiles; keep it private. Empty: not served." name:"internal-addr" placeholder:"ADDR"`
	PublicURL      string   `group:"Listeners" help:"Base URL under which devices and callers reach this server, told to devices when they register. Empty: taken from the request." name:"public-url" placeholder:"URL"`
	TLSCert        string   `group:"Listeners" help:"PEM file with the certificate chain. With it http-addr speaks HTTPS and mqtts-addr is served. Read again when it changes." name:"tls-cert" placeholder:"FILE"`
	TLSKey         string   `group:"Listeners" help:"PEM file with the private key of tls-cert." name:"tls-key" placeholder:"FILE"`
	TrustedProxies []string `group:"Listeners" help:"Networks (CIDR) of reverse proxies whose X-Forwarded-For is believed." name:"trusted-proxies" placeholder:"CIDR"`
	VendorURL      string   `group:"Listeners" help:"Base URL of a simulator of the vendors of push channels (borealis sim), for development. Empty: the vendors themselves." name:"vendor-url" placeholder:"URL"`
	SMSGateway     string   `group:"Listeners" help:"File with the description of a gateway for short messages, as docs/channels/sms.md has it. Empty: apps can use the named providers only." name:"sms-gateway" placeholder:"FILE"`
	CallbackAllow  []string `group:"Listeners" help:"Private networks (CIDR) to which receipts of pushes may be sent all the same; by default only public addresses are called." name:"callback-allow" placeholder:"CIDR"`
	WebPushAllow   []string `group:"Listeners" help:"Private networks (CIDR) where the push services of browsers may be, also without TLS. Any device names such a service, so anybody can make the server call what is in them." name:"webpush-allow" placeholder:"CIDR"`

	DatabaseURL URL `group:"Stores" help:"PostgreSQL to use instead of SQLite in data-dir: postgres://user:password@host/database." name:"database-url" placeholder:"URL"`
	NATSURL     URL `group:"Stores" help:"NATS to use instead of the embedded one: nats://host:4222, several separated by commas. Its max_payload must be 8MB." name:"nats-url" placeholder:"URL"`

	MaxConnections         int           `default:"100000" group:"Limits" help:"Most device connections this node holds; 0 means as many as there are file descriptors." name:"max-connections" placeholder:"N"`
	RegistrationsPerMinute int           `default:"600" group:"Limits" help:"Most device registrations per minute from one IP address (or IPv6 /64); 0 means no limit." name:"registrations-per-minute" placeholder:"N"`
	DrainTimeout           time.Duration `default:"30s" group:"Limits" help:"How long a stopping server finishes what it has begun." name:"drain-timeout" placeholder:"TIME"`

	LogLevel  string `default:"info" group:"Logs" help:"One of: debug, info, warn, error." name:"log-level" placeholder:"LEVEL"`
	LogFormat string `default:"auto" group:"Logs" help:"json, text, or auto: text on a terminal, JSON elsewhere. One of: auto, json, text." name:"log-format" placeholder:"FORMAT"`
}

// Default is the configuration of a server that was told nothing. It looks at neither environment nor files.
func Default() (Config, error) {
	var c Config
	if err := kong.ApplyDefaults(&c); err != nil {
		return Config{}, fmt.Errorf("config defaults: %w", err)
	}
	return c, nil
}

// Embedded reports whether the database is SQLite in the data directory.
func (c *Config) Embedded() bool { return c.DatabaseURL == "" }

// TLS reports whether a certificate is configured.
func (c *Config) TLS() bool { return c.TLSCert != "" }

// RunsCore reports whether this node opens the database and serves the APIs.
func (c *Config) RunsCore() bool { return c.Target == TargetAll || c.Target == TargetCore }

// RunsEdge reports whether this node holds device connections.
func (c *Config) RunsEdge() bool { return c.Target == TargetAll || c.Target == TargetEdge }

// Keys is the path of the key file.
func (c *Config) Keys() string {
	if c.KeyFile != "" {
		return c.KeyFile
	}
	return filepath.Join(c.DataDir, "keys.json")
}

// Node is the name of this node: node-name, or the host name.
func (c *Config) Node() (string, error) {
	if c.NodeName != "" {
		return c.NodeName, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("host name (set node-name instead): %w", err)
	}
	return name, nil
}

// EnvName is the environment variable of a flag: BOREALIS_DATA_DIR for data-dir.
func EnvName(flag string) string {
	return envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

const envPrefix = "BOREALIS"

// LocalHTTP is the URL at which a program on this machine reaches the HTTP listener bound to addr.
func (c *Config) LocalHTTP(addr net.Addr) string {
	scheme := "http"
	if c.TLS() {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return scheme + "://" + addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
