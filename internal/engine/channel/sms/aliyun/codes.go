package aliyun

import (
	"slices"
	"strings"
	"time"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
)

// Codes of Aliyun by what they mean. Those of no list say that the message is not taken: its template, signature or text.
var (
	// perMessage are about one number or its parameters: of a batch, the other messages may be good.
	perMessage = []string{
		"isv.MOBILE_NUMBER_ILLEGAL", "isv.BUSINESS_LIMIT_CONTROL", "isv.TEMPLATE_MISSING_PARAMETERS", "isv.TEMPLATE_PARAMS_ILLEGAL", "isv.PARAM_LENGTH_LIMIT",
		"isv.PARAM_NOT_SUPPORT_URL", "isv.BLACK_KEY_CONTROL_LIMIT", "isv.DOMESTIC_NUMBER_NOT_SUPPORTED", "isv.SMS_TEST_NUMBER_LIMIT", "isv.INVALID_PARAMETERS",
		"isv.SMS_CONTENT_ILLEGAL",
	}
	denied = []string{
		"isv.AMOUNT_NOT_ENOUGH", "isv.OUT_OF_SERVICE", "isv.ACCOUNT_NOT_EXISTS", "isv.ACCOUNT_ABNORMAL", "isv.PRODUCT_UN_SUBSCRIPT", "isv.PRODUCT_UNSUBSCRIBE",
		"isp.RAM_PERMISSION_DENY", "isv.DENY_IP_RANGE", "InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive", "InvalidAccessKeyId", "SignatureDoesNotMatch",
		"IncompleteSignature", "InvalidTimeStamp.Expired", "InvalidTimeStamp.Format", "Forbidden", "Forbidden.RAM", "Forbidden.AccessKeyDisabled", "NoPermission",
		"InvalidSecurityToken.Expired",
	}
	limited = []string{"Throttling", "Throttling.User", "Throttling.Api"}
	failed  = []string{"isp.SYSTEM_ERROR", "isv.SYSTEM_ERROR", "isp.UNKNOWN_ERR_CODE", "ServiceUnavailable", "InternalError", "SignatureNonceUsed"}
)

// outcome is what a code means; alone says that it is about one message.
func (p *Provider) outcome(code, message string) (o wire.Outcome, alone bool) {
	o = wire.NewOutcome(wire.Rejected, code, message)
	alone = slices.Contains(perMessage, code)
	switch {
	case code == "OK":
		o.Status = wire.Accepted
	case code == "isv.MOBILE_NUMBER_ILLEGAL":
		o.Status = wire.Invalid
	case code == "isv.BUSINESS_LIMIT_CONTROL":
		return smswire.Flow(flow(message), p.clock.Now(), code, message), alone
	case code == "isv.DAY_LIMIT_CONTROL":
		return smswire.Flow(24*time.Hour, p.clock.Now(), code, message), alone
	case code == "isv.MONTH_LIMIT_CONTROL":
		o.Status = wire.Quota
	case slices.Contains(denied, code):
		o.Status = wire.Denied
	case slices.Contains(limited, code):
		o.Status = wire.Limited
	case slices.Contains(failed, code):
		o.Status = wire.Failed
	}
	return o, alone
}

// flow reads which of the limits of a number was met: one message a minute, five an hour, ten a day.
func flow(message string) time.Duration {
	switch {
	case strings.Contains(message, "天"), strings.Contains(message, "day"):
		return 24 * time.Hour
	case strings.Contains(message, "小时"), strings.Contains(message, "hour"):
		return time.Hour
	}
	return time.Minute
}
