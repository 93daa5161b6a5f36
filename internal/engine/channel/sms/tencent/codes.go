package tencent

import (
	"slices"
	"strings"
	"time"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
)

// Codes of Tencent by what they mean. Those of no list say that the message is not taken: its template, signature or text.
var (
	invalid = []string{"InvalidParameterValue.IncorrectPhoneNumber"}
	denied  = []string{
		"FailedOperation.InsufficientBalanceInSmsPackage", "UnauthorizedOperation.SmsSdkAppIdVerifyFail", "UnauthorizedOperation.SdkAppIdIsDisabled",
		"UnauthorizedOperation.ServiceSuspendDueToArrears", "UnauthorizedOperation.RequestIpNotInWhitelist", "UnauthorizedOperation.RequestPermissionDeny",
		"UnauthorizedOperation.IndividualUserMarketingSmsPermissionDeny", "UnauthorizedOperation", "InvalidParameterValue.SdkAppIdNotExist",
		"AuthFailure", "UnsupportedOperation.UnsupportedRegion",
	}
	limited = []string{"LimitExceeded.DeliveryFrequencyLimit", "RequestLimitExceeded", "LimitExceeded"}
	failed  = []string{
		"InternalError", "InternalError.OtherError", "InternalError.Timeout", "InternalError.SendAndRecvFail", "InternalError.RequestTimeException",
		"InternalError.RestApiInterfaceNotExist", "InternalError.SigFieldMissing", "InternalError.SigVerificationFail", "InternalError.UnknownError",
		"ResourceUnavailable", "ServiceUnavailable",
	}
	// flows are limits of one number or of the account, by the time until they end.
	flows = map[string]time.Duration{
		"LimitExceeded.PhoneNumberThirtySecondLimit": 30 * time.Second, "LimitExceeded.PhoneNumberOneHourLimit": time.Hour,
		"LimitExceeded.PhoneNumberDailyLimit": 24 * time.Hour, "LimitExceeded.PhoneNumberSameContentDailyLimit": 24 * time.Hour,
		"LimitExceeded.AppDailyLimit": 24 * time.Hour, "LimitExceeded.DailyLimit": 24 * time.Hour, "LimitExceeded.AppMainlandChinaDailyLimit": 24 * time.Hour,
		"LimitExceeded.AppGlobalDailyLimit": 24 * time.Hour, "LimitExceeded.AppCountryOrRegionDailyLimit": 24 * time.Hour,
	}
)

// firstHour is when Tencent begins to send marketing, in hours of Beijing; it ends at 22.
const firstHour = 8

// outcome is what a code means.
func (p *Provider) outcome(code, message string) wire.Outcome {
	if per, ok := flows[code]; ok {
		return smswire.Flow(per, p.clock.Now(), code, message)
	}
	o := wire.NewOutcome(wire.Rejected, code, message)
	switch {
	case code == "Ok":
		o.Status = wire.Accepted
	case code == "FailedOperation.MarketingSendTimeConstraint":
		o.Status, o.After = wire.Quota, wire.UntilHour(p.clock.Now(), firstHour)
	case code == "FailedOperation.PhoneNumberInBlacklist": // its owner wants no messages
		o.Status = wire.Silenced
	case slices.Contains(invalid, code):
		o.Status = wire.Invalid
	case slices.Contains(denied, code), strings.HasPrefix(code, "AuthFailure."):
		o.Status = wire.Denied
	case slices.Contains(limited, code):
		o.Status = wire.Limited
	case slices.Contains(failed, code):
		o.Status = wire.Failed
	}
	return o
}
