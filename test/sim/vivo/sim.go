// Package vivo is a simulated vivo Push. It is written from vivo's documents and shares no code with the package that
// sends, so that each checks the other.
package vivo

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"borealis/test/sim/phone"
)

// What the simulated app has at vivo.
const (
	appID     = 103001
	appKey    = "sim-vivo-app-key"
	appSecret = "sim-vivo-app-secret"
)

const (
	// skew is how far a timestamp may be off.
	skew = 10 * time.Minute
	// tokenLife of an access token.
	tokenLife = 24 * time.Hour
	// maxBody of a call, in bytes; maxKept bounds what is remembered of each kind.
	maxBody = 4 << 20
	maxKept = 1_000_000
	// authRate is how many access tokens may be asked for in a second.
	authRate = 10
)

// Sim is a simulated vivo Push. It is safe for concurrent use.
type Sim struct {
	phone.Deps

	mu     sync.Mutex
	tokens map[string]time.Time
	// saved are messages for lists, by their task ids.
	saved map[string]message
	// done are the task ids of requests that were served, by request id.
	done map[string]string
	// testers are devices that get test messages.
	testers map[string]bool
	// sent counts marketing and system messages of day, quota is what is allowed of each.
	sent, quota [2]int
	day         string
	reportTo    string
	auths       int
	// second is when the auths of inSecond were asked for.
	second   int64
	inSecond int
}

var (
	_ phone.Simulator = (*Sim)(nil)
	_ phone.Reporter  = (*Sim)(nil)
)

// New returns a simulator for one app with a daily quota of 100,000 messages of each class.
func New(d phone.Deps) *Sim {
	return &Sim{
		Deps: d, tokens: make(map[string]time.Time), saved: make(map[string]message), done: make(map[string]string), testers: make(map[string]bool),
		quota: [2]int{100_000, 100_000},
	}
}

// Channel is vivo.
func (s *Sim) Channel() string { return "vivo" }

// Credentials of the simulated app.
func (s *Sim) Credentials() json.RawMessage {
	return json.RawMessage(`{"app_id":"` + strconv.Itoa(appID) + `","app_key":"` + appKey + `","app_secret":"` + appSecret + `"}`)
}

// SetQuota changes how many messages of marketing and of the system the app may send on a day.
func (s *Sim) SetQuota(marketing, system int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quota = [2]int{marketing, system}
}

// AddTester registers a device for test messages.
func (s *Sim) AddTester(regID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.testers[regID] = true
}

// Auths is how many access tokens were given out.
func (s *Sim) Auths() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auths
}

// ReportTo names the address for receipts that is registered under every callback.id; it also replaces the address that
// messages name. Empty: that of the messages.
func (s *Sim) ReportTo(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reportTo = url
}

// codes are what vivo says with its codes.
var codes = map[int]string{
	0: "请求成功", 10000: "权限认证失败", 10040: "资源已达上限", 10043: "应用已关闭push通道", 10045: "应用审核中", 10050: "regId不能为空", 10051: "不支持该消息类型",
	10054: "notifyType不合法", 10055: "title不能为空", 10056: "title过长", 10057: "content不能为空", 10058: "content过长", 10059: "timeToLive不合法",
	10060: "skipType不合法", 10061: "skipContent不合法", 10065: "networkType不合法", 10067: "自定义key和value过长", 10070: "运营消息发送量超出限制", 10071: "超出发送时间允许范围",
	10072: "推送速度过快", 10073: "系统消息发送量超出限制", 10082: "系统消息开关未打开", 10085: "推送内容不合法", 10093: "鉴权过于频繁", 10094: "鉴权码与appId不一致",
	10095: "notifyId不合法", 10096: "category不合法", 10097: "category与classification不对应", 10103: "推送内容含敏感信息", 10104: "请发送正式消息",
	10150: "regIds不能为空", 10151: "taskId不能为空", 10152: "taskId不合法", 10153: "regIds个数不合法", 10155: "消息不存在或已过期", 10200: "appId不能为空",
	10201: "appKey不能为空", 10202: "appKey不合法", 10203: "timestamp不能为空", 10204: "sign不能为空", 10205: "appId不存在", 10206: "sign不正确", 10207: "timestamp不合法",
	10252: "批量发送消息体超出限制", 10302: "regId不合法", 10304: "extra含不支持的key", 10305: "callback过长", 10306: "callback.param过长", 10311: "设备当前无法推送",
	10352: "requestId不能为空", 10353: "requestId过长",
}

