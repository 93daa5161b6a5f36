package config

import (
	"log/slog"
	"net/url"
	"strings"
)

// URL is an address that may contain a password. It prints with the password masked, however it is printed; convert
// it to string to use it.
type URL string

const mask = "xxxxx"

// secretParams are the query parameters of PostgreSQL and NATS URLs that carry secrets.
func secretParams() []string { return []string{"password", "sslpassword", "token", "pass"} }

// String is the URL (or the comma separated URLs) with every password replaced by xxxxx.
func (u URL) String() string {
	parts := strings.Split(string(u), ",")
	for i, p := range parts {
		parts[i] = maskOne(p)
	}
	return strings.Join(parts, ",")
}

// GoString masks under %#v.
func (u URL) GoString() string { return u.String() }

// MarshalText masks in JSON and YAML.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue masks in logs.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

func maskOne(s string) string {
	if s == "" {
		return ""
	}
	p, err := url.Parse(s)
	if err != nil || p.Host == "" {
		// Not understood, so nothing in it is known to be harmless: what stands before the last @ goes, and all of it
		// if there is none.
		if i := strings.LastIndexByte(s, '@'); i >= 0 {
			return mask + s[i:]
		}
		return mask
	}
	if p.User != nil {
		if _, has := p.User.Password(); has {
			p.User = url.UserPassword(p.User.Username(), mask)
		} else if p.Scheme == "nats" || p.Scheme == "tls" {
			// NATS takes a user without a password for a token.
			p.User = url.User(mask)
		}
	}
	if p.RawQuery != "" {
		q := p.Query()
		for _, name := range secretParams() {
			if q.Has(name) {
				q.Set(name, mask)
			}
		}
		p.RawQuery = q.Encode()
	}
	return p.String()
}
