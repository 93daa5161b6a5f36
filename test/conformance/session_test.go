package conformance

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"borealis/test/e2e"
)

// call is a row of the matrix: what a library offers, and how one knows that it works.
type call struct {
	// name is unique; title is for people.
	name, title string
	try         func(*session)
}

// session is one library with an app of its own, whose calls are tried in order.
type session struct {
	*testing.T
	n *e2e.Node
	// client is the library, d its process.
	client sdk
	d      *driver
	// app is the library's app, member another one of its group.
	app, member e2e.Credentials
	// android and ios are connected, silent has been once.
	android, ios, silent string
	devices              map[string]client          // by registration id
	self                 map[string]e2e.Credentials // of devices, by registration id
	// sent is a push that android and ios received; grouped the id of a push to the group; plan the id of a schedule;
	// file the id of a file.
	sent, grouped, plan, file string
	group                     *fixture
}

// absent ends a try: the library has no such call.
type absent struct{}

// newSession starts the library.
func newSession(t *testing.T, n *e2e.Node, library sdk, ca *authority) *session {
	s := &session{T: t, n: n, client: library, app: n.NewApp(t), member: n.NewApp(t), devices: map[string]client{}, self: map[string]e2e.Credentials{}}
	register := func(app e2e.Credentials, platform string, stays bool) string {
		d := n.Register(t, app, platform)
		s.self[d.RegistrationID] = e2e.Credentials{Key: d.RegistrationID, Secret: d.Secret}
		if !stays {
			join(t, n, app, d)
			return d.RegistrationID
		}
		device := newPaho3(t)
		if code := device.connect(t, credentials{url: n.MQTT, id: d.RegistrationID, user: app.Key, password: d.Secret}); code != 0 {
			t.Fatalf("CONNACK 0x%02X", code)
		}
		s.devices[d.RegistrationID] = device
		return d.RegistrationID
	}
	s.android, s.ios, s.silent = register(s.app, "android", true), register(s.app, "ios", true), register(s.app, "android", false)
	register(s.member, "android", false)
	s.d = library.start(t, n, ca, map[string]login{
		"app": {s.app.Key, s.app.Secret}, "forger": {s.app.Key, strings.Repeat("x", 24)}, "stranger": {strings.Repeat("x", 24), s.app.Secret},
	})
	return s
}

// login is what a call authenticates with.
type login struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// run tries all calls and returns what became of each: "pass", "absent", "bug" or "fail".
func (s *session) run(t *testing.T) map[string]string {
	outcomes := map[string]string{}
	for _, c := range calls {
		try, outcome := c.try, "pass"
		if own, known := s.client.bugs[c.name]; known {
			try, outcome = own.try, "bug"
		}
		missing := false
		passed := t.Run(c.name, func(t *testing.T) {
			inner := *s
			inner.T = t
			defer func() {
				if r := recover(); r != nil {
					if _, isAbsent := r.(absent); !isAbsent {
						panic(r)
					}
					missing = true
				}
			}()
			defer func() {
				s.sent, s.grouped, s.plan, s.file, s.group = inner.sent, inner.grouped, inner.plan, inner.file, inner.group
			}()
			try(&inner)
		})
		switch {
		case !passed:
			outcome = "fail"
			s.catchUp(t)
		case missing && outcome == "bug":
			t.Errorf("%s is listed as a bug of the library, which has no such call", c.name)
		case missing:
			outcome = "absent"
		}
		outcomes[c.name] = outcome
	}
	s.T = t
	s.delivered(push(t, s.n, s.app, alert("the last", s.android, s.ios)), s.android, s.ios)
	return outcomes
}

// catchUp reads what the devices got from a call that failed, so that the next ones are not blamed for it.
func (s *session) catchUp(t *testing.T) {
	t.Helper()
	last := push(t, s.n, s.app, alert("what follows is the next call's", s.android, s.ios))
	for _, device := range s.devices {
		for idOf(t, next(t, device)) != last {
			continue
		}
	}
}

