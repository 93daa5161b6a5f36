package borealis

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// device is what the server keeps of a device, as far as profiles change it.
type device struct {
	tags       map[string]bool
	alias      string
	attributes map[string]string
	push       bool
	silence    string
}

func (d device) String() string {
	return fmt.Sprint(slices.Sorted(maps.Keys(d.tags)), d.alias, d.attributes, d.push, d.silence)
}

// apply is what the server does with a change.
func (d device) apply(p profile) device {
	d.tags, d.attributes = maps.Clone(d.tags), maps.Clone(d.attributes)
	if p.Tags != nil {
		if p.Tags.Set != nil {
			d.tags = map[string]bool{}
			for _, t := range *p.Tags.Set {
				d.tags[t] = true
			}
		}
		for _, t := range p.Tags.Add {
			d.tags[t] = true
		}
		for _, t := range p.Tags.Remove {
			delete(d.tags, t)
		}
	}
	if p.Alias != nil {
		d.alias = *p.Alias
	}
	for k, v := range p.Attributes {
		if v == nil {
			delete(d.attributes, k)
		} else {
			d.attributes[k] = *v
		}
	}
	if p.PushEnabled != nil {
		d.push = *p.PushEnabled
	}
	if p.Silence != nil {
		d.silence = string(p.Silence)
	}
	return d
}

var words4 = rapid.SampledFrom([]string{"a", "b", "c", "d"})

func drawProfile(t *rapid.T) profile {
	var p profile
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		set := rapid.SliceOfNDistinct(words4, 0, 4, rapid.ID[string]).Draw(t, "set")
		p.Tags = &tags{Set: &set}
	case 1:
		p.Tags = &tags{Add: rapid.SliceOfNDistinct(words4, 1, 3, rapid.ID[string]).Draw(t, "add")}
	case 2:
		p.Tags = &tags{Remove: rapid.SliceOfNDistinct(words4, 1, 3, rapid.ID[string]).Draw(t, "remove")}
	case 3:
		alias := rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "alias")
		p.Alias = &alias
	case 4:
		v := words4.Draw(t, "value")
		p.Attributes = map[string]*string{words4.Draw(t, "key"): &v}
	case 5:
		p.Attributes = map[string]*string{words4.Draw(t, "key"): nil}
	case 6:
		on := rapid.Bool().Draw(t, "push")
		p.PushEnabled = &on
	default:
		p.Silence = json.RawMessage(rapid.SampledFrom([]string{"null", `{"from":"22:00","to":"07:00"}`}).Draw(t, "silence"))
	}
	return p
}

// However changes are merged before they are sent, and in whatever members, the server ends at the same device; and a new
// device that is told what was said is like the old one.
func TestMergedChangesDoWhatTheyDoOneByOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		begin := device{tags: map[string]bool{"a": true}, alias: "x", attributes: map[string]string{"a": "1"}, push: true}
		want, fresh := begin, device{push: true}
		fresh.tags, fresh.attributes = map[string]bool{}, map[string]string{}
		var merged, said profile
		told := fresh
		for range rapid.IntRange(0, 8).Draw(t, "changes") {
			p := drawProfile(t)
			want, told = want.apply(p), told.apply(p)
			merged, said = merged.then(p), said.then(p)
		}
		if got := begin.apply(merged); got.String() != want.String() {
			t.Fatalf("merged: %s, one by one: %s", got, want)
		}
		got := begin
		for rest := merged; !rest.empty(); {
			var one profile
			one, rest = rest.first()
			if !one.single() {
				t.Fatalf("not one member: %+v", one)
			}
			got = got.apply(one)
		}
		if got.String() != want.String() {
			t.Fatalf("apart: %s, want %s", got, want)
		}
		again := fresh.apply(said.forNew())
		if again.silence == "" && told.silence == "null" { // cleared is as never set
			told.silence = ""
		}
		if again.String() != told.String() {
			t.Fatalf("a new device is %s, want %s", again, told)
		}
	})
}
