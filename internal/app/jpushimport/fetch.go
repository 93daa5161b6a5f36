package jpushimport

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"borealis/internal/service/push/relay/vendor"
)

const (
	// fetchAttempts is how often one device is asked for before the run ends; it can be continued.
	fetchAttempts = 10
	maxFetchPause = time.Minute
)

// Fetcher completes devices from the vendor's REST API.
type Fetcher struct {
	client *vendor.Client
	pace   *rate.Limiter
	// wait is time.After that ends with ctx; tests replace it.
	wait func(ctx context.Context, d time.Duration) error
	// next is how long the vendor wants to be left alone before the next call.
	next time.Duration
}

// NewFetcher asks at most perMinute times a minute, and less where the vendor's headers say so. The error is that of the address.
func NewFetcher(address, key, secret string, perMinute int) (*Fetcher, error) {
	c, err := vendor.New(vendor.HTTPClient(nil), address, key, secret)
	if err != nil {
		return nil, err
	}
	return &Fetcher{client: c, pace: rate.NewLimiter(rate.Limit(float64(perMinute)/60), max(1, perMinute/60)), wait: sleep}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Fetch asks for tags, alias and mobile number; what the file says of a device wins. A device that the vendor does not know is a
// *LineError, credentials that it does not take and a vendor that does not answer for long end the run.
func (f *Fetcher) Fetch(ctx context.Context, d *Device) error {
	for attempt := 1; ; attempt++ {
		if f.next > 0 {
			if err := f.wait(ctx, f.next); err != nil {
				return err
			}
		}
		if err := f.pace.Wait(ctx); err != nil {
			return err
		}
		got, a, err := f.client.Device(ctx, d.RegistrationID)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.next = a.Pause()
		switch {
		case err == nil && a.OK():
			d.complete(got)
			return nil
		case err == nil && a.Status == http.StatusTooManyRequests:
			attempt-- // it says when to come back
		case err == nil && (a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden || a.Code == 7008 || a.Code == 1008):
			return fmt.Errorf("the vendor refuses the app key, the secret or this address: %s", a)
		case err == nil && a.Status < http.StatusInternalServerError:
			return &LineError{Reason: fmt.Sprintf("the vendor does not know %s: %s", d.RegistrationID, a)}
		case attempt == fetchAttempts && err != nil:
			return fmt.Errorf("the vendor does not answer: %w", err)
		case attempt == fetchAttempts:
			return fmt.Errorf("the vendor does not answer: %s", a)
		default:
			f.next = max(f.next, min(time.Second<<(attempt-1), maxFetchPause))
		}
	}
}

// complete fills in what the file left open.
func (d *Device) complete(from vendor.Device) {
	if d.Tags == nil {
		d.Tags = from.Tags
	}
	if d.Alias == "" {
		d.Alias = from.Alias
	}
	if d.Mobile == "" {
		d.Mobile = from.Mobile
	}
}
