package segment

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

const (
	segments = "/api/v1/apps/one/segments"
	abtests  = "/api/v1/apps/one/abtests"
)

func TestSegmentsAreManaged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.joined(audience.Android, "", "x")
		r.joined(audience.IOS, "", "x")
		var made, read, again segmentRow
		r.answered(r.call("POST", segments, `{"name":"用户","audience":{"tag": ["x"]}}`), 201, &made)
		if !validID(segmentPrefix, made.ID) || made.Version != 1 || string(made.Audience) != `{"tag":["x"]}` || made.CreatedAt != r.devices.Fake.Now().UnixMilli() {
			t.Errorf("created %+v", made)
		}
		r.answered(r.call("GET", segments+"/"+made.ID, ""), 200, &read)
		if fmt.Sprint(read) != fmt.Sprint(made) {
			t.Errorf("read %+v", read)
		}
		r.status(r.call("GET", segments+"/"+made.ID+"/count", ""), 200, `{"devices":2}`)
		r.devices.Fake.Advance(time.Minute)
		r.answered(r.call("PUT", segments+"/"+made.ID, `{"version":1,"name":"b","audience":{"tag":["x"],"platform":["ios"]}}`), 200, &read)
		r.answered(r.call("GET", segments+"/"+made.ID, ""), 200, &again)
		if read.Version != 2 || read.Name != "b" || read.CreatedAt != made.CreatedAt || read.UpdatedAt <= made.UpdatedAt || fmt.Sprint(read) != fmt.Sprint(again) {
			t.Errorf("updated %+v", read)
		}
		r.status(r.call("GET", segments+"/"+made.ID+"/count", ""), 200, `{"devices":1}`)
		r.status(r.call("PUT", segments+"/"+made.ID, `{"version":1,"name":"c","audience":"all"}`), 409, "version")

		for _, other := range []string{"/api/v1/apps/two/segments/" + made.ID, segments + "/seg_0123456789abcdef0123456789abcdef", segments + "/a%00b", abtests + "/" + made.ID} {
			for method, body := range map[string]string{"GET": "", "DELETE": "", "PUT": `{"version":2,"name":"c","audience":"all"}`} {
				if strings.HasPrefix(other, abtests) {
					body = strings.Replace(body, `,"audience":"all"`, "", 1)
				}
				r.status(r.call(method, other, body), 404, "nothing")
			}
			r.status(r.call("GET", other+"/count", ""), 404, "nothing")
		}
		r.status(r.call("DELETE", segments+"/"+made.ID, ""), 204, "")
		r.status(r.call("DELETE", segments+"/"+made.ID, ""), 404, "nothing")
		if got := r.who(made.ID); len(got) != 0 {
			t.Errorf("deleted: %v", got)
		}
	})
}

func TestSegmentsThatAreUsedStay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		base := r.segment(`{"tag":["x"]}`)
		above := r.segment(`{"segment":["` + base + `"]}`)
		var test abtestRow
		r.answered(r.call("POST", abtests, `{"name":"t","audience":{"segment":["`+above+`"]},"groups":[{"name":"a","percent":1}]}`), 201, &test)

		r.status(r.call("DELETE", segments+"/"+base, ""), 409, above)
		r.status(r.call("DELETE", segments+"/"+above, ""), 409, test.ID)
		for _, bad := range []string{`{"segment":["` + above + `"]}`, `{"segment":["` + base + `"]}`, `{"segment":["seg_0123456789abcdef0123456789abcdef"]}`} {
			r.status(r.call("PUT", segments+"/"+base, `{"version":1,"name":"c","audience":`+bad+`}`), 422, "segment")
		}
		r.status(r.call("POST", abtests, `{"name":"t","audience":{"segment":["seg_0123456789abcdef0123456789abcdef"]},"groups":[{"name":"a","percent":1}]}`), 422, "no segment")

		r.status(r.call("DELETE", abtests+"/"+test.ID, ""), 204, "")
		r.status(r.call("DELETE", segments+"/"+above, ""), 204, "")
		r.status(r.call("DELETE", segments+"/"+base, ""), 204, "")
		if set, err := r.ResolveABTest(context.Background(), r.app(), test.Groups[0].ID); err != nil || !set.IsEmpty() {
			t.Errorf("deleted: %v (%v)", set, err)
		}
	})
}

