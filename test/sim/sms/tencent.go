package sms

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"borealis/test/sim/phone"
)

// What the simulated account has at Tencent.
const (
	tencentID   = "simTencentSecretId"
	tencentKey  = "sim-tencent-secret-key"
	tencentApp  = "1400000001"
	tencentHost = "sms.tencentcloudapi.com"
)

var (
	tencentSigns     = []string{"仿真", "另一个"}
	tencentTemplates = map[string]string{"2001": "您的验证码是{1},{2}分钟内有效。", "2002": "您有一条新消息。"}
	tencentRegions   = []string{"ap-guangzhou", "ap-beijing", "ap-nanjing", "ap-singapore"}
)

// Tencent is a simulated Tencent Cloud. It is safe for concurrent use.
type Tencent struct{ service }

var _ phone.Simulator = (*Tencent)(nil)

// NewTencent returns a simulator of one account with one application.
func NewTencent(d phone.Deps) *Tencent {
	return &Tencent{newService(d, rule{30 * time.Second, 1}, rule{time.Hour, 5}, rule{day, 10})}
}

// Channel is sms_tencent.
func (s *Tencent) Channel() string { return "sms_tencent" }

// Credentials of the simulated account: template 1 has the parameters code and minutes, template 2 has none.
func (s *Tencent) Credentials() json.RawMessage {
	return json.RawMessage(`{"secret_id":"` + tencentID + `","secret_key":"` + tencentKey + `","sdk_app_id":"` + tencentApp +
		`","templates":{"1":{"id":"2001","parameters":["code","minutes"]},"2":"2002"},"signs":{"0":"仿真","1":"另一个"}}`)
}

// tencentFaults are codes for a whole call; those of tencentNumberFaults are answered for each number.
var (
	tencentFaults = map[string]string{
		"throttled": "RequestLimitExceeded", "expired": "AuthFailure.SignatureExpire", "secret": "AuthFailure.SecretIdNotFound",
		"permission": "UnauthorizedOperation", "internal": "InternalError", "app": "UnauthorizedOperation.SmsSdkAppIdVerifyFail",
	}
	tencentNumberFaults = map[string]string{
		"balance": "FailedOperation.InsufficientBalanceInSmsPackage", "template": "FailedOperation.TemplateIncorrectOrUnapproved",
		"signature": "FailedOperation.SignatureIncorrectOrUnapproved", "blacklist": "FailedOperation.PhoneNumberInBlacklist",
		"night": "FailedOperation.MarketingSendTimeConstraint", "sensitive": "FailedOperation.ContainSensitiveWord", "number": "InvalidParameterValue.IncorrectPhoneNumber",
		"frequency": "LimitExceeded.DeliveryFrequencyLimit", "half_minute": "LimitExceeded.PhoneNumberThirtySecondLimit",
		"same_content": "LimitExceeded.PhoneNumberSameContentDailyLimit", "app_day": "LimitExceeded.AppDailyLimit", "timeout": "InternalError.Timeout",
	}
)

// FaultNames are the names of Faults.
func (s *Tencent) FaultNames() []string {
	names := slices.Clone(transport)
	for _, codes := range []map[string]string{tencentFaults, tencentNumberFaults} {
		for name := range codes {
			names = append(names, name)
		}
	}
	return names
}

// tencentRequest is the body of SendSms.
type tencentRequest struct {
	PhoneNumberSet   []string
	SmsSdkAppID      string `json:"SmsSdkAppId"`
	TemplateID       string `json:"TemplateId"`
	SignName         string
	TemplateParamSet []string
	ExtendCode       string
	SessionContext   string
	SenderID         string `json:"SenderId"`
}

// ServeHTTP answers one call. Errors have status 200 too.
func (s *Tencent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := s.Faults.Take()
	if broken(w, fault) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	if code, known := tencentFaults[fault]; known {
		refuseTencent(w, code)
		return
	}
	var in tencentRequest
	code := s.admit(r, body)
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	switch {
	case code != "":
	case d.Decode(&in) != nil:
		code = "InvalidParameter"
	case len(in.PhoneNumberSet) == 0 || in.SmsSdkAppID == "" || in.TemplateID == "":
		code = "MissingParameter"
	case len(in.PhoneNumberSet) > 200:
		code = "LimitExceeded.PhoneNumberCountLimit"
	case in.SmsSdkAppID != tencentApp:
		code = "UnauthorizedOperation.SmsSdkAppIdVerifyFail"
	}
	if code != "" {
		refuseTencent(w, code)
		return
	}
	var set []map[string]any
	for _, number := range in.PhoneNumberSet {
		code := tencentNumberFaults[fault]
		if code == "" {
			code = s.send(&in, number)
		}
		serial, fee := "", 0
		if code == "Ok" {
			serial, fee = newID(), 1
		}
		set = append(set, map[string]any{
			"SerialNo": serial, "PhoneNumber": number, "Fee": fee, "SessionContext": in.SessionContext, "Code": code, "Message": code, "IsoCode": "CN",
		})
	}
	answer(w, http.StatusOK, map[string]any{"Response": map[string]any{"SendStatusSet": set, "RequestId": newID()}})
}

