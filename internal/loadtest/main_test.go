package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"borealis/internal/simulate/simulatetest"
)

// The test binary is its own children: a small device server instead of the real one, the clients, the peer.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		goleak.VerifyTestMain(m)
		return
	}
	var err error
	switch os.Args[1] {
	case "serve":
		err = fakeServe(os.Args[2:])
	case "clients":
		err = Clients(context.Background(), os.Stdin, os.Stdout)
	case "peer":
		err = Peer(os.Stdin, os.Stdout)
	case "fail":
		err = errors.New("this child fails")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const fakeKey = "abcdefghijklmnopqrstuvwx"

// fakeServe takes the flags of `borealis serve` and runs until it is killed.
func fakeServe(args []string) error {
	flag := func(name string) string { return args[slices.Index(args, "--"+name)+1] }
	listener, err := net.Listen("tcp", flag("mqtt-addr"))
	if err != nil {
		return err
	}
	devices := simulatetest.StartOn(listener, fakeKey)
	mux := http.NewServeMux()
	mux.Handle("/device/v1/", devices)
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /debug/pprof/heap", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /apps", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"app_key":%q,"master_secret":"secret"}`, fakeKey)
	})
	mux.HandleFunc("POST /v3/push", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Audience any `json:"audience"`
			Message  struct {
				Content string `json:"msg_content"`
			} `json:"message"`
		}
		key, secret, _ := r.BasicAuth()
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || key != fakeKey || secret != "secret" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		to := []any{""}
		if some, ok := in.Audience.(map[string]any); ok {
			to = some["registration_id"].([]any)
		}
		for _, id := range to {
			devices.Push(id.(string), 1, fmt.Sprintf(`{"id":"1","type":"message","message":{"content":%q}}`, in.Message.Content))
		}
		_, _ = w.Write([]byte(`{"sendno":"0","msg_id":"1"}`))
	})
	mux.HandleFunc("POST /v3/push/batch/regid/single", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			List map[string]struct {
				Target  string `json:"target"`
				Message struct {
					Content string `json:"msg_content"`
				} `json:"message"`
			} `json:"pushlist"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		for _, push := range in.List {
			devices.Push(push.Target, 1, fmt.Sprintf(`{"id":"1","type":"message","message":{"content":%q}}`, push.Message.Content))
		}
		_, _ = w.Write([]byte(`{"x":{"msg_id":"1"}}`))
	})
	var listeners []net.Listener
	for _, at := range [][2]string{{"unix", filepath.Join(flag("data-dir"), "admin.sock")}, {"tcp", flag("internal-addr")}, {"tcp", flag("http-addr")}} {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- http.Serve(l, mux) }()
	}
	return <-failed
}