// Two changes at the same time cannot together make what each alone may not.
func TestChangesAtTheSameTimeMakeNoLoop(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		for range 10 {
			one, two := r.segment(`"all"`), r.segment(`"all"`)
			var wg sync.WaitGroup
			answers := make([]string, 2)
			for i, pair := range [][2]string{{one, two}, {two, one}} {
				wg.Go(func() {
					answers[i] = r.call("PUT", segments+"/"+pair[0], `{"version":1,"name":"c","audience":{"segment":["`+pair[1]+`"]}}`)
				})
			}
			wg.Wait()
			slices.Sort(answers)
			r.status(answers[0], 200, "")
			r.status(answers[1], 422, "name itself")
		}
	})
}

func TestTestsAreManaged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.joined(audience.Android, "")
		var made, read, again abtestRow
		r.answered(r.call("POST", abtests, `{"name":"颜色","audience":"all","groups":[{"name":"red","percent":50},{"name":"blue","percent":50}]}`), 201, &made)
		if !validID(testPrefix, made.ID) || made.Version != 1 || string(made.Audience) != `"all"` || len(made.Groups) != 2 ||
			!validID(groupPrefix, made.Groups[0].ID) || made.Groups[0].ID == made.Groups[1].ID || made.Groups[1].Name != "blue" || made.Groups[1].Percent != 50 {
			t.Errorf("created %+v", made)
		}
		r.answered(r.call("GET", abtests+"/"+made.ID, ""), 200, &read)
		if fmt.Sprint(read) != fmt.Sprint(made) {
			t.Errorf("read %+v", read)
		}
		var count struct {
			Devices int
			Groups  []int
		}
		r.answered(r.call("GET", abtests+"/"+made.ID+"/count", ""), 200, &count)
		if count.Devices != 1 || len(count.Groups) != 2 || count.Groups[0]+count.Groups[1] != 1 {
			t.Errorf("count %+v", count)
		}
		r.devices.Fake.Advance(time.Minute)
		r.answered(r.call("PUT", abtests+"/"+made.ID, `{"version":1,"name":"colour"}`), 200, &read)
		r.answered(r.call("GET", abtests+"/"+made.ID, ""), 200, &again)
		if read.Version != 2 || read.Name != "colour" || read.UpdatedAt <= made.UpdatedAt || fmt.Sprint(read) != fmt.Sprint(again) {
			t.Errorf("renamed %+v", read)
		}
		r.status(r.call("PUT", abtests+"/"+made.ID, `{"version":1,"name":"c"}`), 409, "version")
		r.status(r.call("PUT", abtests+"/"+made.ID, `{"version":2,"name":"c","audience":"all"}`), 422, "audience") // cannot be changed
		r.status(r.call("PUT", "/api/v1/apps/two/abtests/"+made.ID, `{"version":2,"name":"c"}`), 404, "nothing")
		r.status(r.call("GET", "/api/v1/apps/two/abtests/"+made.ID+"/count", ""), 404, "nothing")
		r.status(r.call("DELETE", "/api/v1/apps/two/abtests/"+made.ID, ""), 404, "nothing")
		r.status(r.call("DELETE", abtests+"/"+made.ID, ""), 204, "")
		r.status(r.call("DELETE", abtests+"/"+made.ID, ""), 404, "nothing")
	})
}

func TestBadInputStoresNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		kept := r.segment(`"all"`)
		for body, about := range map[string]string{
			`{"audience":"all"}`: "name", `{"name":"","audience":"all"}`: "name", `{"name":"a"}`: "audience", `{"name":"a\u0000","audience":"all"}`: "name",
			`{"name":"` + strings.Repeat("文", 86) + `","audience":"all"}`: "name", `{"name":"a","audience":{}}`: "condition",
			`{"name":"a","audience":{"any":[{"tag":[" "]}]}}`: "body.audience.any[0].tag[0]", "{\"name\":\"a\",\"audience\":{\"tag\":[\"\xff\"]}}": "UTF-8",
		} {
			r.status(r.call("POST", segments, body), 422, about)
			r.status(r.call("PUT", segments+"/"+kept, strings.Replace(body, "{", `{"version":1,`, 1)), 422, about)
			r.status(r.call("POST", abtests, strings.Replace(body, "{", `{"groups":[{"name":"a","percent":1}],`, 1)), 422, about)
		}
		for _, groups := range []string{
			`[]`, `[{"name":"a","percent":0}]`, `[{"name":"a","percent":101}]`, `[{"name":"a","percent":1.5}]`, `[{"name":"","percent":1}]`, `[{"name":"a\u0001","percent":1}]`,
			`[{"name":"a","percent":1},{"name":"a","percent":1}]`, `[{"name":"a","percent":60},{"name":"b","percent":41}]`, `[` + strings.TrimSuffix(strings.Repeat(`{"name":"a","percent":1},`, maxGroups+1), ",") + `]`,
		} {
			r.status(r.call("POST", abtests, `{"name":"a","audience":"all","groups":`+groups+`}`), 422, "groups")
		}
		var list struct {
			Segments []segmentRow
			Tests    []abtestRow `json:"abtests"`
		}
		r.answered(r.call("GET", segments, ""), 200, &list)
		r.answered(r.call("GET", abtests, ""), 200, &list)
		if len(list.Segments) != 1 || list.Segments[0].Version != 1 || len(list.Tests) != 0 {
			t.Errorf("kept %+v", list)
		}
	})
}

func TestListsGoByCursor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		var want, got, wantTests, gotTests []string
		for range 5 {
			want = append(want, r.segment(`"all"`))
			test, err := r.CreateTest(ctx, r.app(), "t", json.RawMessage(`"all"`), []TestGroup{{Name: "a", Percent: 1}})
			if err != nil {
				t.Fatal(err)
			}
			wantTests = append(wantTests, test.ID)
		}
		type page struct {
			Segments []segmentRow
			Tests    []abtestRow `json:"abtests"`
			Next     string
		}
		for cursor, more := "", true; more; more = cursor != "" {
			var p page
			r.answered(r.call("GET", segments+"?limit=2&cursor="+cursor, ""), 200, &p)
			for _, s := range p.Segments {
				got = append(got, s.ID)
			}
			cursor = p.Next
		}
		for cursor, more := "", true; more; more = cursor != "" {
			var p page
			r.answered(r.call("GET", abtests+"?limit=5&cursor="+cursor, ""), 200, &p)
			for _, s := range p.Tests {
				gotTests = append(gotTests, s.ID)
			}
			cursor = p.Next
		}
		if !slices.Equal(got, want) || !slices.Equal(gotTests, wantTests) {
			t.Errorf("%v and %v, want %v and %v", got, gotTests, want, wantTests)
		}
		r.status(r.call("GET", segments+"?cursor=%00", ""), 422, "cursor")
		r.status(r.call("GET", abtests+"?limit=0", ""), 422, "limit")
	})
}

func TestNumbersAreBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		a, err := ParseAudience([]byte(`"all"`))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			for i := range MaxSegments - 1 {
				if err := insertSegment(ctx, tx, 1, &Segment{ID: fmt.Sprintf("seg_%032x", i)}, a); err != nil {
					return err
				}
				if err := insertTest(ctx, tx, 1, &Test{ID: fmt.Sprintf("abt_%032x", i)}, a); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for target, body := range map[string]string{segments: `{"name":"a","audience":"all"}`, abtests: `{"name":"a","audience":"all","groups":[{"name":"a","percent":1}]}`} {
			r.status(r.call("POST", target, body), 201, "")
			r.status(r.call("POST", target, body), 409, "most")
			r.status(r.call("POST", strings.Replace(target, "one", "two", 1), body), 201, "")
		}
	})
}
