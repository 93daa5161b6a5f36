package testdevice

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device"
	"borealis/internal/engine/device/devicetest"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type rig struct {
	*Service
	t       *testing.T
	devices *devicetest.Rig
	mux     *http.ServeMux
}

func newRig(t *testing.T, d *db.DB) *rig {
	t.Helper()
	devices := devicetest.New(t, d)
	if err := Migrate(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, devices: devices, mux: http.NewServeMux()}
	r.Service = New(Deps{DB: d, Devices: devices.Registry, Clock: devices.Fake, Log: slog.New(slog.DiscardHandler)})
	r.CompatRoutes(func(pattern string, h gate.Handler) {
		r.mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) { h(w, req, devices.App(1)) })
	})
	return r
}

// call answers "status body".
func (r *rig) call(method, target, body string) string {
	r.t.Helper()
	w := httptest.NewRecorder()
	compat.Path(r.mux).ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return fmt.Sprintf("%d %s", w.Code, w.Body)
}

func (r *rig) want(got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// refused demands the code 7002, HTTP 400 and the standard envelope.
func (r *rig) refused(got string) {
	r.t.Helper()
	if !strings.HasPrefix(got, `400 {"error":{"code":7002,"message":"`) || strings.Contains(got, "msg_id") {
		r.t.Errorf("got %s", got)
	}
}

func TestListIsKeptAndShown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		a := r.devices.Join(1, audience.Android, device.Info{Model: "Pixel 9"})
		r.devices.Fake.Advance(time.Hour)
		b := r.devices.Join(1, audience.IOS, device.Info{Model: "iPhone17,1"})
		r.devices.Fake.Advance(time.Hour)

		r.want(r.call("GET", "/v3/test/model/list", ""), `200 {"total":0,"page":1,"page_size":200,"detail":[]}`)
		r.want(r.call("POST", "/v3/test/model/add", `{"device_name":"qa-pixel","registration_id":"`+a.RegistrationID+`"}`), "200 {}")
		r.devices.Fake.Advance(time.Second)
		r.want(r.call("POST", "/v3/test/model/add/", `{"device_name":"100%_真机","registration_id":"`+b.RegistrationID+`"}`), "200 {}")
		r.want(r.call("PUT", "/v3/test/model/update", `{"device_name":"qa-pixel-9","registration_id":"`+a.RegistrationID+`"}`), "200 {}")

		first := `{"device_name":"qa-pixel-9","device_model":"Pixel 9","registration_id":"` + a.RegistrationID +
			`","registration_time":"2027-02-28 20:00:00","create_time":"2027-02-28 22:00:00"}`
		second := `{"device_name":"100%_真机","device_model":"iPhone17,1","registration_id":"` + b.RegistrationID +
			`","registration_time":"2027-02-28 21:00:00","create_time":"2027-02-28 22:00:01"}`
		page := func(total, page, size int, details ...string) string {
			return fmt.Sprintf(`200 {"total":%d,"page":%d,"page_size":%d,"detail":[%s]}`, total, page, size, strings.Join(details, ","))
		}
		for target, want := range map[string]string{
			"":                                       page(2, 1, 200, first, second),
			"?page=1&page_size=50":                   page(2, 1, 50, first, second),
			"?page=2&page_size=1":                    page(2, 2, 1, second),
			"?page=3&page_size=1":                    page(2, 3, 1),
			"?page=1000000&page_size=1000000":        page(2, 1000000, 1000000),
			"?&device_name=pixel":                    page(1, 1, 200, first),
			"?&device_name=%25_":                     page(1, 1, 200, second),
			"?&device_name=nobody":                   page(0, 1, 200),
			"?registration_id=" + b.RegistrationID:   page(1, 1, 200, second),
			"?&registration_id=" + a.RegistrationID:  page(1, 1, 200, first),
			"?registration_id=nobody":                page(0, 1, 200),
			"?device_name=真机&registration_id=nobody": page(1, 1, 200, second), // the name wins
		} {
			r.want(r.call("GET", "/v3/test/model/list"+target, ""), want)
		}

		got, err := r.Ordinals(context.Background(), 1)
		if err != nil || !got.Contains(a.Ordinal) || !got.Contains(b.Ordinal) || got.GetCardinality() != 2 {
			t.Errorf("ordinals %v (%v)", got, err)
		}
		r.want(r.call("DELETE", "/v3/test/model/delete/"+a.RegistrationID, "null"), "200 {}")
		r.refused(r.call("DELETE", "/v3/test/model/delete/"+a.RegistrationID, ""))
		r.want(r.call("GET", "/v3/test/model/list", ""), page(1, 1, 200, second))
		if got, err := r.Ordinals(context.Background(), 2); err != nil || !got.IsEmpty() {
			t.Errorf("ordinals of another app %v (%v)", got, err)
		}
	})
}

func TestBadInputStoresNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		mine := r.devices.Join(1, audience.Android, device.Info{}).RegistrationID
		other := r.devices.Join(2, audience.Android, device.Info{}).RegistrationID
		body := func(name, rid any) string {
			b, err := json.Marshal(map[string]any{"device_name": name, "registration_id": rid})
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		for _, bad := range []string{
			"", "null", "[]", "[1]", "{", "\xff", `"x"`, body("n", nil), body(nil, mine), body("", mine), body("n", ""), body("n", "nobody"),
			body("n", other), body(7, mine), body("n", []string{mine}), body(strings.Repeat("x", maxNameBytes+1), mine), body("a\nb", mine),
			body(strings.Repeat("x", maxBody), mine),
		} {
			r.refused(r.call("POST", "/v3/test/model/add", bad))
			r.refused(r.call("PUT", "/v3/test/model/update", bad))
		}
		r.refused(r.call("PUT", "/v3/test/model/update", body("n", mine))) // not on the list
		r.refused(r.call("DELETE", "/v3/test/model/delete/nobody", ""))
		r.refused(r.call("DELETE", "/v3/test/model/delete/"+other, ""))
		for _, q := range []string{"page=1", "page_size=1", "page=0&page_size=1", "page=1&page_size=-1", "page=x&page_size=1", "page=1&page_size=1000001", "device_name=%00", "&device_name=%ff"} {
			r.refused(r.call("GET", "/v3/test/model/list?"+q, ""))
		}
		if got, err := r.Ordinals(context.Background(), 1); err != nil || !got.IsEmpty() {
			t.Errorf("ordinals %v (%v)", got, err)
		}

		r.want(r.call("POST", "/v3/test/model/add", body("n", mine)), "200 {}")
		r.want(r.call("POST", "/v3/test/model/add", body("n", mine)), "200 {}") // a repetition
		r.refused(r.call("POST", "/v3/test/model/add", body("m", mine)))
	})
}

func TestListIsBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			for i := range MaxDevices - 2 {
				if err := insert(ctx, tx, 1, Device{Ordinal: 4_000_000_000 + uint32(i), Name: "x"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		gone := r.devices.ID(1, 4_000_000_000)
		if got := r.call("GET", "/v3/test/model/list?registration_id="+gone, ""); !strings.Contains(got, `"total":1,`) {
			t.Errorf("the highest ordinals: %s", got)
		}
		// Of four at the same time two fit.
		var wg sync.WaitGroup
		answers := make([]string, 4)
		for i := range answers {
			rid := r.devices.Join(1, audience.Web, device.Info{}).RegistrationID
			wg.Go(func() {
				answers[i] = r.call("POST", "/v3/test/model/add", `{"device_name":"n","registration_id":"`+rid+`"}`)
			})
		}
		wg.Wait()
		added := 0
		for _, a := range answers {
			if a == "200 {}" {
				added++
				continue
			}
			r.refused(a)
		}
		if got, err := r.Ordinals(ctx, 1); err != nil || added != 2 || got.GetCardinality() != MaxDevices {
			t.Errorf("%d added, %d in all (%v)", added, got.GetCardinality(), err)
		}
	})
}

func TestDeviceThatEndedCanBeDeleted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		a := r.devices.Join(1, audience.Android, device.Info{Model: "m"})
		r.want(r.call("POST", "/v3/test/model/add", `{"device_name":"n","registration_id":"`+a.RegistrationID+`"}`), "200 {}")
		if err := r.devices.Delete(context.Background(), 1, a.Ordinal); err != nil {
			t.Fatal(err)
		}
		r.want(r.call("GET", "/v3/test/model/list?registration_id="+a.RegistrationID, ""), `200 {"total":1,"page":1,"page_size":200,"detail":[{"device_name":"n","device_model":"",`+
			`"registration_id":"`+a.RegistrationID+`","registration_time":null,"create_time":"2027-02-28 20:00:00"}]}`)
		r.want(r.call("DELETE", "/v3/test/model/delete/"+a.RegistrationID, ""), "200 {}")
		r.want(r.call("GET", "/v3/test/model/list", ""), `200 {"total":0,"page":1,"page_size":200,"detail":[]}`)
	})
}

// A failure that is not the caller's is not told in detail.
func TestFailureIsInternal(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	r := newRig(t, d)
	if err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `drop table push_testdevice`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r.want(r.call("GET", "/v3/test/model/list", ""), `500 {"error":{"code":7000,"message":"internal error"}}`)
}
