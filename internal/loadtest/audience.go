package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// AudienceOptions say how large an audience is measured.
type AudienceOptions struct {
	// Devices of the app.
	Devices int
	// Dir is where the database is made, in a directory of its own; empty: where temporary files are.
	Dir string
	// Rounds of each measurement that takes microseconds or milliseconds.
	Rounds int
	// Progress takes a line for each thing that is begun; nil: nobody listens.
	Progress io.Writer
}

const maxAudience = 50_000_000

func (o *AudienceOptions) check() error {
	if o.Devices < 20_000 || o.Devices > maxAudience {
		return fmt.Errorf("bench: the number of devices must be between 20,000 and %d", maxAudience)
	}
	if o.Rounds < 1 || o.Rounds > 10_000 {
		return errors.New("bench: rounds must be 1 to 10,000")
	}
	return nil
}

// Audience measures the index of who is meant, in this process and with a database of its own, beside the roaring
// library with one bitmap for each step: how long sets take to build, to be written, to be loaded by a start; what
// memory they need; what expressions, registration ids and changes cost.
func Audience(ctx context.Context, o AudienceOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "borealis-audience-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	b := &audienceBench{
		o: o, path: filepath.Join(dir, "audience.db"), crowd: newCrowd(o.Devices), log: slog.New(slog.DiscardHandler),
		report: &Report{Devices: o.Devices, CPUs: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version(), Peer: "roaring"},
	}
	err = b.run(ctx)
	return b.report, errors.Join(err, b.close(), os.RemoveAll(dir))
}

const audienceApp = 1

// audienceBench is one run.
type audienceBench struct {
	o      AudienceOptions
	path   string
	crowd  *crowd
	log    *slog.Logger
	report *Report

	db    *db.DB
	index *audience.Index
	some  []audience.Device // a sample, as they are now
	sums  []uint64          // of all sets
}

func (b *audienceBench) run(ctx context.Context) error {
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"build the sets from rows that are made up", b.build},
		{"write a snapshot", b.write},
		{"load it, as a start does", b.load},
		{"evaluate expressions", b.expressions},
		{"find registration ids", b.registrationIDs},
		{"change devices", b.changes},
		{"load again, and follow the changes", b.loadAgain},
	} {
		if b.o.Progress != nil {
			_, _ = fmt.Fprintf(b.o.Progress, "bench: %s\n", step.name)
		}
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("bench: %s: %w", step.name, err)
		}
	}
	return nil
}

// open is what a start does before it loads.
func (b *audienceBench) open(ctx context.Context, src audience.Source) (err error) {
	if b.db, err = db.Open(ctx, db.Options{Path: b.path, Log: b.log}); err != nil {
		return err
	}
	if err = audience.Migrate(ctx, b.db); err != nil {
		return err
	}
	b.index = audience.New(b.db, nil, src, clock.System{}, b.log)
	return nil
}

func (b *audienceBench) close() error {
	b.index = nil
	if b.db == nil {
		return nil
	}
	err := b.db.Close()
	b.db = nil
	return err
}

func (b *audienceBench) set(section, name, unit string, value float64) {
	b.report.set(ours, section, name, unit, value)
}

func since(start time.Time) time.Duration { return clock.System{}.Now().Sub(start) }

// stopwatch measures time and this process' processor time, which other work on the machine does not stretch.
type stopwatch struct {
	began time.Time
	cpu   time.Duration
}

func startWatch() (stopwatch, error) {
	cpu, err := cpuTime(os.Getpid())
	return stopwatch{clock.System{}.Now(), cpu}, err
}

// stop writes both into the report.
func (w stopwatch) stop(r *Report, section, name string) error {
	took := since(w.began)
	cpu, err := cpuTime(os.Getpid())
	r.set(ours, section, name, "s", took.Seconds())
	r.set(ours, section, name+", processor time", "s", (cpu - w.cpu).Seconds())
	return err
}

const mega = 1e6

