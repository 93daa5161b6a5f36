package gate

import (
	"fmt"
	"net/http"
	"net/netip"

	"borealis/internal/kernel/ratelimit"
)

// RateKey is what calls are counted by.
type RateKey struct {
	App    int64
	Family Family
}

// Limiter counts calls in windows of a minute.
type Limiter = ratelimit.Windows[RateKey]

// Family is a group of calls that share one limit.
type Family string

// Families.
const (
	FamilyPush   Family = "push"
	FamilyDevice Family = "device"
	FamilyReport Family = "report"
	// FamilySchedule has the calls under /v3/schedules.
	FamilySchedule Family = "schedule"
	// FamilyFile has the file calls and what else the vendor counts with them.
	FamilyFile Family = "file"
)

// Call is a call of the server API.
type Call struct {
	App    *App
	Family Family
	// From is the address of the caller; the zero value passes the allow-list only when there is none.
	From netip.Addr
}

// Reason says why something is refused.
type Reason uint8

// Reasons.
const (
	NotEnabled Reason = iota + 1
	AddressNotAllowed
	TooManyCalls
)

// RefusedError is the error of Admit.
type RefusedError struct {
	Reason Reason
	// Detail for people.
	Detail string
}

// Error makes *RefusedError an error.
func (r *RefusedError) Error() string { return r.Detail }

// Admit decides whether a call may proceed, in the order state, address, rate. The rate result is valid in either
// case, for the headers.
func (g *Gate) Admit(c Call) (ratelimit.State, error) {
	s := c.App.Settings
	limit := map[Family]int{
		FamilyPush: s.PushRate, FamilyDevice: s.DeviceRate, FamilyReport: s.ReportRate, FamilySchedule: s.ScheduleRate, FamilyFile: s.FileRate,
	}[c.Family]
	key := RateKey{c.App.ID, c.Family}
	if c.App.State != Enabled {
		return g.limiter.Peek(key, limit), &RefusedError{NotEnabled, fmt.Sprintf("the app is %s", c.App.State)}
	}
	if !s.AllowsIP(c.From) {
		return g.limiter.Peek(key, limit), &RefusedError{AddressNotAllowed, "calls from this address are not allowed"}
	}
	rate := g.limiter.Take(key, limit)
	if !rate.Allowed {
		return rate, &RefusedError{TooManyCalls, "Rate limit exceeded"}
	}
	return rate, nil
}

// Handler answers a call of the server API that has been authenticated and admitted.
type Handler func(w http.ResponseWriter, r *http.Request, app *App)

// GroupHandler answers a call with the credentials of an app group.
type GroupHandler func(w http.ResponseWriter, r *http.Request, group *Group)

// DeveloperHandler answers a call with the credentials of a developer.
type DeveloperHandler func(w http.ResponseWriter, r *http.Request, developer *Developer)
