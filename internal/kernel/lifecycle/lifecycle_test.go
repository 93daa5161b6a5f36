package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"borealis/internal/kernel/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

// journal records what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, " ")
}

// module writes +name when started and -name when stopped.
func (j *journal) module(name string, needs ...string) lifecycle.Module {
	return lifecycle.Module{
		Name: name, Needs: needs,
		Start: func(context.Context) error { j.add("+" + name); return nil },
		Stop:  func(context.Context) error { j.add("-" + name); return nil },
	}
}

func group(t *testing.T, modules ...lifecycle.Module) *lifecycle.Group {
	t.Helper()
	g, err := lifecycle.NewGroup(lifecycle.Options{Log: slog.New(slog.DiscardHandler)}, modules...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// run starts the group and returns what Run returned, in a channel.
func run(ctx context.Context, g *lifecycle.Group) <-chan error {
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	return done
}

func states(g *lifecycle.Group) string {
	var s []string
	for _, st := range g.States() {
		s = append(s, st.Name+"="+string(st.State))
	}
	return strings.Join(s, " ")
}

func TestStartsInOrderOfNeedsAndStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		g := group(t, j.module("http", "push", "db"), j.module("push", "bus", "db"), j.module("db"), j.module("bus"))
		if got := states(g); got != "bus=new db=new push=new http=new" {
			t.Errorf("order %s", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := run(ctx, g)
		synctest.Wait()
		if err := g.Ready(); err != nil || j.String() != "+bus +db +push +http" {
			t.Errorf("running: %v, %s", err, &j)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("clean stop: %v", err)
		}
		if j.String() != "+bus +db +push +http -http -push -db -bus" {
			t.Errorf("journal %s", &j)
		}
		if got := states(g); got != "bus=stopped db=stopped push=stopped http=stopped" {
			t.Errorf("states %s", got)
		}
	})
}

func TestGraphErrors(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		modules []lifecycle.Module
		want    string
	}{
		"unknown":   {[]lifecycle.Module{{Name: "a", Needs: []string{"b"}}}, `"a" needs "b"`},
		"cycle":     {[]lifecycle.Module{{Name: "x", Needs: []string{"a"}}, {Name: "a", Needs: []string{"b"}}, {Name: "b", Needs: []string{"a"}}}, "a → b → a"},
		"self":      {[]lifecycle.Module{{Name: "a", Needs: []string{"a"}}}, "a → a"},
		"duplicate": {[]lifecycle.Module{{Name: "a"}, {Name: "a"}}, `two modules are named "a"`},
		"nameless":  {[]lifecycle.Module{{}}, "no name"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := lifecycle.NewGroup(lifecycle.Options{Log: slog.New(slog.DiscardHandler)}, c.modules...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestFailedStartStopsWhatWasStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		bad := j.module("bad", "a")
		bad.Start = func(context.Context) error { return errBoom }
		g := group(t, j.module("a"), bad, j.module("never", "bad"))
		err := g.Run(t.Context())
		if !errors.Is(err, errBoom) || !strings.Contains(err.Error(), "start bad") {
			t.Errorf("error %v", err)
		}
		if j.String() != "+a -a" {
			t.Errorf("journal %s", &j)
		}
		if got := states(g); got != "a=stopped bad=failed never=new" {
			t.Errorf("states %s", got)
		}
	})
}

func TestFailingRunStopsAll(t *testing.T) {
	for name, c := range map[string]struct {
		ret  error
		want error
	}{"with an error": {errBoom, errBoom}, "without": {nil, lifecycle.ErrEnded}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				worker := j.module("worker", "a")
				worker.Run = func(context.Context) error { time.Sleep(time.Minute); return c.ret }
				g := group(t, j.module("a"), worker, j.module("b", "worker"))
				done := run(t.Context(), g)
				synctest.Wait()
				if err := g.Ready(); err != nil {
					t.Errorf("not ready: %v", err)
				}
				if err := <-done; !errors.Is(err, c.want) || !strings.Contains(err.Error(), "run worker") {
					t.Errorf("error %v", err)
				}
				if j.String() != "+a +worker +b -b -worker -a" {
					t.Errorf("journal %s", &j)
				}
				if got := states(g); got != "a=stopped worker=failed b=stopped" {
					t.Errorf("states %s", got)
				}
			})
		})
	}
}

