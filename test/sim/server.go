// Package sim is one server that stands for the push services of all vendors, for development and tests: start Borealis
// with --vendor-url and the address of it, and every phone is a simulated one.
//
// Each vendor is served below its name, with the paths of all its hosts: /xiaomi/v3/message/regid. Below /sim the server is told
// what to do and says what arrived:
//
//	GET  /sim                        vendors, and the ways each can be told to fail
//	GET  /sim/gateway                the description of the SMS gateway, which `borealis serve --sms-gateway` takes beside --vendor-url
//	GET  /sim/credentials/{channel}  what the vendor's account is, in the form that `borealis channel set` takes
//	POST /sim/phones                 {"channel":…,"token":…,"state":…}: makes a phone or changes it; without a token one is made up.
//	                                 Of the channel "sms" the token is the number, +8613800138000. The app on it is installed (no state), "uninstalled", "silent" or "inactive"
//	GET  /sim/phones[?channel=…]     all phones with what they got and show
//	POST /sim/faults/{channel}       {"next":[…]}: the next calls, after those told before, fail so; {"share":0.1,"of":[…],"seed":1}: some do
//	POST /sim/receipts/{channel}     {"url":…}: where the vendor reports what became of messages
package sim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/apns"
	"borealis/test/sim/fcm"
	"borealis/test/sim/hmos"
	"borealis/test/sim/honor"
	"borealis/test/sim/huawei"
	"borealis/test/sim/meizu"
	"borealis/test/sim/oppo"
	"borealis/test/sim/phone"
	"borealis/test/sim/sms"
	"borealis/test/sim/vivo"
	"borealis/test/sim/webpush"
	"borealis/test/sim/xiaomi"
)

// Server is all vendors. It is safe for concurrent use.
type Server struct {
	// Phones are those of all vendors.
	Phones  *phone.Network
	vendors map[string]vendor
	browser *webpush.Sim
	gateway *sms.Gateway
	mux     *http.ServeMux
}

type vendor struct {
	phone.Simulator
	faults *phone.Faults
}

// New returns a server without phones.
func New(c clock.Clock) *Server {
	s := &Server{Phones: phone.NewNetwork(c), vendors: make(map[string]vendor), mux: http.NewServeMux()}
	add := func(path string, build func(phone.Deps) phone.Simulator) {
		faults := &phone.Faults{}
		v := build(phone.Deps{Phones: s.Phones, Faults: faults, Clock: c})
		s.vendors[v.Channel()] = vendor{v, faults}
		s.mux.Handle("/"+path+"/", http.StripPrefix("/"+path, v))
	}
	add("apns", func(d phone.Deps) phone.Simulator { return apns.New(d) })
	add("fcm", func(d phone.Deps) phone.Simulator { return fcm.New(d) })
	add("huawei", func(d phone.Deps) phone.Simulator { return huawei.New(d) })
	add("hmos", func(d phone.Deps) phone.Simulator { return hmos.New(d) })
	add("honor", func(d phone.Deps) phone.Simulator { return honor.New(d) })
	add("xiaomi", func(d phone.Deps) phone.Simulator { return xiaomi.New(d) })
	add("oppo", func(d phone.Deps) phone.Simulator { return oppo.New(d) })
	add("vivo", func(d phone.Deps) phone.Simulator { return vivo.New(d) })
	add("meizu", func(d phone.Deps) phone.Simulator { return meizu.New(d) })
	add("webpush", func(d phone.Deps) phone.Simulator { s.browser = webpush.New(d); return s.browser })
	add("sms/aliyun", func(d phone.Deps) phone.Simulator { return sms.NewAliyun(d) })
	add("sms/tencent", func(d phone.Deps) phone.Simulator { return sms.NewTencent(d) })
	add("sms/generic", func(d phone.Deps) phone.Simulator { s.gateway = sms.NewGateway(d); return s.gateway })
	s.mux.HandleFunc("GET /sim", s.list)
	s.mux.HandleFunc("GET /sim/gateway", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.Gateway("https://gateway.example")) // --vendor-url takes the place of the name
	})
	s.mux.HandleFunc("GET /sim/credentials/{channel}", s.credentials)
	s.mux.HandleFunc("GET /sim/phones", s.phones)
	s.mux.HandleFunc("POST /sim/phones", s.change)
	s.mux.HandleFunc("POST /sim/faults/{channel}", s.fail)
	s.mux.HandleFunc("POST /sim/receipts/{channel}", s.receipts)
	return s
}

