package webpush

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"borealis/internal/kernel/ratelimit"
	"borealis/test/sim/phone"
)

// channel is the name of this one in phone.Network.
const channel = "webpush"

const (
	// perMinute messages are taken for one subscription.
	perMinute = 600
	// maxSubscriptions and maxStored bound memory.
	maxSubscriptions = 100_000
	maxStored        = 100
)

// Sim is the push service. It is safe for concurrent use.
type Sim struct {
	phone.Deps
	mux  http.ServeMux
	rate *ratelimit.Buckets[string]

	mu   sync.Mutex
	subs map[string]*subscription // by the last part of the endpoint
}

// subscription is one of a browser.
type subscription struct {
	token  string
	base   string // address of the simulator as the browser knows it
	origin string
	key    *ecdh.PrivateKey
	auth   []byte
	// vapid is the key it was made with, "" for none.
	vapid string
	// stored waits for the browser.
	stored []message
	last   int // number of the last message
}

type message struct {
	number int
	topic  string
	until  time.Time
	text   []byte
}

// New returns a push service without subscriptions.
func New(d phone.Deps) *Sim {
	s := &Sim{Deps: d, rate: ratelimit.NewBuckets[string](d.Clock, perMinute, perMinute, maxSubscriptions), subs: make(map[string]*subscription)}
	s.mux.HandleFunc("POST /push/{id}", s.push)
	s.mux.HandleFunc("DELETE /message/{id}/{number}", s.withdraw)
	s.mux.HandleFunc("POST /subscriptions", s.subscribe)
	return s
}

// ServeHTTP serves the endpoints, and POST /subscriptions {"base":…,"vapid":…} for browsers in other processes.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Channel is "webpush".
func (*Sim) Channel() string { return channel }

// Credentials are a key pair; any other is taken too, as push services do.
func (*Sim) Credentials() json.RawMessage {
	return json.RawMessage(`{"public_key":"BGGqHselJ53aMK1osb2YsyoiUuqvvq6reJ3IATi5m1jhMUfpFK1JTDh7r_a-dPLsxNDKPG_6lq3jxY60NdcJqgc",` +
		`"private_key":"RpHYzkkr1R-exCnEihIhd_TYzY4r6_VnKlfT3Vs2ITA","subject":"mailto:ops@example.com"}`)
}

// Subscribe makes a browser and returns its subscription, the token. base is the address at which the simulator is served;
// vapid is the public key that senders must have, "" for any.
func (s *Sim) Subscribe(base, vapid string) string {
	id, auth := make([]byte, 16), make([]byte, 16)
	_, _ = rand.Read(id)
	_, _ = rand.Read(auth)
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil { // the random source does not fail
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	name := b64(id)
	token, err := json.Marshal(map[string]any{
		"endpoint": strings.TrimRight(base, "/") + "/push/" + name, "expirationTime": nil,
		"keys": map[string]string{"p256dh": b64(key.PublicKey().Bytes()), "auth": b64(auth)},
	})
	if err != nil {
		panic(err)
	}
	sub := &subscription{token: string(token), base: strings.TrimRight(base, "/"), key: key, auth: auth, vapid: vapid}
	if u, err := url.Parse(base); err == nil {
		sub.origin = u.Scheme + "://" + u.Host
	}
	s.mu.Lock()
	if len(s.subs) < maxSubscriptions {
		s.subs[name] = sub
	}
	s.mu.Unlock()
	return s.Phones.Add(channel, sub.token)
}

func (s *Sim) subscribe(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Base  string `json:"base"`
		VAPID string `json:"vapid"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if in.Base == "" {
		in.Base = "http://" + r.Host
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(s.Subscribe(in.Base, in.VAPID)))
}

// Wake opens a closed browser: it gets what waited for it and is not too old.
func (s *Sim) Wake(token string) {
	s.Phones.SetState(channel, token, phone.Installed)
	var waited []message
	s.mu.Lock()
	for _, sub := range s.subs {
		if sub.token == token {
			waited, sub.stored = sub.stored, nil
		}
	}
	s.mu.Unlock()
	now := s.Clock.Now()
	for _, m := range waited {
		if m.until.After(now) {
			s.Phones.Deliver(channel, token, shown(m.text))
		}
	}
}

// shown is what the service worker makes of a message.
func shown(text []byte) phone.Notification {
	var p struct {
		ID      string          `json:"_j_msgid"`
		Type    string          `json:"type"`
		Title   string          `json:"title"`
		Alert   string          `json:"alert"`
		Extras  json.RawMessage `json:"extras"`
		Message json.RawMessage `json:"message"`
		Options struct {
			Tag string `json:"tag"`
		} `json:"options"`
	}
	if err := json.Unmarshal(text, &p); err != nil {
		data, _ := json.Marshal(string(text)) // of somebody else's making
		return phone.Notification{Data: data}
	}
	n := phone.Notification{ID: p.ID, Title: p.Title, Body: p.Alert, Data: p.Extras, Tag: p.Options.Tag}
	if p.Type != "notification" {
		n.Data = p.Message
		if n.Data == nil {
			n.Data = text
		}
	}
	return n
}
