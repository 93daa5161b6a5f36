package audience

import (
	"fmt"
	"math/bits"
	"strings"
)

// Platform a device runs on.
type Platform uint8

// Platforms. The numbers are stored; never reuse one. Web, Desktop and IoT are ours, the others the vendor's.
const (
	Android Platform = iota + 1
	IOS
	QuickApp
	HMOS
	WinPhone
	Web
	Desktop
	IoT
	PlatformEnd // one more than the last
)

var platformNames = [PlatformEnd]string{"", "android", "ios", "quickapp", "hmos", "winphone", "web", "desktop", "iot"}

// String is the name on the wire, e.g. "android".
func (p Platform) String() string {
	if p == 0 || p >= PlatformEnd {
		return fmt.Sprintf("platform(%d)", uint8(p))
	}
	return platformNames[p]
}

// ParsePlatform reads a name on the wire.
func ParsePlatform(name string) (Platform, bool) {
	for p := Android; p < PlatformEnd; p++ {
		if platformNames[p] == name {
			return p, true
		}
	}
	return 0, false
}

// PlatformSet is a set of platforms, one bit each.
type PlatformSet uint16

// AllPlatforms contains every platform.
const AllPlatforms PlatformSet = 1<<PlatformEnd - 2

// With adds a platform.
func (s PlatformSet) With(p Platform) PlatformSet { return (s | 1<<p) & AllPlatforms }

// Has tells whether the set contains p.
func (s PlatformSet) Has(p Platform) bool { return s&(1<<p) != 0 }

// Len is the number of platforms in the set.
func (s PlatformSet) Len() int { return bits.OnesCount16(uint16(s & AllPlatforms)) }

// Each yields the platforms in order.
func (s PlatformSet) Each(yield func(Platform) bool) {
	for rest := uint16(s & AllPlatforms); rest != 0; rest &= rest - 1 {
		if !yield(Platform(bits.TrailingZeros16(rest))) {
			return
		}
	}
}

// String lists the names, separated by commas, or is "all".
func (s PlatformSet) String() string {
	if s == AllPlatforms {
		return "all"
	}
	var names []string
	for p := range s.Each {
		names = append(names, p.String())
	}
	return strings.Join(names, ",")
}

// ParsePlatforms reads a comma-separated list as the vendor's query strings carry it; "" and "all" are all platforms.
func ParsePlatforms(list string) (PlatformSet, error) {
	if list == "" || list == "all" {
		return AllPlatforms, nil
	}
	var s PlatformSet
	for name := range strings.SplitSeq(list, ",") {
		p, ok := ParsePlatform(strings.TrimSpace(name))
		if !ok {
			return 0, fmt.Errorf("unknown platform %q", name)
		}
		s = s.With(p)
	}
	return s, nil
}