// A failure while a later module starts must not wait for that start.
func TestFailureInterruptsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worker := lifecycle.Module{Name: "worker", Run: func(context.Context) error { time.Sleep(time.Second); return errBoom }}
		slow := lifecycle.Module{Name: "slow", Start: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		g := group(t, worker, slow)
		if err := g.Run(t.Context()); !errors.Is(err, errBoom) || errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if got := states(g); got != "worker=failed slow=stopped" {
			t.Errorf("states %s", got)
		}
	})
}

func TestCancelledWhileStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		slow := lifecycle.Module{Name: "slow", Start: func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("dial: %w", ctx.Err()) }}
		g := group(t, j.module("a"), slow)
		ctx, cancel := context.WithCancel(t.Context())
		done := run(ctx, g)
		synctest.Wait()
		if err := g.Ready(); err == nil || err.Error() != "slow is starting" {
			t.Errorf("ready: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("error %v", err)
		}
		if j.String() != "+a -a" {
			t.Errorf("journal %s", &j)
		}
	})
}

// What a module needs keeps running until that module has stopped.
func TestNeedsOutliveTheirUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		loop := func(name string, takes time.Duration) func(context.Context) error {
			return func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(takes)
				j.add(name + " ended")
				return ctx.Err()
			}
		}
		g := group(t,
			lifecycle.Module{Name: "bus", Run: loop("bus", 0)},
			lifecycle.Module{Name: "worker", Needs: []string{"bus"}, Run: loop("worker", time.Second)},
		)
		ctx, cancel := context.WithCancel(t.Context())
		done := run(ctx, g)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil || j.String() != "worker ended bus ended" {
			t.Errorf("%v: %s", err, &j)
		}
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		release := make(chan struct{})
		stuck := lifecycle.Module{Name: "stuck", Needs: []string{"a"}, StopTimeout: 3 * time.Second,
			Stop: func(context.Context) error { <-release; return nil }}
		deaf := lifecycle.Module{Name: "deaf", Needs: []string{"a"}, Run: func(context.Context) error { <-release; return nil }}
		g := group(t, j.module("a"), stuck, deaf)
		ctx, cancel := context.WithCancel(t.Context())
		done := run(ctx, g)
		synctest.Wait()
		cancel()
		begin := time.Now()
		err := <-done
		if took := time.Since(begin); took != 13*time.Second { // 10 s by default and 3 s
			t.Errorf("took %s", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stop stuck: did not return from Stop") ||
			!strings.Contains(err.Error(), "stop deaf: did not return from Run") {
			t.Errorf("error %v", err)
		}
		if j.String() != "+a -a" {
			t.Errorf("the module they need was not stopped: %s", &j)
		}
		close(release)
	})
}

func TestDrainTimeoutBoundsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var modules []lifecycle.Module
		for i := range 10 {
			modules = append(modules, lifecycle.Module{Name: fmt.Sprint(i), Stop: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		}
		g := group(t, modules...)
		ctx, cancel := context.WithCancel(t.Context())
		done := run(ctx, g)
		synctest.Wait()
		cancel()
		begin := time.Now()
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begin); took != 30*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestReadyNamesAllThatAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := func() error { return errBoom }
		g := group(t, lifecycle.Module{Name: "a", Ready: broken}, lifecycle.Module{Name: "b"}, lifecycle.Module{Name: "c", Ready: broken})
		if err := g.Ready(); err == nil || err.Error() != "a is new\nb is new\nc is new" {
			t.Errorf("before: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := run(ctx, g)
		synctest.Wait()
		if err := g.Ready(); err == nil || err.Error() != "a: boom\nc: boom" {
			t.Errorf("running: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
