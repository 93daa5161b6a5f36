package simulate

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// FleetOptions say which devices to run. URL, AppKey and Count are required.
type FleetOptions struct {
	// URL is the server's HTTP address, e.g. "http://127.0.0.1:8080".
	URL    string
	AppKey string
	// Count is the number of devices.
	Count int
	// Concurrency bounds the registrations and the attempts to connect that are under way at once; 0: 32.
	Concurrency int
	// Registration is what every device tells about itself.
	Registration RegisterOptions
	// Profile is set over HTTP before the devices connect, if it changes anything: whoever is online has it.
	Profile Profile
	// Device is how every device behaves; AppKey, Credentials and Slots are filled in.
	Device Options
}

// Fleet is a number of devices of one app.
type Fleet struct {
	o      FleetOptions
	slots  *semaphore.Weighted
	ready  chan struct{}
	online atomic.Int64
	first  sync.Once
}

// NewFleet returns a fleet; Run starts it.
func NewFleet(o FleetOptions) (*Fleet, error) {
	if o.URL == "" || o.AppKey == "" || o.Count < 1 {
		return nil, errors.New("simulate: URL, AppKey and a count of at least 1 are required")
	}
	o.Concurrency = min(cmp.Or(max(o.Concurrency, 0), 32), o.Count)
	if o.Registration.HTTP == nil {
		o.Registration.HTTP = &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: o.Concurrency, MaxConnsPerHost: o.Concurrency, Proxy: http.ProxyFromEnvironment},
		}
	}
	f := &Fleet{o: o, slots: semaphore.NewWeighted(int64(o.Concurrency)), ready: make(chan struct{})}
	f.o.Device.AppKey, f.o.Device.Slots, f.o.Device.change = o.AppKey, f.slots, f.change
	return f, nil
}

// Online is the number of devices connected now.
func (f *Fleet) Online() int { return int(f.online.Load()) }

// Ready is closed when all devices have been connected at the same time for the first time.
func (f *Fleet) Ready() <-chan struct{} { return f.ready }

func (f *Fleet) change(by int) {
	if f.online.Add(int64(by)) == int64(f.o.Count) {
		f.first.Do(func() { close(f.ready) })
	}
}

// Run registers the devices and keeps them connected until ctx ends, which is no error. It fails when a device cannot be
// registered, and when the server has turned every device away.
func (f *Fleet) Run(parent context.Context) error {
	defer f.o.Registration.HTTP.CloseIdleConnections()
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var (
		devices sync.WaitGroup
		mu      sync.Mutex
		last    error
	)
	for range f.o.Count {
		devices.Go(func() {
			d, err := f.enlist(ctx)
			if err != nil {
				cancel(err) // the next one would hear the same
				return
			}
			if err := d.Run(ctx); err != nil {
				mu.Lock()
				last = err
				mu.Unlock()
			}
		})
	}
	devices.Wait()
	switch {
	case parent.Err() != nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return last
}

// enlist registers a device; it waits for its turn, and as long as the server is busy.
func (f *Fleet) enlist(ctx context.Context) (*Device, error) {
	if err := f.slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer f.slots.Release(1)
	o := f.o.Device
	err := f.patiently(ctx, func() (err error) {
		o.Credentials, err = Register(ctx, f.o.URL, f.o.AppKey, f.o.Registration)
		return err
	})
	if err == nil && !f.o.Profile.IsZero() {
		err = f.patiently(ctx, func() error {
			return SetProfile(ctx, f.o.Registration.HTTP, f.o.URL, f.o.AppKey, o.Credentials, f.o.Profile)
		})
	}
	if err != nil {
		return nil, err
	}
	return NewDevice(o)
}

// patiently repeats a call for as long as the server says that it is only busy.
func (f *Fleet) patiently(ctx context.Context, do func() error) error {
	random := f.o.Device.Random
	if random == nil {
		random = rand.Float64
	}
	for n := 1; ; n++ {
		err := do()
		busy, ok := errors.AsType[*APIError](err)
		if !ok || !busy.Temporary() {
			return err
		}
		if err := pause(ctx, f.o.Device.Backoff.delay(n, random())); err != nil {
			return err
		}
	}
}
