package redline_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"borealis/internal/platform/agreement/redline"
)

// sides rebuilds both texts from what Compare said.
func sides(lines []redline.Line) (before, after string) {
	var a, b []string
	for _, l := range lines {
		var was, is strings.Builder
		for _, s := range l.Spans {
			if s.Op != redline.Inserted {
				was.WriteString(s.Text)
			}
			if s.Op != redline.Deleted {
				is.WriteString(s.Text)
			}
		}
		if l.Op != redline.Inserted {
			a = append(a, was.String())
		}
		if l.Op != redline.Deleted {
			b = append(b, is.String())
		}
	}
	return strings.Join(a, "\n"), strings.Join(b, "\n")
}

// A redline holds exactly the two texts, and its line numbers ascend (AG-PRE-07).
func TestRedlineHoldsBothTexts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"", "甲方应当", "甲方可以", "a b", "a c", "x", "费用为 3 元", "费用为 4 元"}), 1, 12).Draw(t, "lines"), "\n")
		})
		before, after := text.Draw(t, "old"), text.Draw(t, "new")
		lines := redline.Compare(before, after)
		if a, b := sides(lines); a != before || b != after {
			t.Fatalf("rebuilt %q and %q from %+v", a, b, lines)
		}
		if redline.Same(lines) != (before == after) {
			t.Fatalf("same is %v of %q and %q", redline.Same(lines), before, after)
		}
		i, j := 0, 0
		for _, l := range lines {
			if l.Op != redline.Inserted {
				if i++; l.Old != i {
					t.Fatalf("old line %d where %d comes: %+v", l.Old, i, lines)
				}
			}
			if l.Op != redline.Deleted {
				if j++; l.New != j {
					t.Fatalf("new line %d where %d comes: %+v", l.New, j, lines)
				}
			}
		}
	})
}

// The way is the shortest: what both lists have in common, by the textbook recurrence, comes out equal.
func TestEqualLinesAreTheLongestCommonSubsequence(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.SampledFrom([]string{"111", "222", "333"}), 1, 14)
		a, b := list.Draw(t, "a"), list.Draw(t, "b")
		long := make([][]int, len(a)+1)
		for i := range long {
			long[i] = make([]int, len(b)+1)
		}
		for i := range a {
			for j := range b {
				if long[i+1][j+1] = max(long[i][j+1], long[i+1][j]); a[i] == b[j] {
					long[i+1][j+1] = long[i][j] + 1
				}
			}
		}
		got := 0
		for _, l := range redline.Compare(strings.Join(a, "\n"), strings.Join(b, "\n")) {
			if l.Op == redline.Equal {
				got++
			}
		}
		if got < long[len(a)][len(b)] {
			t.Fatalf("%d equal lines, %d are possible: %v %v", got, long[len(a)][len(b)], a, b)
		}
	})
}

func TestChineseIsComparedByCharacterAndEnglishByWord(t *testing.T) {
	t.Parallel()
	lines := redline.Compare("我们至少提前七日公告。\nnotice of seven days", "我们至少提前三十日公告。\nnotice of thirty days")
	want := [][]redline.Span{
		{{Op: redline.Equal, Text: "我们至少提前"}, {Op: redline.Deleted, Text: "七"}, {Op: redline.Inserted, Text: "三十"}, {Op: redline.Equal, Text: "日公告。"}},
		{{Op: redline.Equal, Text: "notice of "}, {Op: redline.Deleted, Text: "seven"}, {Op: redline.Inserted, Text: "thirty"}, {Op: redline.Equal, Text: " days"}},
	}
	if len(lines) != 2 {
		t.Fatalf("%+v", lines)
	}
	for i, l := range lines {
		if l.Op != redline.Changed || !slices.Equal(l.Spans, want[i]) {
			t.Errorf("line %d: %+v", i+1, l)
		}
	}
}

func TestHugeTextsAreComparedWithinBounds(t *testing.T) {
	t.Parallel()
	before, after := "head\n"+strings.Repeat("a\nb\n", 30_000)+"tail", "head\n"+strings.Repeat("c\nd\n", 30_000)+"tail"
	lines := redline.Compare(before, after)
	if a, b := sides(lines); a != before || b != after {
		t.Error("texts lost")
	}
	if lines[0].Op != redline.Equal || lines[len(lines)-1].Op != redline.Equal {
		t.Errorf("head and tail: %+v %+v", lines[0], lines[len(lines)-1])
	}
}
