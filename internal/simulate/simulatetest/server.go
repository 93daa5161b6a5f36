// Package simulatetest is a small device server for tests of simulated devices: it registers whoever asks, speaks just
// enough MQTT and remembers what it was told. It does not check the protocol; the real edge does.
//
// Locks: Server.mu guards everything recorded and the list of connections; session.mu guards writes to one socket.
package simulatetest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"borealis/internal/engine/edge/mqtt"
)

// Server is a running device server. Its methods may be called from any goroutine.
type Server struct {
	// AppKey is the only app there is.
	AppKey string

	mqtt net.Listener
	wg   sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	next     int
	refusal  mqtt.Code
	refuse   int // connections still to be refused
	busy     int // registrations still to be answered with 429
	sessions map[*session]bool
	connects []Connect
	profiles []string
	ups      []Up
	acks     []uint16
	upCode   mqtt.Code
	silent   bool
}

// Connect is what a CONNECT said.
type Connect struct {
	Version                      mqtt.Version
	ClientID, Username, Password string
	KeepAlive                    uint16
}

// Up is a PUBLISH of a device.
type Up struct {
	ClientID, Topic, Payload string
	QoS                      byte
	Dup                      bool
}

// Start listens for MQTT on a loopback port.
func Start(appKey string) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("device server: %w", err)
	}
	return StartOn(l, appKey), nil
}

// StartOn serves MQTT on a listener.
func StartOn(l net.Listener, appKey string) *Server {
	s := &Server{AppKey: appKey, mqtt: l, sessions: map[*session]bool{}}
	s.wg.Go(s.accept)
	return s
}

// Close ends all connections and waits for their goroutines.
func (s *Server) Close() {
	s.mqtt.Close()
	s.mu.Lock()
	s.closed = true
	for one := range s.sessions {
		one.socket.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Address is the MQTT address as a URL.
func (s *Server) Address() string { return "tcp://" + s.mqtt.Addr().String() }

// Refuse makes the server answer the next n CONNECTs with a code.
func (s *Server) Refuse(n int, code mqtt.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.refusal = n, code
}

// Busy makes the server answer the next n registrations with 429.
func (s *Server) Busy(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = n
}

// AnswerUps sets the code that ups are acknowledged with; silent: they are not acknowledged.
func (s *Server) AnswerUps(code mqtt.Code, silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upCode, s.silent = code, silent
}

// Drop closes all connections without a word.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range s.sessions {
		one.socket.Close()
	}
}

// Disconnect ends all connections with a reason.
func (s *Server) Disconnect(code mqtt.Code) {
	for _, one := range s.online() {
		d := mqtt.Disconnect{Code: code}
		one.write(d.Append(nil, one.version))
		one.socket.Close()
	}
}

// Push sends a payload on topic "push" to every connection that has subscribed or did not need to: that of one client
// id, or all if it is empty. It returns how many that were.
func (s *Server) Push(clientID string, qos byte, payload string) int {
	n := 0
	for _, one := range s.online() {
		if clientID != "" && one.id != clientID {
			continue
		}
		p := mqtt.Publish{QoS: min(qos, one.granted()), Topic: []byte("push"), Payload: []byte(payload)}
		if p.QoS > 0 {
			p.PacketID = one.packetID()
		}
		one.write(p.Append(nil, one.version))
		n++
	}
	return n
}

func (s *Server) online() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*session, 0, len(s.sessions))
	for one := range s.sessions {
		if one.id != "" {
			list = append(list, one)
		}
	}
	return list
}

// Online is the number of accepted connections.
func (s *Server) Online() int { return len(s.online()) }

// Connects are the CONNECTs so far, refused ones included.
func (s *Server) Connects() []Connect {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Connect(nil), s.connects...)
}

// Ups are the PUBLISHes so far, repeated ones included.
func (s *Server) Ups() []Up {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Up(nil), s.ups...)
}

// Acks are the packet identifiers acknowledged so far.
func (s *Server) Acks() []uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]uint16(nil), s.acks...)
}

// Profiles are the bodies of the profile changes over HTTP so far.
func (s *Server) Profiles() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.profiles...)
}

// ServeHTTP implements the device API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "POST /device/v1/register":
		s.registerLocked(w, r)
	case "PATCH /device/v1/profile":
		var body json.RawMessage
		id, secret, _ := r.BasicAuth()
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || secret != SecretOf(id) || r.Header.Get("X-App-Key") != s.AppKey {
			problem(w, http.StatusUnauthorized, "wrong credentials")
			return
		}
		s.profiles = append(s.profiles, string(body))
		w.WriteHeader(http.StatusNoContent)
	default:
		problem(w, http.StatusNotFound, "no such call")
	}
}

func (s *Server) registerLocked(w http.ResponseWriter, r *http.Request) {
	var in struct {
		AppKey string `json:"app_key"`
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	switch {
	case err != nil:
		problem(w, http.StatusBadRequest, "not JSON")
	case in.AppKey != s.AppKey:
		problem(w, http.StatusNotFound, "no app has this key")
	case s.busy > 0:
		s.busy--
		problem(w, http.StatusTooManyRequests, "too many registrations")
	default:
		s.next++
		id := fmt.Sprintf("%020x", s.next)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"registration_id": id, "secret": SecretOf(id), "mqtt": []string{s.Address()}, "keep_alive": 240, "more": true,
		})
	}
}

// SecretOf is the secret of a registration id.
func SecretOf(id string) string { return "secret-" + strings.TrimLeft(id, "0") }

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}