// heap is the memory that is in use after a collection, in bytes.
func heap() float64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// build makes up the dictionary and all devices, without any database row of a device.
func (b *audienceBench) build(ctx context.Context) error {
	began := clock.System{}.Now()
	if err := b.crowd.EachDevice(ctx, audienceApp, func(audience.Device) error { return nil }); err != nil {
		return err
	}
	alone := since(began)
	if err := b.open(ctx, &sampler{crowd: b.crowd, every: max(1, uint32(b.o.Devices/sampleSize)), to: &b.some}); err != nil {
		return err
	}
	for first := 0; first < len(b.crowd.tags); first += 100 {
		err := b.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			for i, t := range b.crowd.tags[first:min(first+100, len(b.crowd.tags))] {
				ids, err := b.index.TagIDs(ctx, tx, audienceApp, []string{t.name}, true)
				if err != nil {
					return err
				}
				if len(ids) != 1 || ids[0] != uint32(first+i+1) {
					return fmt.Errorf("tag %s has the ids %v", t.name, ids)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	before := heap()
	if err := resetPeak(); err != nil {
		return err
	}
	began = clock.System{}.Now()
	if err := b.index.Sync(ctx, audienceApp); err != nil {
		return err
	}
	const section = "sets"
	b.set(section, "tags of a device, mean", "tags", b.crowd.perDevice())
	b.set(section, "build from rows in memory (without making them up)", "s", (since(began) - alone).Seconds())
	peak, err := peakMemory()
	if err != nil {
		return err
	}
	b.set(section, "memory of the process while building (peak RSS)", "MB", float64(peak)/mega)
	after := heap()
	b.set(section, "memory of the sets (live heap)", "MB", (after-before)/mega)
	rss, err := memory(os.Getpid())
	if err != nil {
		return err
	}
	b.set(section, "memory of the process (RSS)", "MB", float64(rss)/mega)
	st, err := b.index.Stat(ctx, audienceApp)
	if err != nil {
		return err
	}
	if st.Devices != b.o.Devices || st.FromSnapshot {
		return fmt.Errorf("the sets contain %d devices (from a snapshot: %v)", st.Devices, st.FromSnapshot)
	}
	b.set(section, "distinct aliases", "aliases", float64(st.Aliases))
	var bytes uint64
	for _, t := range b.crowd.tags {
		set := b.index.DevicesOfTag(audienceApp, t.name)
		bytes += set.GetSerializedSizeInBytes()
		b.sums = append(b.sums, set.Checksum())
	}
	b.report.set(theirs, section, "snapshot", "MB", float64(bytes)/mega)
	return nil
}

// write writes a snapshot; it is the first, so it is due.
func (b *audienceBench) write(ctx context.Context) error {
	w, err := startWatch()
	if err != nil {
		return err
	}
	if err := b.index.Maintain(ctx); err != nil {
		return err
	}
	if err := w.stop(b.report, "sets", "snapshot written in the background"); err != nil {
		return err
	}
	st, err := b.index.Stat(ctx, audienceApp)
	if err != nil {
		return err
	}
	if st.Snapshot == nil {
		return errors.New("there is none")
	}
	b.set("sets", "snapshot", "MB", float64(st.Snapshot.Bytes)/mega)
	b.report.notef("the peer's size of a snapshot is that of the tags' sets in the library's format; ours has the devices and aliases too")
	return nil
}

// load does what a start does, with a source that fails.
func (b *audienceBench) load(ctx context.Context) error {
	if err := b.start(ctx, "load on start"); err != nil {
		return err
	}
	peak, err := peakMemory()
	if err != nil {
		return err
	}
	b.set("sets", "memory of the process while loading (peak RSS)", "MB", float64(peak)/mega)
	heap()
	rss, err := memory(os.Getpid())
	if err != nil {
		return err
	}
	b.set("sets", "memory of the process after it (RSS)", "MB", float64(rss)/mega)
	for i, t := range b.crowd.tags {
		if b.index.DevicesOfTag(audienceApp, t.name).Checksum() != b.sums[i] {
			b.report.problemf("the set of tag %s is not what was written", t.name)
		}
	}
	return nil
}

// start ends the node and starts another, whose time gets a name in the report.
func (b *audienceBench) start(ctx context.Context, name string) error {
	if err := b.close(); err != nil {
		return err
	}
	heap()
	if err := resetPeak(); err != nil {
		return err
	}
	w, err := startWatch()
	if err != nil {
		return err
	}
	if err := b.open(ctx, nobody{}); err != nil {
		return err
	}
	if err := b.index.Sync(ctx, audienceApp); err != nil {
		return err
	}
	if err := w.stop(b.report, "sets", name); err != nil {
		return err
	}
	st, err := b.index.Stat(ctx, audienceApp)
	if err != nil {
		return err
	}
	if st.Devices != b.o.Devices || !st.FromSnapshot {
		return fmt.Errorf("the sets contain %d devices (from a snapshot: %v)", st.Devices, st.FromSnapshot)
	}
	return nil
}

// loadAgain checks that a snapshot and the log together are what the sets had become.
func (b *audienceBench) loadAgain(ctx context.Context) error {
	var want []uint64
	for _, t := range b.crowd.tags[:crowdHalves+crowdMiddle] {
		want = append(want, b.index.DevicesOfTag(audienceApp, t.name).Checksum())
	}
	if err := b.start(ctx, fmt.Sprintf("load on start, %d changes after the snapshot", changeRounds*changeBatch+b.o.Rounds)); err != nil {
		return err
	}
	for i, sum := range want {
		if name := b.crowd.tags[i].name; b.index.DevicesOfTag(audienceApp, name).Checksum() != sum {
			b.report.problemf("the set of tag %s is not what it had become", name)
		}
	}
	for _, d := range b.some {
		if got := b.index.DevicesOfAlias(audienceApp, cmp.Or(d.Alias, "nobody")); d.Alias != "" && len(got) == 0 {
			b.report.problemf("alias %s has no devices", d.Alias)
		}
	}
	return nil
}
