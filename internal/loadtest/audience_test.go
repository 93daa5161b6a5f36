package loadtest

import (
	"bytes"
	"context"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"borealis/internal/engine/audience"
)

// A small run measures everything, finds no difference between ours and the library's sets, and leaves nothing behind.
func TestAudience(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var progress bytes.Buffer
	report, err := Audience(context.Background(), AudienceOptions{Devices: 21_000, Rounds: 3, Dir: dir, Progress: &progress})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) > 0 {
		t.Errorf("problems: %v", report.Problems)
	}
	for _, row := range report.Rows {
		if row.Ours == nil || row.Unit == "ms" && *row.Ours <= 0 {
			t.Errorf("%s: %s has no figure", row.Section, row.Name)
		}
		if compared := strings.HasPrefix(row.Section, "five clauses") && row.Unit == "ms"; compared && row.Ratio == nil {
			t.Errorf("%s: %s has no ratio", row.Section, row.Name)
		}
	}
	if sections := slices.Compact(sectionsOf(report)); len(sections) != 5 || progress.Len() == 0 {
		t.Errorf("sections %v, progress %q", sections, progress.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v (%v)", left, err)
	}
	for _, o := range []AudienceOptions{{Devices: 1000, Rounds: 1}, {Devices: 100_000_000, Rounds: 1}, {Devices: 21_000}} {
		if _, err := Audience(context.Background(), o); err == nil {
			t.Errorf("%+v is measured", o)
		}
	}
}

func sectionsOf(r *Report) (out []string) {
	for _, row := range r.Rows {
		out = append(out, row.Section)
	}
	return out
}

// The devices have as many tags as they should, of each kind, and as many aliases.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const n = 200_000
	c := newCrowd(n)
	if mean := c.perDevice(); mean < 19.5 || mean > 20.5 {
		t.Errorf("%f tags of a device", mean)
	}
	var devices, withAlias int
	counts := make([]float64, len(c.tags))
	aliases := map[string]int{}
	err := c.EachDevice(context.Background(), 1, func(d audience.Device) error {
		devices++
		if int(d.Ordinal) != devices || !slices.IsSorted(d.Tags) {
			t.Errorf("device %+v", d)
		}
		for _, id := range d.Tags {
			counts[id-1]++
		}
		if d.Alias != "" {
			if err := audience.CheckAlias(d.Alias); err != nil {
				t.Error(err)
			}
			withAlias++
			aliases[d.Alias]++
		}
		return nil
	})
	if err != nil || devices != n || withAlias != n/2 || len(aliases) < n*44/100 || len(aliases) > n*46/100 {
		t.Errorf("%d devices, %d with an alias, %d aliases (%v)", devices, withAlias, len(aliases), err)
	}
	for i, tag := range c.tags {
		if err := audience.CheckTag(tag.name); err != nil {
			t.Error(err)
		}
		want := tag.share * n
		if math.Abs(counts[i]-want) > 6*math.Sqrt(want)+1 {
			t.Errorf("tag %s: %.0f devices, want about %.0f", tag.name, counts[i], want)
		}
	}
}