// do makes a call.
func (s *session) do(name, as string, args any) reply {
	s.Helper()
	a := s.d.call(s.T, name, as, args)
	if a.Absent {
		panic(absent{})
	}
	return a
}

// offered ends the try if the library has no such call. The probe is refused, or fails for want of arguments.
func (s *session) offered(name, as string) {
	s.Helper()
	s.do(name, as, object{})
}

// ok makes a call as the app that must succeed with a result of the pattern, and returns the result.
func (s *session) ok(name string, args, want any) any {
	s.Helper()
	return s.okAs("app", name, args, want)
}

func (s *session) okAs(as, name string, args, want any) any {
	s.Helper()
	a := s.do(name, as, args)
	if !a.OK || a.Status != 0 {
		s.Fatalf("%s: %s", name, a.text)
	}
	if err := s.client.match(want, a.Result); err != nil {
		s.Fatalf("%s: %v in %s", name, err, a.text)
	}
	return a.Result
}

// refused makes a call that must be refused with the status and code, as far as the library shows them.
func (s *session) refused(as, name string, args any, status, code int) reply {
	s.Helper()
	a := s.do(name, as, args)
	if a.OK {
		s.Fatalf("%s as %s: not refused, want %d: %s", name, as, code, a.text)
	}
	if e := a.Error; e.Status != nil && *e.Status != status || e.Code != nil && *e.Code != code {
		s.Fatalf("%s as %s: %s; want status %d, code %d", name, as, a.text, status, code)
	}
	hidesCode := status == http.StatusUnauthorized && s.client.noCodeOf401
	if (a.Error.Code == nil) != hidesCode || (a.Error.Status == nil) != s.client.noStatus {
		s.Fatalf("%s as %s: not a refusal the library understands: %s", name, as, a.text)
	}
	for _, word := range []string{"msg_id", "schedule_id"} {
		if strings.Contains(a.Error.Message, word) {
			s.Errorf("%s: the message has the word %s: %s", name, word, a.text)
		}
	}
	return a
}

// credentials checks the refusals of a wrong secret and of an unknown key.
func (s *session) credentials(name string, args any, family codes) {
	s.Helper()
	s.refused("forger", name, args, http.StatusUnauthorized, family.wrong)
	s.refused("stranger", name, args, family.strangerStatus, family.stranger)
}

// codes are how an API family refuses credentials.
type codes struct{ wrong, strangerStatus, stranger int }

var (
	pushCodes     = codes{1004, http.StatusBadRequest, 1008}
	deviceCodes   = codes{7004, http.StatusBadRequest, 7008}
	reportCodes   = codes{3001, http.StatusUnauthorized, 3001}
	scheduleCodes = codes{8101, http.StatusUnauthorized, 8101}
)

// delivered waits until the connected devices got the message, and nothing before it.
func (s *session) delivered(id string, rids ...string) {
	s.Helper()
	for _, rid := range rids {
		if got := idOf(s.T, next(s.T, s.devices[rid])); got != id {
			s.Errorf("device %s got %s, want %s", rid, got, id)
		}
	}
}

// pushed makes a call that sends a push, to these connected devices, and returns its id.
func (s *session) pushed(name string, args any, rids ...string) string {
	s.Helper()
	id := fmt.Sprint(s.ok(name, args, object{"msg_id": digits, "sendno": matching("[0-9]+")}).(object)["msg_id"])
	s.delivered(id, rids...)
	return id
}

// to is a push to devices; more are further members of what the drivers take.
func to(rids []string, more ...any) object {
	return audience(object{"registration_id": rids}, more...)
}

func audience(a any, more ...any) object {
	out := object{"audience": a}
	for i := 0; i+1 < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

// write makes a file for an upload.
func (s *session) write(name, content string) string {
	s.Helper()
	path := filepath.Join(s.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.Fatal(err)
	}
	return path
}

// text is a member of a result as text.
func text(result any, path ...any) string {
	for _, step := range path {
		switch at := step.(type) {
		case string:
			result = result.(object)[at]
		case int:
			result = result.(list)[at]
		}
	}
	return fmt.Sprint(result)
}
