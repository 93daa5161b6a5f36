package borealis

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

func FuzzPackets(f *testing.F) {
	f.Add(connectPacket("id", "user", "password", 60))
	f.Add(publishPacket("push", 7, []byte(`{"id":"1","type":"notification"}`)))
	f.Add([]byte{0x20, 9, 0, 0, 6, 0x13, 0, 60, 0x1c, 0, 0})
	f.Add([]byte{0xe0, 2, 0x9c, 0})
	f.Add([]byte{0x40, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bufio.NewReader(bytes.NewReader(data))
		for {
			p, err := readPacket(in)
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errMalformed) {
					t.Fatal(err)
				}
				return
			}
			if m, err := p.published(); err == nil {
				_, _ = parseMessage(m.payload)
			}
			if _, err := p.answer(); err != nil && !errors.Is(err, errMalformed) {
				t.Fatal(err)
			}
		}
	})
}

func TestPublishIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), 20_000)
	p, err := readPacket(bufio.NewReader(bytes.NewReader(publishPacket("push", 700, long))))
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.published()
	if err != nil || m.topic != "push" || m.id != 700 || !bytes.Equal(m.payload, long) {
		t.Errorf("%q %d, %d bytes, %v", m.topic, m.id, len(m.payload), err)
	}
}

func TestPropertiesThatADeviceLooksAt(t *testing.T) {
	t.Parallel()
	props := []byte{0x21, 0, 16, 0x24, 1, 0x27, 0, 1, 0, 0, 0x13, 0, 240, 0x26, 0, 1, 'k', 0, 1, 'v', 0x1f, 0, 2, 'n', 'o', 0x1c, 0, 3, 'a', ':', '1'}
	a, err := packet{kind: typeConnack, body: append([]byte{0, 0x9c, byte(len(props))}, props...)}.answer()
	if err != nil || a.code != 0x9c || a.keepAlive != 240 || a.user["k"] != "v" || a.reason != "no" || a.reference != "a:1" {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := (packet{kind: typeConnack, body: []byte{0, 0, 2, 0x77, 0}}).answer(); err == nil {
		t.Error("an unknown property is taken")
	}
}

func TestSilenceHours(t *testing.T) {
	t.Parallel()
	at := func(v string) time.Time {
		when, err := time.Parse("15:04", v)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct {
		from, to, now string
		want          bool
	}{
		{"22:00", "08:00", "21:59", false}, {"22:00", "08:00", "22:00", true}, {"22:00", "08:00", "00:00", true},
		{"22:00", "08:00", "07:59", true}, {"22:00", "08:00", "08:00", false}, {"12:00", "13:00", "12:30", true},
		{"12:00", "13:00", "13:00", false}, {"00:00", "00:00", "15:00", true},
	} {
		if got := (&Silence{c.from, c.to}).covers(at(c.now)); got != c.want {
			t.Errorf("%s to %s at %s: %v", c.from, c.to, c.now, got)
		}
	}
	for _, bad := range []string{"", "8:00", "24:00", "12:60", "noon", "12:00:00"} {
		if (&Silence{bad, "08:00"}).check() == nil {
			t.Errorf("%q is taken for a time of day", bad)
		}
	}
}
