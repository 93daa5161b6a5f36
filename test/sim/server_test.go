package sim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"borealis/internal/engine/channel"
	"borealis/internal/engine/channel/sms/generic"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim"
)

// What the simulator says of accounts at providers of short messages is what an app can enter.
func TestCredentialsOfTextProvidersAreComplete(t *testing.T) {
	t.Parallel()
	s := sim.New(clock.System{})
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	var gateway generic.Config
	if err := json.Unmarshal(get("/sim/gateway").Body.Bytes(), &gateway); err != nil {
		t.Fatal(err)
	}
	deps := wire.Deps{BaseURL: "http://127.0.0.1:9099", Clock: clock.System{}}
	providers, err := channel.TextProviders(deps, &gateway)
	if err != nil {
		t.Fatal(err)
	}
	texts := channel.New(clock.System{}).Texts(providers...)
	for _, name := range []string{"sms_aliyun", "sms_tencent", "sms_generic"} {
		if _, err := texts.Parse(get("/sim/credentials/" + name).Body.Bytes()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w := get("/sim/credentials/sms"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "GET /sim lists them") {
		t.Errorf("no channel: %d %s", w.Code, w.Body)
	}
}

// A phone has the states that vendors know, and no others.
func TestPhonesHaveKnownStates(t *testing.T) {
	t.Parallel()
	s := sim.New(clock.System{})
	for body, want := range map[string]int{
		`{"channel":"xiaomi","state":"silent"}`: http.StatusOK, `{"channel":"xiaomi","state":"asleep"}`: http.StatusBadRequest, `{"channel":"nokia"}`: http.StatusNotFound,
		`{"channel":"sms"}`: http.StatusBadRequest, `{"channel":"sms","token":"+8613800138000"}`: http.StatusOK,
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/sim/phones", strings.NewReader(body)))
		if w.Code != want {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}
