package courier_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"borealis/test/sim/courier"
)

func TestReceiptsComeToTheServer(t *testing.T) {
	t.Parallel()
	var (
		mu  sync.Mutex
		got = map[string]string{}
	)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got[r.URL.RequestURI()] = r.Header.Get("X-Test") + " " + string(body)
	}))
	defer server.Close()
	c := courier.New()
	c.Post("", nil, []byte("to nobody"))
	c.To(server.URL + "/receipts?app=1")
	header := http.Header{"X-Test": {"yes"}}
	c.Post("", header, []byte("a"))
	c.Post("https://elsewhere.example/own/path?x=y", header, []byte("b"))
	c.Post("://", header, []byte("no address"))
	c.Wait()
	c.To("")
	c.Post("", header, []byte("to nobody"))
	c.Wait()
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 2 || got["/receipts?app=1"] != "yes a" || got["/own/path?x=y"] != "yes b" {
		t.Errorf("%v", got)
	}
}
