package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FieldError is one problem of a configuration.
type FieldError struct {
	// Field is the name of the option, e.g. "key-file".
	Field string
	// Problem says what is wrong and what would be right.
	Problem string
}

// Error makes FieldError an error.
func (e FieldError) Error() string { return e.Field + ": " + e.Problem }

// validation gathers problems.
type validation struct{ errs []error }

func (v *validation) addf(field, format string, args ...any) {
	v.errs = append(v.errs, FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// Validate reports everything that is wrong with c, joined: each part is a FieldError. It opens nothing. A
// kong parser calls it for the command it parsed.
func (c *Config) Validate() error {
	v := &validation{}
	if c.DataDir == "" && c.Target != TargetEdge {
		v.addf("data-dir", "must not be empty")
	}
	v.oneOf("mode", c.Mode, ModePrivate, ModePlatform)
	v.oneOf("target", c.Target, TargetAll, TargetCore, TargetEdge)
	v.oneOf("log-level", c.LogLevel, "debug", "info", "warn", "error")
	v.oneOf("log-format", c.LogFormat, "auto", "json", "text")
	v.nodeName(c.NodeName)
	v.listeners(c)
	v.stores(c)
	v.limits(c)
	return errors.Join(v.errs...)
}

func (v *validation) oneOf(field, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		v.addf(field, "%q is not one of: %s", value, strings.Join(allowed, ", "))
	}
}

// nodeNames are usable in bus subjects and lease rows.
func (v *validation) nodeName(name string) {
	if name != "" && !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`).MatchString(name) {
		v.addf("node-name", "%q must be 1 to 64 letters, digits, dots, dashes or underscores", name)
	}
}

func (v *validation) listeners(c *Config) {
	used := map[string]string{}
	check := func(field, addr string, required bool) {
		if addr == "" {
			if required {
				v.addf(field, "must not be empty")
			}
			return
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			v.addf(field, "%q is not an address such as :8080 or 127.0.0.1:8080", addr)
			return
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			v.addf(field, "%q: the port must be a number from 0 to 65535", addr)
			return
		}
		if strings.ContainsAny(host, " /") {
			v.addf(field, "%q: the host is neither an IP address nor a name", addr)
		}
		if port == "0" {
			return // any free port: never the same one twice
		}
		if other, taken := used[addr]; taken {
			v.addf(field, "%q is the address of %s too", addr, other)
		}
		used[addr] = field
	}
	check("http-addr", c.HTTPAddr, true)
	check("mqtt-addr", c.MQTTAddr, false)
	if c.TLS() {
		check("mqtts-addr", c.MQTTSAddr, false)
	}
	check("internal-addr", c.InternalAddr, false)
	if (c.TLSCert == "") != (c.TLSKey == "") {
		missing, given := "tls-key", "tls-cert"
		if c.TLSCert == "" {
			missing, given = given, missing
		}
		v.addf(missing, "is required with %s", given)
	}
	v.baseURL("public-url", c.PublicURL)
	v.baseURL("vendor-url", c.VendorURL)
	v.networks("trusted-proxies", c.TrustedProxies)
	v.networks("callback-allow", c.CallbackAllow)
	v.networks("webpush-allow", c.WebPushAllow)
}

func (v *validation) baseURL(name, text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" {
		v.addf(name, "%q is not a base URL such as https://push.example.com", text)
	}
}

func (v *validation) networks(name string, networks []string) {
	for _, p := range networks {
		if _, err := netip.ParsePrefix(p); err != nil {
			v.addf(name, "%q is not a network such as 10.0.0.0/8", p)
		}
	}
}

func (v *validation) stores(c *Config) {
	if c.DatabaseURL != "" {
		if u, err := url.Parse(string(c.DatabaseURL)); err != nil || u.Host == "" ||
			(u.Scheme != "postgres" && u.Scheme != "postgresql") {
			v.addf("database-url", "is not a URL such as postgres://user:password@host/database")
		}
		if c.KeyFile == "" {
			v.addf("key-file", "is required with database-url: every node needs the same keys")
		}
	}
	if c.NATSURL != "" {
		for part := range strings.SplitSeq(string(c.NATSURL), ",") {
			u, err := url.Parse(strings.TrimSpace(part))
			if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
				v.addf("nats-url", "%q is not a URL such as nats://host:4222", URL(part).String())
			}
		}
	}
	if c.Target == TargetEdge {
		if c.NATSURL == "" {
			v.addf("nats-url", "is required with target edge, which has no other way to the core nodes")
		}
		if c.KeyFile == "" {
			v.addf("key-file", "is required with target edge, which checks device secrets itself")
		}
	}
	if c.Target == TargetCore && c.NATSURL == "" {
		v.addf("nats-url", "is required with target core, whose edges run elsewhere")
	}
}

// maxDrain bounds drain-timeout: service managers kill a process that takes longer.
const maxDrain = 10 * time.Minute

func (v *validation) limits(c *Config) {
	if c.MaxConnections < 0 {
		v.addf("max-connections", "must not be negative")
	}
	if c.RegistrationsPerMinute < 0 {
		v.addf("registrations-per-minute", "must not be negative")
	}
	if c.DrainTimeout < 0 || c.DrainTimeout > maxDrain {
		v.addf("drain-timeout", "%s is not between 0s and %s", c.DrainTimeout, maxDrain)
	}
}