// admit checks what the gateway before the service checks.
func (s *Tencent) admit(r *http.Request, body []byte) string {
	stamp, err := strconv.ParseInt(r.Header.Get("X-Tc-Timestamp"), 10, 64)
	off := s.Clock.Now().Unix() - stamp
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	part := make(map[string]string)
	for piece := range strings.SplitSeq(rest, ", ") {
		name, value, _ := strings.Cut(piece, "=")
		part[name] = value
	}
	id, scope, _ := strings.Cut(part["Credential"], "/")
	date := time.Unix(stamp, 0).UTC().Format(time.DateOnly)
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("X-Tc-Action") != "SendSms":
		return "InvalidAction"
	case r.Header.Get("X-Tc-Version") != "2021-01-11":
		return "NoSuchVersion"
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		return "InvalidParameter"
	case !slices.Contains(tencentRegions, r.Header.Get("X-Tc-Region")):
		return "UnsupportedRegion"
	case err != nil || scheme != "TC3-HMAC-SHA256":
		return "AuthFailure.InvalidAuthorization"
	case off > 300 || off < -300:
		return "AuthFailure.SignatureExpire"
	case id != tencentID:
		return "AuthFailure.SecretIdNotFound"
	case scope != date+"/sms/tc3_request" || part["Signature"] != tencentSignature(r, part["SignedHeaders"], body, date):
		return "AuthFailure.SignatureFailure"
	}
	return ""
}

// tencentSignature is the TC3 signature that a call must have; "-" if it does not sign what it must.
func tencentSignature(r *http.Request, signed string, body []byte, date string) string {
	names := strings.Split(signed, ";")
	if !slices.Contains(names, "content-type") || !slices.Contains(names, "host") || !slices.IsSorted(names) {
		return "-"
	}
	var lines strings.Builder
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = tencentHost
		} else if name != "content-type" {
			value = strings.ToLower(value)
		}
		lines.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	request := "POST\n/\n\n" + lines.String() + "\n" + signed + "\n" + hashed(body)
	text := "TC3-HMAC-SHA256\n" + r.Header.Get("X-Tc-Timestamp") + "\n" + date + "/sms/tc3_request\n" + hashed([]byte(request))
	key := keyed(keyed(keyed([]byte("TC3"+tencentKey), date), "sms"), "tc3_request")
	return hex.EncodeToString(keyed(key, text))
}

// send sends to one number and has its code.
func (s *Tencent) send(in *tencentRequest, number string) string {
	text, known := tencentTemplates[in.TemplateID]
	chinese := strings.HasPrefix(number, "+86")
	broken := s.over(number)
	switch {
	case !e164(number):
		return "InvalidParameterValue.IncorrectPhoneNumber"
	case !known:
		return "FailedOperation.TemplateIncorrectOrUnapproved"
	case chinese && !slices.Contains(tencentSigns, in.SignName):
		return "FailedOperation.SignatureIncorrectOrUnapproved"
	case strings.Count(text, "{") != len(in.TemplateParamSet):
		return "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"
	case s.silent(number):
		return "FailedOperation.PhoneNumberInBlacklist"
	case broken != nil:
		return map[time.Duration]string{
			30 * time.Second: "LimitExceeded.PhoneNumberThirtySecondLimit", time.Hour: "LimitExceeded.PhoneNumberOneHourLimit", day: "LimitExceeded.PhoneNumberDailyLimit",
		}[broken.per]
	case !s.pay(1):
		return "FailedOperation.InsufficientBalanceInSmsPackage"
	}
	parameters := make(map[string]string)
	for i, value := range in.TemplateParamSet {
		n := strconv.Itoa(i + 1)
		text = strings.ReplaceAll(text, "{"+n+"}", value)
		parameters[n] = value
	}
	s.deliver(number, phone.Notification{ID: in.SessionContext, Title: in.SignName, Body: text}, parameters)
	return "Ok"
}

func refuseTencent(w http.ResponseWriter, code string) {
	answer(w, http.StatusOK, map[string]any{"Response": map[string]any{"Error": map[string]string{"Code": code, "Message": code}, "RequestId": newID()}})
}
