package gate_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/ratelimit"
)

func newGate() (*gate.Gate, *clock.Fake) {
	fake := clock.NewFake(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	return gate.New(ratelimit.NewWindows[gate.RateKey](fake, time.Minute, 100)), fake
}

func app(change func(*gate.App)) gate.App {
	a := gate.App{ID: 1, Key: "key", SecretHash: sha256.Sum256([]byte("secret")), State: gate.Enabled, Settings: gate.DefaultSettings(), Revision: 1}
	if change != nil {
		change(&a)
	}
	return a
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	g, _ := newGate()
	g.Publish(app(nil))
	for _, c := range []struct {
		key, secret string
		want        error
	}{{"key", "secret", nil}, {"key", "", gate.ErrWrongSecret}, {"key", "Secret", gate.ErrWrongSecret}, {"other", "secret", gate.ErrUnknownApp}} {
		if _, err := g.Authenticate(c.key, c.secret); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestOlderFactNeverReplacesNewer(t *testing.T) {
	t.Parallel()
	g, _ := newGate()
	g.Publish(app(func(a *gate.App) { a.Revision, a.Name = 3, "new" }))
	g.Publish(app(func(a *gate.App) { a.Revision, a.Name = 2, "old" }))
	if got := g.App("key").Name; got != "new" {
		t.Errorf("the app is %q", got)
	}
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddr("192.0.2.7")
	for name, c := range map[string]struct {
		change func(*gate.App)
		want   gate.Reason
	}{
		"enabled":                {nil, 0},
		"disabled":               {func(a *gate.App) { a.State = gate.Disabled }, gate.NotEnabled},
		"suspended":              {func(a *gate.App) { a.State = gate.Suspended }, gate.NotEnabled},
		"address allowed":        {func(a *gate.App) { must(t, a.Settings.Set("ip_allow", "10.0.0.0/8, 192.0.2.7")) }, 0},
		"network allowed":        {func(a *gate.App) { must(t, a.Settings.Set("ip_allow", "192.0.2.0/24")) }, 0},
		"address not allowed":    {func(a *gate.App) { must(t, a.Settings.Set("ip_allow", "10.0.0.0/8")) }, gate.AddressNotAllowed},
		"state is asked first":   {func(a *gate.App) { a.State = gate.Disabled; must(t, a.Settings.Set("ip_allow", "10.0.0.0/8")) }, gate.NotEnabled},
		"mapped address is IPv4": {func(a *gate.App) { must(t, a.Settings.Set("ip_allow", "::ffff:192.0.2.7")) }, 0},
	} {
		g, _ := newGate()
		g.Publish(app(c.change))
		_, err := g.Admit(gate.Call{App: g.App("key"), Family: gate.FamilyPush, From: from})
		var r *gate.RefusedError
		if c.want == 0 && err != nil || c.want != 0 && (!errors.As(err, &r) || r.Reason != c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRatesAreCountedByAppAndFamily(t *testing.T) {
	t.Parallel()
	g, fake := newGate()
	g.Publish(app(func(a *gate.App) { a.Settings.PushRate = 2 }))
	g.Publish(app(func(a *gate.App) { a.ID, a.Key, a.Settings.PushRate = 2, "other", 2 }))
	admit := func(key string, f gate.Family) error {
		_, err := g.Admit(gate.Call{App: g.App(key), Family: f})
		return err
	}
	for range 2 {
		must(t, admit("key", gate.FamilyPush))
	}
	var r *gate.RefusedError
	if err := admit("key", gate.FamilyPush); !errors.As(err, &r) || r.Reason != gate.TooManyCalls {
		t.Errorf("third call: %v", err)
	}
	must(t, admit("other", gate.FamilyPush))
	must(t, admit("key", gate.FamilyReport))
	fake.Advance(time.Minute)
	must(t, admit("key", gate.FamilyPush))
}

func TestSettingsKeepOnlyWhatWasChosen(t *testing.T) {
	t.Parallel()
	s := gate.DefaultSettings()
	for name, value := range map[string]string{"offline_messages": "0", "device_alias": "server", "strict_keys": "true", "ip_allow": "10.1.2.3/8,2001:db8::1"} {
		must(t, s.Set(name, value))
	}
	data, err := json.Marshal(s)
	must(t, err)
	for _, unchosen := range []string{"push_rate", "max_ttl"} {
		if strings.Contains(string(data), unchosen) {
			t.Errorf("%s is stored though nobody chose it: %s", unchosen, data)
		}
	}
	var back gate.Settings
	must(t, json.Unmarshal(data, &back))
	if again, err := json.Marshal(back); err != nil || string(again) != string(data) {
		t.Errorf("read back as %s, %v", again, err)
	}
	if back.IPAllow[0].String() != "10.0.0.0/8" || back.MaxTTL != 864000 {
		t.Errorf("read back %+v", back)
	}
	must(t, json.Unmarshal([]byte(`{"of_a_newer_version":"1"}`), &back))
}

func TestGroupsAndDevelopersHaveCredentialsOfTheirOwn(t *testing.T) {
	t.Parallel()
	g, _ := newGate()
	hash := sha256.Sum256([]byte("secret"))
	g.PublishGroup(gate.Group{ID: 1, Key: "group", SecretHash: hash, Apps: []int64{1, 2}, Revision: 2})
	g.PublishGroup(gate.Group{ID: 1, Key: "group", SecretHash: hash, Revision: 1}) // older
	g.PublishDeveloper(gate.Developer{ID: 1, Key: "developer", SecretHash: hash, Revision: 1})
	if group, err := g.AuthenticateGroup("group", "secret"); err != nil || len(group.Apps) != 2 || g.GroupByID(1) != group {
		t.Errorf("group %+v, %v", group, err)
	}
	if d, err := g.AuthenticateDeveloper("developer", "secret"); err != nil || d.ID != 1 || g.DeveloperByID(1) != d {
		t.Errorf("developer %+v, %v", d, err)
	}
	for name, c := range map[string]struct {
		err  func() error
		want error
	}{
		"a developer as a group":  {func() error { _, err := g.AuthenticateGroup("developer", "secret"); return err }, gate.ErrUnknownGroup},
		"a group as a developer":  {func() error { _, err := g.AuthenticateDeveloper("group", "secret"); return err }, gate.ErrUnknownDeveloper},
		"a group, wrong secret":   {func() error { _, err := g.AuthenticateGroup("group", "x"); return err }, gate.ErrWrongSecret},
		"a developer, no secret":  {func() error { _, err := g.AuthenticateDeveloper("developer", ""); return err }, gate.ErrWrongSecret},
		"a group, as an app even": {func() error { _, err := g.Authenticate("group", "secret"); return err }, gate.ErrUnknownApp},
	} {
		if err := c.err(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	g.WithdrawGroup(1, 3)
	g.PublishGroup(gate.Group{ID: 1, Key: "group", SecretHash: hash, Revision: 2}) // read before it was withdrawn
	if _, err := g.AuthenticateGroup("group", "secret"); !errors.Is(err, gate.ErrUnknownGroup) || g.GroupByID(1) != nil {
		t.Errorf("a withdrawn group: %v", err)
	}
}

func TestDeletedAppHasNoCredentials(t *testing.T) {
	t.Parallel()
	g, _ := newGate()
	app := gate.App{ID: 1, Key: "app", SecretHash: sha256.Sum256([]byte("secret")), State: gate.Enabled, Revision: 1}
	g.Publish(app)
	gone := app
	gone.State, gone.Revision = gate.Deleted, 2
	g.Publish(gone)
	g.Publish(app) // read before it was deleted
	if _, err := g.Authenticate("app", "secret"); !errors.Is(err, gate.ErrUnknownApp) || g.App("app") != nil {
		t.Errorf("a deleted app: %v", err)
	}
	for a := range g.Apps {
		t.Errorf("listed: %+v", a)
	}
	if known := g.AppByID(1); known == nil || known.State != gate.Deleted {
		t.Errorf("by number: %+v", known)
	}
}

func TestTextSettings(t *testing.T) {
	t.Parallel()
	s := gate.DefaultSettings()
	for name, values := range map[string]map[string]bool{
		"zone":         {"Europe/Berlin": true, "UTC": true, "": false, "Local": false, "Moon/Base": false, strings.Repeat("x", 65): false},
		"callback_url": {"https://a.example/x": true, "http://10.0.0.1:8080": true, "": true, "ftp://a.example": false, "https://": false, "https://u:p@a.example": false, "here": false},
	} {
		for value, ok := range values {
			if err := s.Set(name, value); (err == nil) != ok {
				t.Errorf("%s=%q: %v", name, value, err)
			}
		}
	}
}
