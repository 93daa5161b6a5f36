package sms

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"borealis/test/sim/phone"
)

// What the simulated account has at Aliyun.
const (
	aliyunKey    = "simAliyunKeyId"
	aliyunSecret = "sim-aliyun-key-secret"
)

var (
	aliyunSigns     = []string{"仿真", "另一个"}
	aliyunTemplates = map[string]string{"SMS_1001": "您的验证码是${code},${minutes}分钟内有效。", "SMS_1002": "您有一条新消息。"}
	// aliyunHosts are the addresses that a signature may name; the simulator has another.
	aliyunHosts = []string{"dysmsapi.aliyuncs.com", "dysmsapi.ap-southeast-1.aliyuncs.com"}
	aliyunParam = regexp.MustCompile(`\$\{([^}]+)\}`)
)

// Aliyun is a simulated Aliyun. It is safe for concurrent use.
type Aliyun struct{ service }

var _ phone.Simulator = (*Aliyun)(nil)

// NewAliyun returns a simulator of one account.
func NewAliyun(d phone.Deps) *Aliyun {
	return &Aliyun{newService(d, rule{time.Minute, 1}, rule{time.Hour, 5}, rule{day, 10})}
}

// Channel is sms_aliyun.
func (s *Aliyun) Channel() string { return "sms_aliyun" }

// Credentials of the simulated account: template 1 has the parameters code and minutes, template 2 has none.
func (s *Aliyun) Credentials() json.RawMessage {
	return json.RawMessage(`{"access_key_id":"` + aliyunKey + `","access_key_secret":"` + aliyunSecret +
		`","templates":{"1":"SMS_1001","2":"SMS_1002"},"signs":{"0":"仿真","1":"另一个"}}`)
}

// aliyunFault is how a fault is answered.
type aliyunFault struct {
	status int
	code   string
}

var aliyunFaults = map[string]aliyunFault{
	"throttled": {http.StatusBadRequest, "Throttling.User"}, "arrears": {http.StatusOK, "isv.OUT_OF_SERVICE"}, "balance": {http.StatusOK, "isv.AMOUNT_NOT_ENOUGH"},
	"template": {http.StatusOK, "isv.SMS_TEMPLATE_ILLEGAL"}, "signature": {http.StatusOK, "isv.SMS_SIGNATURE_ILLEGAL"},
	"number": {http.StatusOK, "isv.MOBILE_NUMBER_ILLEGAL"}, "minute": {http.StatusOK, "isv.BUSINESS_LIMIT_CONTROL"}, "day": {http.StatusOK, "isv.DAY_LIMIT_CONTROL"},
	"permission": {http.StatusOK, "isp.RAM_PERMISSION_DENY"}, "system": {http.StatusOK, "isp.SYSTEM_ERROR"}, "key": {http.StatusNotFound, "InvalidAccessKeyId.NotFound"},
	"nonce": {http.StatusBadRequest, "SignatureNonceUsed"}, "unavailable": {http.StatusServiceUnavailable, "ServiceUnavailable"},
}

// FaultNames are the names of Faults.
func (s *Aliyun) FaultNames() []string {
	names := slices.Clone(transport)
	for name := range aliyunFaults {
		names = append(names, name)
	}
	return names
}

// ServeHTTP answers one call.
func (s *Aliyun) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := s.Faults.Take()
	if broken(w, fault) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	if f, known := aliyunFaults[fault]; known {
		sayAliyun(w, f.status, f.code, fault)
		return
	}
	if status, code := s.admit(r, body); code != "" {
		sayAliyun(w, status, code, code)
		return
	}
	in := r.URL.Query()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			sayAliyun(w, http.StatusBadRequest, "InvalidParameter", "form")
			return
		}
		maps.Copy(in, form)
	}
	if r.Header.Get("X-Acs-Action") == "SendSms" {
		s.sendSms(w, in)
		return
	}
	s.sendBatch(w, in)
}

