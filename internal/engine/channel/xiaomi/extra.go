package xiaomi

import (
	"fmt"
	"net/url"
)

// Limits of the fields that begin with "extra.": how many, and the bytes of their names and values together. Those of a live
// notification are counted on their own.
const (
	maxPairs     = 10
	maxPairsSize = 1024
)

// extras gathers those fields, the most important ones first.
type extras struct {
	// cut leaves out the last decorations when there are too many.
	cut   bool
	pairs []pair
}

type pair struct {
	names, values []string
	must          bool
}

// must adds fields that belong together and without which the message is not what was asked for. An empty value adds nothing.
func (x *extras) must(namesAndValues ...string) { x.add(true, namesAndValues) }

// may adds fields that only decorate.
func (x *extras) may(namesAndValues ...string) { x.add(false, namesAndValues) }

func (x *extras) add(must bool, list []string) {
	p := pair{must: must}
	for i := 0; i+1 < len(list); i += 2 {
		if list[i+1] == "" {
			return
		}
		p.names, p.values = append(p.names, list[i]), append(p.values, list[i+1])
	}
	x.pairs = append(x.pairs, p)
}

// into sets the fields of a form. The error says that there are too many.
func (x *extras) into(f url.Values) error {
	count, size := 0, 0
	for _, must := range []bool{true, false} {
		for _, p := range x.pairs {
			if p.must != must {
				continue
			}
			bytes := 0
			for i := range p.names {
				bytes += len(p.names[i]) + len(p.values[i])
			}
			if count+len(p.names) > maxPairs || size+bytes > maxPairsSize {
				if x.cut && !must {
					continue
				}
				return fmt.Errorf("the fields of extra are more than %d or have more than %d bytes, with %s", maxPairs, maxPairsSize, p.names[0])
			}
			count, size = count+len(p.names), size+bytes
			for i := range p.names {
				f.Set("extra."+p.names[i], p.values[i])
			}
		}
	}
	return nil
}
