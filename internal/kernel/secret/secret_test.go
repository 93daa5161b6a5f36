package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

// fixed returns keys that are the same in every run: the id key is all 1, master key n all n+1.
func fixed(masters int) *Keys {
	k := &Keys{}
	copy(k.id[:], bytes.Repeat([]byte{1}, KeySize))
	for i := range masters {
		m := masterKey{version: uint32(i + 1)}
		copy(m.key[:], bytes.Repeat([]byte{byte(i + 2)}, KeySize))
		k.masters = append(k.masters, m)
	}
	return k
}

func TestSealOpens(t *testing.T) {
	t.Parallel()
	k := Generate()
	for _, plain := range []string{"", "x", strings.Repeat("长", 10000)} {
		sealed, err := k.Seal([]byte(plain), []byte("a"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Open(sealed, []byte("a"))
		if err != nil || string(got) != plain {
			t.Errorf("opened %q, %v", got, err)
		}
		if _, err := k.Open(sealed, []byte("b")); !errors.Is(err, ErrSealed) {
			t.Errorf("with other additional data: %v", err)
		}
		again, err := k.Seal([]byte(plain), []byte("a"))
		if err != nil || again == sealed {
			t.Errorf("sealed twice alike, %v", err)
		}
	}
}

func TestEveryChangedCharacterIsRefused(t *testing.T) {
	t.Parallel()
	k := fixed(12)
	sealed, err := k.Seal([]byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		for _, c := range []byte("A1._\n") {
			if sealed[i] == c {
				continue
			}
			changed := sealed[:i] + string(c) + sealed[i+1:]
			if _, err := k.Open(changed, nil); err == nil {
				t.Errorf("opened %q, made from %q", changed, sealed)
			}
		}
		if _, err := k.Open(sealed[:i], nil); err == nil {
			t.Errorf("opened the first %d characters", i)
		}
	}
	for _, spelling := range []string{sealed + "=", sealed + "\n", strings.Replace(sealed, "s1.12", "s1.012", 1), strings.Replace(sealed, "s1.12", "s1.+12", 1)} {
		if _, err := k.Open(spelling, nil); err == nil {
			t.Errorf("opened %q", spelling)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	k1 := Generate()
	old, err := k1.Seal([]byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	k2, err := k1.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k2.Open(old, nil); err != nil || string(got) != "x" {
		t.Errorf("old value with new keys: %q, %v", got, err)
	}
	recent, err := k2.Seal([]byte("x"), nil)
	if err != nil || !strings.HasPrefix(recent, "s1.2.") {
		t.Errorf("sealed %q, %v", recent, err)
	}
	if _, err := k1.Open(recent, nil); !errors.Is(err, ErrNoMasterKey) {
		t.Errorf("new value with old keys: %v", err)
	}
	if !k2.Stale(old) || k2.Stale(recent) || k1.Stale(old) {
		t.Error("stale is what was sealed with an older master key")
	}
	if k1.Blind("p", "v") != k2.Blind("p", "v") || !bytes.Equal(k1.Derive("p"), k2.Derive("p")) {
		t.Error("rotation changed what hangs on the id key")
	}
}

func TestRotationIsBounded(t *testing.T) {
	t.Parallel()
	if _, err := fixed(maxMasters).Rotate(); err == nil {
		t.Error("one more than a key file takes")
	}
}

// sealedBefore is "secret" for additional data "aad", sealed with fixed(1).
const sealedBefore = "s1.1.YqKoGbDvabs9P1Fl7n6oLwEuiY1erGIVe2MeBj2BAL_DZc316OhywwYfvs5QGKazneQ"

// These values are in databases: they must never change.
func TestDerivationsAreStable(t *testing.T) {
	t.Parallel()
	k := fixed(1)
	if got := fmt.Sprintf("%x", k.Derive("rid/v1")); got != "29af353daab852bcc42b192fd23a68a4cd10459850925ab8b140a3fa58d6428d" {
		t.Errorf("Derive %s", got)
	}
	if got := k.Blind("phone", "13800000000"); got != "HmoSphKZADURUeW-djPxQM0gHK0mbm6p" {
		t.Errorf("Blind %s", got)
	}
	if got := k.Fingerprint(); got != "id:34470e4a71840ce3b0ed9401b7b9ec90,1:12d64f65e3f018586be6cfd83b269470" {
		t.Errorf("Fingerprint %s", got)
	}
	if got, err := k.Open(sealedBefore, []byte("aad")); err != nil || string(got) != "secret" {
		t.Errorf("Open %q, %v", got, err)
	}
}

func TestPurposesDiffer(t *testing.T) {
	t.Parallel()
	k := fixed(1)
	if k.Blind("a", "v") == k.Blind("b", "v") || k.Blind("a", "v") == k.Blind("a", "w") {
		t.Error("blind indexes collide")
	}
	if bytes.Equal(k.Derive("a"), k.Derive("b")) || len(k.Derive("a")) != KeySize {
		t.Error("subkeys collide")
	}
}

func TestFingerprintCheck(t *testing.T) {
	t.Parallel()
	k1 := fixed(1)
	k2 := fixed(2)
	if err := k1.Check(k1.Fingerprint()); err != nil {
		t.Errorf("own: %v", err)
	}
	if err := k2.Check(k1.Fingerprint()); err != nil {
		t.Errorf("rotated keys on an older fingerprint: %v", err)
	}
	for stored, want := range map[string]string{
		k2.Fingerprint():         `master key "2" is missing`,
		Generate().Fingerprint(): "the id key differs",
		"":                       "differs",
		"junk-junk-junk":         "not readable",
	} {
		if err := k1.Check(stored); !errors.Is(err, ErrOtherKeys) || !strings.Contains(err.Error(), want) {
			t.Errorf("stored %q: %v", stored, err)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	k := fixed(1)
	js, err := json.Marshal(k) //nolint:staticcheck // that it gives nothing is the point
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "keys", k)
	all := fmt.Sprintf("%v %+v %#v %s %s %s", k, k, k, k, js, log.Bytes())
	if regexp.MustCompile(`1 1 1|2 2 2|0x1, 0x1|AQEB|AgIC`).MatchString(all) {
		t.Errorf("printed %s", all)
	}
}

func FuzzOpen(f *testing.F) {
	k := fixed(2)
	f.Add(sealedBefore)
	f.Add("s1.1.AAAA")
	f.Add("s1.99.")
	f.Fuzz(func(t *testing.T, s string) {
		plain, err := k.Open(s, []byte("aad"))
		if err == nil && (s != sealedBefore || string(plain) != "secret") {
			t.Errorf("opened %q, which nobody sealed", s)
		}
		if err != nil && !errors.Is(err, ErrSealed) && !errors.Is(err, ErrNoMasterKey) {
			t.Errorf("error %v", err)
		}
		k.Stale(s)
	})
}

func FuzzParse(f *testing.F) {
	good, err := fixed(3).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"borealis-keys-1","id":"","masters":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := Parse(data)
		if err != nil {
			return
		}
		again, err := k.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		k2, err := Parse(again)
		if err != nil || k2.Fingerprint() != k.Fingerprint() {
			t.Errorf("does not survive writing: %v", err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k := Generate()
	plain := []byte("13800000000")
	for b.Loop() {
		if _, err := k.Seal(plain, nil); err != nil {
			b.Fatal(err)
		}
	}
}
