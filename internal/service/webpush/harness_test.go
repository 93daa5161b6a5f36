package webpush

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/secret"
	"borealis/internal/service/push/pushevent"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// keeper stands for the service that brings messages to devices, short of the connections.
type keeper struct {
	db   *db.DB
	box  *outbox.Outbox
	mu   sync.Mutex
	last int64
	kept []kept
	// refusal is what Send answers after it has called also.
	refusal error
}

type kept struct {
	Message
	id int64
}

func (k *keeper) Send(ctx context.Context, m Message, also func(context.Context, *db.Tx) error) (int64, error) {
	err := k.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := also(ctx, tx); err != nil {
			return err
		}
		return k.refusal
	})
	if err != nil {
		return 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = slices.DeleteFunc(k.kept, func(o kept) bool { return m.Topic != "" && o.Topic == m.Topic && o.Subscription == m.Subscription })
	k.last++
	k.kept = append(k.kept, kept{m, k.last})
	return k.last, nil
}

func (k *keeper) Withdraw(_ context.Context, app, subscription, msg int64) (bool, error) {
	return k.end(msg, app, subscription, false)
}

// deliver has the device acknowledge a message.
func (k *keeper) deliver(t testing.TB, msg int64) {
	t.Helper()
	k.mu.Lock()
	at := slices.IndexFunc(k.kept, func(o kept) bool { return o.id == msg })
	if at < 0 {
		k.mu.Unlock()
		t.Fatalf("message %d is not kept", msg)
	}
	m := k.kept[at]
	k.mu.Unlock()
	if _, err := k.end(msg, m.App, m.Subscription, true); err != nil {
		t.Fatal(err)
	}
}

// end forgets a message, and tells of it as the push service does.
func (k *keeper) end(msg, app, subscription int64, delivered bool) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := slices.IndexFunc(k.kept, func(o kept) bool { return o.id == msg && o.App == app && o.Subscription == subscription })
	if at < 0 {
		return false, nil
	}
	m := k.kept[at]
	k.kept = slices.Delete(k.kept, at, at+1)
	if m.Receipt == 0 {
		return true, nil
	}
	return true, k.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		return k.box.Publish(ctx, tx, pushevent.TopicFrameEnded, pushevent.FrameEnded{
			App: app, Group: subscription, Msg: msg, Receipt: m.Receipt, Delivered: delivered, At: 1790000000000 + msg,
		})
	})
}

func (k *keeper) WithdrawAll(_ context.Context, app int64, ordinal uint32, subscription int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = slices.DeleteFunc(k.kept, func(o kept) bool {
		return o.App == app && o.Ordinal == ordinal && o.Subscription == subscription
	})
	return nil
}