// faults are what phone.Faults may name: codes by a word.
var faults = map[string]int{
	"unauthorized": 10000, "busy": 10040, "closed": 10043, "in_review": 10045, "marketing_quota": 10070, "night": 10071, "too_fast": 10072, "system_quota": 10073,
	"system_off": 10082, "text": 10085, "auth_too_fast": 10093, "other_app": 10094, "sensitive": 10103, "no_formal_text": 10104, "message_gone": 10155,
	"save_quota": 10252, "invalid_regid": 10302, "unreachable": 10311, "wrong_key": 10202, "wrong_app": 10205, "wrong_sign": 10206, "wrong_time": 10207,
}

// FaultNames are the names of Faults.
func (s *Sim) FaultNames() []string {
	names := []string{"cut", "html", "http_500", "http_503"}
	for name := range faults {
		names = append(names, name)
	}
	return names
}

// ServeHTTP answers one call of an app's server.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.broken(w, s.Faults.Take()) {
		return
	}
	serve := map[string]func(http.ResponseWriter, *http.Request){
		"/message/auth": s.auth, "/message/send": s.send, "/message/saveListPayload": s.save, "/message/pushToList": s.pushToList,
		"/livemessage/send": s.live,
	}[r.URL.Path]
	switch {
	case serve == nil:
		w.WriteHeader(http.StatusNotFound)
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	default:
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		serve(w, r)
	}
}

func (s *Sim) broken(w http.ResponseWriter, fault string) bool {
	code, known := faults[fault]
	switch {
	case known:
		say(w, code, nil)
	case fault == "cut":
		panic(http.ErrAbortHandler)
	case fault == "html":
		_, _ = w.Write([]byte("<html><body>maintenance</body></html>"))
	case fault == "http_500":
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("Internet server error!"))
	case fault == "http_503":
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		return false
	}
	return true
}

func (s *Sim) auth(w http.ResponseWriter, r *http.Request) {
	var in struct {
		AppID     int64  `json:"appId"`
		AppKey    string `json:"appKey"`
		Timestamp int64  `json:"timestamp"`
		Sign      string `json:"sign"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	now := s.Clock.Now()
	off := now.Sub(time.UnixMilli(in.Timestamp))
	sum := md5.Sum([]byte(strconv.Itoa(appID) + appKey + strconv.FormatInt(in.Timestamp, 10) + appSecret))
	code := 0
	switch {
	case in.AppID == 0:
		code = 10200
	case in.AppID != appID:
		code = 10205
	case in.AppKey == "":
		code = 10201
	case in.AppKey != appKey:
		code = 10202
	case in.Timestamp == 0:
		code = 10203
	case off > skew || off < -skew:
		code = 10207
	case in.Sign == "":
		code = 10204
	case in.Sign != hex.EncodeToString(sum[:]):
		code = 10206
	case s.tooFast(now):
		code = 10093
	}
	if code != 0 {
		say(w, code, nil)
		return
	}
	token := newID()
	s.mu.Lock()
	if len(s.tokens) >= maxKept {
		clear(s.tokens)
	}
	s.tokens[token] = now.Add(tokenLife)
	s.auths++
	s.mu.Unlock()
	say(w, 0, map[string]any{"authToken": token})
}

// tooFast counts the access tokens of a second.
func (s *Sim) tooFast(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Unix() != s.second {
		s.second, s.inSecond = now.Unix(), 0
	}
	s.inSecond++
	return s.inSecond > authRate
}

// admit is the code for an access token and the app id of a message, 0 if both are good.
func (s *Sim) admit(r *http.Request, app int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.tokens[r.Header.Get("authToken")]
	switch {
	case !known || !s.Clock.Now().Before(until):
		return 10000
	case app != appID:
		return 10094
	}
	return 0
}

func say(w http.ResponseWriter, code int, more map[string]any) {
	answer := map[string]any{"result": code, "desc": codes[code]}
	maps.Copy(answer, more)
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_ = json.NewEncoder(w).Encode(answer)
}

func newID() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
