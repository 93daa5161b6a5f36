package wire

import (
	"net/http"
	"strconv"
)

// Refused is the outcome of an answer whose body says nothing, by its HTTP status: a vendor that answers in its own words only when
// it is well. A status of success is Unknown: something between us and the vendor answered, and it may have been accepted.
func (a Answer) Refused() Outcome {
	o := NewOutcome(Rejected, strconv.Itoa(a.Status), http.StatusText(a.Status))
	o.After = a.After
	switch {
	case a.Status < http.StatusMultipleChoices:
		o.Status, o.Reason = Unknown, "the answer is not understood"
	case a.Status < http.StatusBadRequest:
		o.Status = Failed
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden, a.Status == http.StatusProxyAuthRequired:
		o.Status = Denied
	case a.Status == http.StatusTooManyRequests:
		o.Status = Limited
	case a.Status == http.StatusGatewayTimeout, a.Status == http.StatusRequestTimeout:
		o.Status = Unknown
	case a.Status >= http.StatusInternalServerError:
		o.Status = Failed
	}
	return o
}