// admit checks what the gateway before the service checks.
func (s *Aliyun) admit(r *http.Request, body []byte) (int, string) {
	action, date, nonce := r.Header.Get("X-Acs-Action"), r.Header.Get("X-Acs-Date"), r.Header.Get("X-Acs-Signature-Nonce")
	at, err := time.Parse("2006-01-02T15:04:05Z", date)
	off := s.Clock.Now().Sub(at)
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	part := make(map[string]string)
	for piece := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(piece, "=")
		part[name] = value
	}
	hash := r.Header.Get("X-Acs-Content-Sha256")
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/" || action != "SendSms" && action != "SendBatchSms":
		return http.StatusNotFound, "InvalidAction.NotFound"
	case r.Header.Get("X-Acs-Version") != "2017-05-25":
		return http.StatusBadRequest, "InvalidVersion"
	case err != nil:
		return http.StatusBadRequest, "InvalidTimeStamp.Format"
	case off > 15*time.Minute || off < -15*time.Minute:
		return http.StatusBadRequest, "InvalidTimeStamp.Expired"
	case scheme != "ACS3-HMAC-SHA256" || part["Signature"] == "" || part["SignedHeaders"] == "" || nonce == "":
		return http.StatusBadRequest, "IncompleteSignature"
	case part["Credential"] != aliyunKey:
		return http.StatusNotFound, "InvalidAccessKeyId.NotFound"
	case hash != hashed(body) || !aliyunSigned(r, part, hash):
		return http.StatusBadRequest, "SignatureDoesNotMatch"
	case !s.fresh(nonce):
		return http.StatusBadRequest, "SignatureNonceUsed"
	}
	return 0, ""
}

// aliyunSigned checks an ACS3 signature, for any of the service's addresses.
func aliyunSigned(r *http.Request, part map[string]string, hash string) bool {
	names := strings.Split(part["SignedHeaders"], ";")
	if !slices.IsSorted(names) {
		return false
	}
	for _, needed := range []string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"} {
		if !slices.Contains(names, needed) {
			return false
		}
	}
	var pairs []string
	for name, values := range r.URL.Query() {
		pairs = append(pairs, rfc3986(name)+"="+rfc3986(values[0]))
	}
	slices.Sort(pairs)
	for _, host := range aliyunHosts {
		var b bytes.Buffer
		b.WriteString("POST\n/\n" + strings.Join(pairs, "&") + "\n")
		for _, name := range names {
			value := strings.TrimSpace(r.Header.Get(name))
			if name == "host" {
				value = host
			}
			b.WriteString(name + ":" + value + "\n")
		}
		b.WriteString("\n" + part["SignedHeaders"] + "\n" + hash)
		if hex.EncodeToString(keyed([]byte(aliyunSecret), "ACS3-HMAC-SHA256\n"+hashed(b.Bytes()))) == part["Signature"] {
			return true
		}
	}
	return false
}

func (s *Aliyun) sendSms(w http.ResponseWriter, in url.Values) {
	for _, name := range []string{"PhoneNumbers", "SignName", "TemplateCode"} {
		if in.Get(name) == "" {
			sayAliyun(w, http.StatusBadRequest, "Missing"+name, name+" is mandatory for this action.")
			return
		}
	}
	parameters := map[string]string{}
	if text := in.Get("TemplateParam"); text != "" && json.Unmarshal([]byte(text), &parameters) != nil {
		sayAliyun(w, http.StatusOK, "isv.INVALID_JSON_PARAM", "TemplateParam")
		return
	}
	numbers := strings.Split(in.Get("PhoneNumbers"), ",")
	signs, all := make([]string, len(numbers)), make([]map[string]string, len(numbers))
	for i := range numbers {
		signs[i], all[i] = in.Get("SignName"), parameters
	}
	s.send(w, in, 1000, numbers, signs, all)
}