// ServeHTTP answers vendors' calls and those below /sim.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Channels are the names of the vendors, sorted.
func (s *Server) Channels() []string {
	out := make([]string, 0, len(s.vendors))
	for name := range s.vendors {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Credentials are what the vendor's account is; nil if there is no such vendor.
func (s *Server) Credentials(channel string) json.RawMessage {
	if v, ok := s.vendors[channel]; ok {
		return v.Credentials()
	}
	return nil
}

// Gateway is the description of the SMS gateway at an address, as the operator of a server configures it.
func (s *Server) Gateway(address string) json.RawMessage { return s.gateway.Description(address) }

// Simulator is the vendor of that name; nil if there is none.
func (s *Server) Simulator(channel string) phone.Simulator { return s.vendors[channel].Simulator }

// Faults of a vendor; nil if there is no such vendor.
func (s *Server) Faults(channel string) *phone.Faults { return s.vendors[channel].faults }

// Add makes a phone and returns its token. base is the address of this server, which the tokens of browsers contain.
func (s *Server) Add(channel, base string) string {
	if channel == s.browser.Channel() {
		return s.browser.Subscribe(base+"/"+channel, "")
	}
	return s.Phones.Add(channel, "")
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	type row struct {
		Channel string   `json:"channel"`
		Faults  []string `json:"faults"`
	}
	var out []row
	for _, name := range s.Channels() {
		out = append(out, row{name, s.vendors[name].FaultNames()})
	}
	answer(w, out)
}

func (s *Server) credentials(w http.ResponseWriter, r *http.Request) {
	c := s.Credentials(r.PathValue("channel"))
	if c == nil {
		noChannel(w)
		return
	}
	if provider, ok := strings.CutPrefix(r.PathValue("channel"), "sms_"); ok { // they are set for the channel sms
		var fields map[string]json.RawMessage
		_ = json.Unmarshal(c, &fields) // written by the provider's simulator
		fields["provider"], _ = json.Marshal(provider)
		answer(w, fields)
		return
	}
	answer(w, c)
}

func noChannel(w http.ResponseWriter) {
	http.Error(w, "there is no such channel: GET /sim lists them", http.StatusNotFound)
}

func (s *Server) phones(w http.ResponseWriter, r *http.Request) {
	answer(w, s.Phones.All(r.URL.Query().Get("channel")))
}

// phoneNumbers is the channel of phones that get short messages, of whatever provider.
const phoneNumbers = "sms"

// maxBody bounds what the calls below /sim read, in bytes.
const maxBody = 1 << 20

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into); err != nil {
		http.Error(w, "the body is not the JSON that this call takes", http.StatusBadRequest)
		return false
	}
	return true
}

func (s *Server) change(w http.ResponseWriter, r *http.Request) {
	var in phone.Phone
	if !read(w, r, &in) {
		return
	}
	if in.Channel == phoneNumbers && in.Token == "" {
		http.Error(w, "token must be the number, as +8613800138000", http.StatusBadRequest)
		return
	}
	if _, ok := s.vendors[in.Channel]; !ok && in.Channel != phoneNumbers {
		noChannel(w)
		return
	}
	if !slices.Contains([]phone.State{phone.Installed, phone.Uninstalled, phone.Silent, phone.Inactive}, in.State) {
		http.Error(w, "state must be absent, uninstalled, silent or inactive", http.StatusBadRequest)
		return
	}
	if in.Token == "" {
		in.Token = s.Add(in.Channel, cmp.Or(r.URL.Query().Get("base"), "http://"+r.Host))
	} else if _, known := s.Phones.Find(in.Channel, in.Token); !known {
		s.Phones.Add(in.Channel, in.Token)
	}
	s.Phones.SetState(in.Channel, in.Token, in.State)
	out, _ := s.Phones.Find(in.Channel, in.Token)
	answer(w, out)
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Next  []string `json:"next"`
		Share float64  `json:"share"`
		Of    []string `json:"of"`
		Seed  uint64   `json:"seed"`
	}
	f := s.Faults(r.PathValue("channel"))
	if f == nil {
		noChannel(w)
		return
	}
	if !read(w, r, &in) {
		return
	}
	known := s.vendors[r.PathValue("channel")].FaultNames()
	for _, name := range slices.Concat(in.Next, in.Of) {
		if name != "" && !slices.Contains(known, name) {
			http.Error(w, "the vendor does not fail so: GET /sim lists how it does", http.StatusBadRequest)
			return
		}
	}
	f.Next(in.Next...)
	f.Sometimes(in.Share, in.Seed, in.Of...)
	answer(w, struct{}{})
}

func (s *Server) receipts(w http.ResponseWriter, r *http.Request) {
	var in struct {
		URL string `json:"url"`
	}
	reporter, ok := s.vendors[r.PathValue("channel")].Simulator.(phone.Reporter)
	if !ok {
		http.Error(w, "the vendor reports nothing", http.StatusNotFound)
		return
	}
	if read(w, r, &in) {
		reporter.ReportTo(in.URL)
		answer(w, struct{}{})
	}
}
