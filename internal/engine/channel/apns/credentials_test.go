package apns_test

import (
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/wire"
)

func TestCredentialsThatAreTaken(t *testing.T) {
	t.Parallel()
	v := apns.New(wire.Deps{Clock: fake()})
	_, sandboxKey := newKey(t, elliptic.P256())
	certificate, nameless := newCertificate(t, bundle, now.Add(time.Hour)), newCertificate(t, "", now.Add(time.Hour))
	for name, fields := range map[string]map[string]any{
		"a key":                          credentials(t),
		"a key, other fields null":       join(credentials(t), "certificate", nil, "sandbox_key_id", nil),
		"a key for each environment":     join(credentials(t), "sandbox_key_id", "KEY7654321", "sandbox_private_key", sandboxKey),
		"a certificate that names it":    {"certificate": certificate},
		"a certificate and the same id":  {"certificate": certificate, "bundle_id": bundle},
		"a certificate without a name":   {"certificate": nameless, "bundle_id": bundle},
		"certificates of both":           {"certificate": certificate, "sandbox_certificate": newCertificate(t, bundle, now.Add(time.Hour))},
		"an expired one, to be replaced": {"certificate": newCertificate(t, bundle, now.Add(-time.Hour))},
		"a key and a certificate":        join(credentials(t), "sandbox_certificate", certificate),
	} {
		if c := parse(t, v, fields); c.ID() != bundle {
			t.Errorf("%s: id %q", name, c.ID())
		}
	}
}

func TestCredentialsThatAreRefused(t *testing.T) {
	t.Parallel()
	v := apns.New(wire.Deps{Clock: fake()})
	_, other := newKey(t, elliptic.P384())
	certificate := newCertificate(t, bundle, now.Add(time.Hour))
	alone, _, _ := strings.Cut(certificate, "-----BEGIN PRIVATE")
	without := func(field string) map[string]any {
		fields := credentials(t)
		delete(fields, field)
		return fields
	}
	for name, c := range map[string]struct {
		given any
		field string
		says  string
	}{
		"nothing":                         {map[string]any{}, "private_key", "missing"},
		"a list":                          {[]int{}, "credentials", "object"},
		"null":                            {nil, "credentials", "object"},
		"an unknown field":                {join(credentials(t), "host", "x"), "host", "is not a field"},
		"a number":                        {join(credentials(t), "team_id", 5), "team_id", "JSON number"},
		"no team":                         {without("team_id"), "team_id", "missing"},
		"no key id":                       {without("key_id"), "key_id", "missing"},
		"no key":                          {without("private_key"), "private_key", "missing"},
		"no bundle id":                    {without("bundle_id"), "bundle_id", "missing"},
		"a short team":                    {join(credentials(t), "team_id", "TEAM12345"), "team_id", "10"},
		"a small key id":                  {join(credentials(t), "key_id", "key1234567"), "key_id", "10"},
		"a key that is none":              {join(credentials(t), "private_key", "secret"), "private_key", ".p8"},
		"a block that is no key":          {join(credentials(t), "private_key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "private_key", ".p8"},
		"a key on another curve":          {join(credentials(t), "private_key", other), "private_key", "P-256"},
		"a bundle id with a slash":        {join(credentials(t), "bundle_id", "com/example"), "bundle_id", "not a bundle id"},
		"a long bundle id":                {join(credentials(t), "bundle_id", strings.Repeat("a", 156)), "bundle_id", "155"},
		"a key and a certificate":         {join(credentials(t), "certificate", certificate), "certificate", "beside a key"},
		"a certificate that is none":      {map[string]any{"certificate": "x"}, "certificate", "PEM"},
		"a certificate without its key":   {map[string]any{"certificate": alone}, "certificate", "private key"},
		"a certificate of another app":    {map[string]any{"certificate": certificate, "bundle_id": "com.example.other"}, "bundle_id", "another one"},
		"a certificate without a name":    {map[string]any{"certificate": newCertificate(t, "", now.Add(time.Hour))}, "bundle_id", "missing"},
		"a sandbox key without its id":    {join(credentials(t), "sandbox_private_key", credentials(t)["private_key"]), "sandbox_key_id", "missing"},
		"a sandbox id without its key":    {join(credentials(t), "sandbox_key_id", "KEY1234567"), "sandbox_private_key", "missing"},
		"a sandbox certificate of others": {join(credentials(t), "sandbox_certificate", newCertificate(t, "com.example.other", now.Add(time.Hour))), "bundle_id", "another one"},
		"a sandbox alone":                 {map[string]any{"sandbox_certificate": certificate}, "private_key", "missing"},
		"too much":                        {join(credentials(t), "bundle_id", strings.Repeat("a", 70_000)), "credentials", "64 KB"},
	} {
		raw, err := json.Marshal(c.given)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Parse(raw)
		var field *wire.FieldError
		if got != nil || !errors.As(err, &field) || field.Field != c.field || !strings.Contains(field.Reason, c.says) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := v.Parse([]byte("{")); err == nil {
		t.Error("half an object was read")
	}
}

func FuzzParse(f *testing.F) {
	v := apns.New(wire.Deps{Clock: fake()})
	for _, fields := range []map[string]any{credentials(f), {"certificate": newCertificate(f, bundle, now)}} {
		raw, err := json.Marshal(fields)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := v.Parse(raw)
		var field *wire.FieldError
		if (c == nil) == (err == nil) || err != nil && !errors.As(err, &field) {
			t.Errorf("%v, %v", c, err)
		}
	})
}

// join is fields with more of them, a name and a value each.
func join(fields map[string]any, more ...any) map[string]any {
	out := maps.Clone(fields)
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}
