package deviceid_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"borealis/internal/engine/deviceid"
)

func codec(t testing.TB, fill byte) *deviceid.Codec {
	t.Helper()
	c, err := deviceid.New(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func refs() *rapid.Generator[deviceid.Ref] {
	return rapid.Custom(func(t *rapid.T) deviceid.Ref {
		return deviceid.Ref{Epoch: rapid.Uint8().Draw(t, "epoch"), Ordinal: rapid.Uint32().Draw(t, "ordinal")}
	})
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	c, other := codec(t, 1), codec(t, 2)
	form := regexp.MustCompile(`^[0-9a-f]{20}$`)
	rapid.Check(t, func(t *rapid.T) {
		app, ref := rapid.Int64().Draw(t, "app"), refs().Draw(t, "ref")
		id := c.ID(app, ref)
		if !form.MatchString(id) {
			t.Fatalf("id %q", id)
		}
		if got, err := c.Parse(app, id); err != nil || got != ref {
			t.Fatalf("parsed %+v, %v", got, err)
		}
		if _, err := c.Parse(app^1, id); err == nil {
			t.Fatal("another app's id was taken")
		}
		if _, err := other.Parse(app, id); err == nil {
			t.Fatal("another installation's id was taken")
		}
		if _, err := c.Parse(app, strings.ToUpper(id)); err == nil && strings.ToUpper(id) != id {
			t.Fatal("an id has two spellings")
		}
	})
}

// Changing any single digit of an id makes another one that is not valid.
func TestTampering(t *testing.T) {
	t.Parallel()
	c := codec(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		ref := refs().Draw(t, "ref")
		id := []byte(c.ID(7, ref))
		i := rapid.IntRange(0, len(id)-1).Draw(t, "position")
		was := id[i]
		id[i] = "0123456789abcdef"[rapid.IntRange(0, 15).Draw(t, "digit")]
		if _, err := c.Parse(7, string(id)); (err == nil) != (id[i] == was) {
			t.Fatalf("digit %d changed from %c to %c: %v", i, was, id[i], err)
		}
	})
}

func TestSecret(t *testing.T) {
	t.Parallel()
	c, other := codec(t, 1), codec(t, 2)
	rapid.Check(t, func(t *rapid.T) {
		app, ref, generation := rapid.Int64().Draw(t, "app"), refs().Draw(t, "ref"), rapid.Uint16().Draw(t, "generation")
		secret := c.Secret(app, ref, generation)
		if len(secret) != 24 {
			t.Fatalf("secret %q", secret)
		}
		if got, ok := c.CheckSecret(app, ref, secret); !ok || got != generation {
			t.Fatalf("generation %d, %v", got, ok)
		}
		neighbour := ref
		neighbour.Ordinal++
		if _, ok := c.CheckSecret(app, neighbour, secret); ok {
			t.Fatal("another device's secret was taken")
		}
		if _, ok := c.CheckSecret(app+1, ref, secret); ok {
			t.Fatal("another app's secret was taken")
		}
		if _, ok := other.CheckSecret(app, ref, secret); ok {
			t.Fatal("another installation's secret was taken")
		}
	})
}

func TestShortKeyIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := deviceid.New(make([]byte, 31)); err == nil {
		t.Error("a short key was taken")
	}
}

func FuzzParse(f *testing.F) {
	c := codec(f, 1)
	f.Add(c.ID(1, deviceid.Ref{Epoch: 1, Ordinal: 5}))
	f.Add("")
	f.Add("1507bfd3f7c466c355c")
	f.Add(strings.Repeat("g", 20))
	f.Fuzz(func(t *testing.T, id string) {
		ref, err := c.Parse(1, id)
		if err == nil && c.ID(1, ref) != id {
			t.Errorf("%q is read as %+v, whose id is %q", id, ref, c.ID(1, ref))
		}
		if _, ok := c.CheckSecret(1, ref, id); ok {
			t.Errorf("%q passes as a secret", id)
		}
	})
}

func BenchmarkParse1000(b *testing.B) {
	c := codec(b, 1)
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = c.ID(1, deviceid.Ref{Epoch: 1, Ordinal: uint32(i)})
	}
	for b.Loop() {
		for _, id := range ids {
			if _, err := c.Parse(1, id); err != nil {
				b.Fatal(err)
			}
		}
	}
}