// frames are the bodies that are kept, in order.
func (k *keeper) frames(t testing.TB) []frame {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]frame, len(k.kept))
	for i, o := range k.kept {
		if err := json.Unmarshal(o.Body, &out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// devices are those that exist, by app.
type devices struct {
	mu    sync.Mutex
	known map[int64][]uint32
}

func (d *devices) Sync(context.Context, int64) error { return nil }

func (d *devices) Known(app int64, ordinals []uint32) []uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(ordinals, func(o uint32) bool { return !slices.Contains(d.known[app], o) })
}

// rig is the service behind a real HTTP server.
type rig struct {
	*Service
	t        testing.TB
	fake     *clock.Fake
	keeper   *keeper
	devices  *devices
	server   *httptest.Server
	from     netip.Addr
	registry *prometheus.Registry
	box      *outbox.Outbox
}

func newRig(t testing.TB, d *db.DB, change func(*Deps)) *rig {
	t.Helper()
	for _, migrate := range []func(context.Context, *db.DB) error{id.Migrate, outbox.Migrate, Migrate} {
		if err := migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{
		t: t, fake: clock.NewFake(time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)), keeper: &keeper{db: d},
		devices: &devices{known: map[int64][]uint32{1: {5, 6}}}, from: netip.MustParseAddr("198.51.100.7"), registry: prometheus.NewRegistry(),
	}
	r.box = outbox.New(d, r.fake, slog.New(slog.DiscardHandler))
	r.keeper.box = r.box
	deps := Deps{
		Outbox: r.box, DB: d, Gate: gate.New(ratelimit.NewWindows[gate.RateKey](r.fake, time.Minute, 1000)), Devices: r.devices, Sender: r.keeper, Keys: secret.Generate(),
		Clock: r.fake, Log: slog.New(slog.DiscardHandler), Metrics: r.registry,
		PublicURL: func(r *http.Request) string { return "http://" + r.Host }, ClientIP: func(*http.Request) netip.Addr { return r.from },
	}
	if change != nil {
		change(&deps)
	}
	r.Service = New(deps)
	r.publish(gate.Enabled, 1)
	mux := http.NewServeMux()
	r.Mount(mux)
	r.Routes(humago.New(mux, huma.DefaultConfig("test", "1")), func(_ context.Context, q *http.Request) (*gate.App, uint32, error) {
		user, _, _ := q.BasicAuth()
		ordinal, err := strconv.ParseUint(user, 10, 32)
		if err != nil {
			return nil, 0, huma.Error401Unauthorized("who are you")
		}
		return r.Gate.AppByID(1), uint32(ordinal), nil
	})
	r.server = httptest.NewServer(mux)
	t.Cleanup(r.server.Close)
	return r
}

func (r *rig) publish(state gate.State, revision int64) {
	r.Gate.Publish(gate.App{ID: 1, Key: strings.Repeat("a", 24), State: state, Settings: gate.DefaultSettings(), Revision: revision})
}

// call makes a request and reads the answer.
func (r *rig) call(method, url, body string, header http.Header) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(text)
}

// device makes a call of the device API as the device of an ordinal.
func (r *rig) device(ordinal int, method, path, body string) (*http.Response, string) {
	r.t.Helper()
	req := http.Header{"Content-Type": {"application/json"}}
	req.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(ordinal)+":secret")))
	return r.call(method, r.server.URL+"/device/v1/webpush/subscriptions"+path, body, req)
}

// subscribe makes a subscription over HTTP.
func (r *rig) subscribe(ordinal int, instance, vapid string) webpushSubscription {
	r.t.Helper()
	body, _ := json.Marshal(map[string]string{"instance": instance, "vapid": vapid})
	resp, text := r.device(ordinal, http.MethodPost, "", string(body))
	var out webpushSubscription
	if err := json.Unmarshal([]byte(text), &out); err != nil || resp.StatusCode != http.StatusCreated {
		r.t.Fatalf("%d %s", resp.StatusCode, text)
	}
	return out
}

// encrypted is a body in the form of aes128gcm that nobody can read.
func encrypted(size int) string {
	b := bytes.Repeat([]byte{7}, size)
	b[20] = 65
	return string(b)
}

// headers are those of a good message, with more.
func headers(more ...string) http.Header {
	h := http.Header{"Ttl": {"60"}, "Content-Encoding": {"aes128gcm"}}
	for i := 0; i < len(more); i += 2 {
		if h.Set(more[i], more[i+1]); more[i+1] == "" {
			h.Del(more[i])
		}
	}
	return h
}

// server is an application server with a key.
type server struct {
	key    *ecdsa.PrivateKey
	public string
}

func newServer(t testing.TB) *server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return &server{key, base64.RawURLEncoding.EncodeToString(point)}
}

// sign makes the value of an Authorization header.
func (s *server) sign(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return "vapid t=" + token + ", k=" + s.public
}

func (r *rig) claims() jwt.MapClaims {
	return jwt.MapClaims{"aud": r.server.URL, "exp": r.fake.Now().Add(time.Hour).Unix(), "sub": "mailto:ops@example.com"}
}
