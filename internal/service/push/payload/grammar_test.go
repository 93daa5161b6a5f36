package payload

import (
	"slices"
	"strings"
	"testing"

	"borealis/internal/engine/audience"
)

func TestCID(t *testing.T) {
	t.Parallel()
	const key = "5f3c0a9d2b7e41c6a8d0e1f2"
	if cid := NewCID(key, "0b6c1f8e-52f4-4f0a-9b3f-6a7d0c9e1a11"); !ValidCID(key, cid) || ValidCID("6"+key[1:], cid) {
		t.Errorf("%q", cid)
	}
	for cid, ok := range map[string]bool{
		key + "-x": true, key + "-": false, key: false, "": false, key + "x": false, "-" + key: false, key + "-a b": false,
		key + "-\n": false, key + "-汉": false, key + "-" + strings.Repeat("x", MaxCIDBytes-25): true,
		key + "-" + strings.Repeat("x", MaxCIDBytes-24): false,
	} {
		if ValidCID(key, cid) != ok {
			t.Errorf("%q: want %v", cid, ok)
		}
	}
}

func TestPlatforms(t *testing.T) {
	t.Parallel()
	if got := slices.Collect(All.Each); len(got) != 8 || All.Len() != len(got) {
		t.Errorf("all is %v", got)
	}
	for p := range All.Each {
		again, ok := audience.ParsePlatform(p.String())
		if !ok || again != p || !All.Has(p) {
			t.Errorf("%d %s", p, p)
		}
	}
	if _, ok := audience.ParsePlatform("Android"); ok {
		t.Error("names are lower case")
	}
	s := PlatformSet(0).With(IOS).With(IoT).With(15)
	if s.Has(Android) || !s.Has(IOS) || s.Has(15) || s.String() != "ios,iot" || All.String() != "all" || Platform(200).String() != "platform(200)" {
		t.Errorf("%s", s)
	}
	for p := range s.Each {
		if p != IOS {
			t.Errorf("%s after the loop has ended", p)
		}
		break
	}
}