func (s *Aliyun) sendBatch(w http.ResponseWriter, in url.Values) {
	var numbers, signs []string
	var all []map[string]string
	for name, into := range map[string]any{"PhoneNumberJson": &numbers, "SignNameJson": &signs, "TemplateParamJson": &all} {
		text := in.Get(name)
		if text == "" && name != "TemplateParamJson" {
			sayAliyun(w, http.StatusBadRequest, "Missing"+name, name+" is mandatory for this action.")
			return
		}
		if text != "" && json.Unmarshal([]byte(text), into) != nil {
			sayAliyun(w, http.StatusOK, "isv.INVALID_JSON_PARAM", name)
			return
		}
	}
	if in.Get("TemplateCode") == "" {
		sayAliyun(w, http.StatusBadRequest, "MissingTemplateCode", "TemplateCode is mandatory for this action.")
		return
	}
	if all == nil {
		all = make([]map[string]string, len(numbers))
	}
	if len(signs) != len(numbers) || len(all) != len(numbers) {
		sayAliyun(w, http.StatusOK, "isv.INVALID_PARAMETERS", "as many signatures and parameters as numbers")
		return
	}
	s.send(w, in, 100, numbers, signs, all)
}

// send takes all of the messages or none.
func (s *Aliyun) send(w http.ResponseWriter, in url.Values, most int, numbers, signs []string, all []map[string]string) {
	text, known := aliyunTemplates[in.Get("TemplateCode")]
	code, message := "OK", "OK"
	switch {
	case !known:
		code = "isv.SMS_TEMPLATE_ILLEGAL"
	case len(numbers) == 0 || len(numbers) > most:
		code = "isv.MOBILE_COUNT_OVER_LIMIT"
	}
	full := make([]string, len(numbers))
	for i := 0; i < len(numbers) && code == "OK"; i++ {
		full[i] = aliyunNumber(numbers[i])
		broken := s.over(full[i])
		switch {
		case full[i] == "":
			code = "isv.MOBILE_NUMBER_ILLEGAL"
		case !slices.Contains(aliyunSigns, signs[i]):
			code = "isv.SMS_SIGNATURE_ILLEGAL"
		case !aliyunComplete(text, all[i]):
			code = "isv.TEMPLATE_MISSING_PARAMETERS"
		case broken != nil:
			code, message = "isv.BUSINESS_LIMIT_CONTROL", map[time.Duration]string{
				time.Minute: "触发分钟级流控Permits:1", time.Hour: "触发小时级流控Permits:5", day: "触发天级流控Permits:10",
			}[broken.per]
		}
	}
	if code == "OK" && !s.pay(len(numbers)) {
		code = "isv.AMOUNT_NOT_ENOUGH"
	}
	if code != "OK" {
		sayAliyun(w, http.StatusOK, code, message)
		return
	}
	for i, number := range full {
		body := aliyunParam.ReplaceAllStringFunc(text, func(p string) string { return all[i][p[2:len(p)-1]] })
		s.deliver(number, phone.Notification{ID: in.Get("OutId"), Title: signs[i], Body: body}, all[i])
	}
	answer(w, http.StatusOK, map[string]string{"Code": "OK", "Message": "OK", "BizId": newID(), "RequestId": newID()})
}

func aliyunComplete(text string, parameters map[string]string) bool {
	for _, p := range aliyunParam.FindAllStringSubmatch(text, -1) {
		if parameters[p[1]] == "" {
			return false
		}
	}
	return true
}

// aliyunNumber reads a number: 11 digits from 1 are a Chinese one, with +, +86, 0086, 86 or nothing before; all else begins with its country,
// and may have 00 before it.
func aliyunNumber(text string) string {
	digits := strings.TrimPrefix(strings.TrimPrefix(text, "+"), "00")
	if len(digits) == 11 && digits[0] == '1' && !strings.HasPrefix(text, "00") {
		digits = "86" + digits
	}
	if !e164("+" + digits) {
		return ""
	}
	return "+" + digits
}

func rfc3986(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func sayAliyun(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]string{"Code": code, "Message": message, "RequestId": newID()})
}
