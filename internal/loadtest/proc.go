package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tickTime is the unit of CPU time in /proc/<pid>/stat: USER_HZ is 100 on every Linux that Go runs on.
const tickTime = 10 * time.Millisecond

// cpuTime is the CPU time a process has used so far, in user and kernel mode, all threads.
func cpuTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time of process %d (Linux only): %w", pid, err)
	}
	return parseStat(data)
}

// parseStat reads utime and stime. The second field is a name in parentheses that may contain anything.
func parseStat(data []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	const utime, stime = 11, 12 // the fields 14 and 15 of the file
	if end < 0 || len(fields) <= stime {
		return 0, errors.New("/proc/<pid>/stat: fields are missing")
	}
	var sum int64
	for _, text := range []string{fields[utime], fields[stime]} {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/<pid>/stat: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * tickTime, nil
}

// memory is the resident set size of a process in bytes.
func memory(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("memory of process %d (Linux only): %w", pid, err)
	}
	return parseStatus(data)
}

// resetPeak makes peakMemory count from now on.
func resetPeak() error {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return fmt.Errorf("reset peak memory (Linux only): %w", err)
	}
	return nil
}

// peakMemory is the largest resident set size of this process since resetPeak, in bytes.
func peakMemory() (int64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("peak memory (Linux only): %w", err)
	}
	return parseField(data, "VmHWM:")
}

func parseStatus(data []byte) (int64, error) { return parseField(data, "VmRSS:") }

// parseField reads a field of /proc/<pid>/status in bytes.
func parseField(data []byte, name string) (int64, error) {
	for line := range strings.Lines(string(data)) {
		value, ok := strings.CutPrefix(line, name)
		if !ok {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/<pid>/status: %w", err)
		}
		return kilobytes << 10, nil
	}
	return 0, fmt.Errorf("/proc/<pid>/status: %s is missing", name)
}

// timing is how long to watch a process.
type timing struct {
	// quiet is the step in which a process that has nothing to do uses less than quietShare of one processor; two such
	// steps in a row count, and quietMost is waited at most.
	quiet, quietMost time.Duration
	// steady is the step in which memory that does not change any more changes by less than steadyShare; three such
	// steps count, and steadyMost is waited at most. A runtime returns memory bit by bit.
	steady, steadyMost time.Duration
	// idle is how long an idle server is watched.
	idle time.Duration
}

func defaultTiming() timing {
	return timing{quiet: 250 * time.Millisecond, quietMost: 10 * time.Second, steady: time.Second, steadyMost: 20 * time.Second, idle: 3 * time.Second}
}

const (
	quietShare  = 0.05
	steadyShare = 0.003
)

// awaitQuiet waits until a process has done hardly anything for two steps.
func (t timing) awaitQuiet(ctx context.Context, pid int) error {
	last, err := cpuTime(pid)
	if err != nil {
		return err
	}
	for calm, left := 0, t.quietMost; calm < 2 && left > 0; left -= t.quiet {
		if err := wait(ctx, t.quiet); err != nil {
			return err
		}
		now, err := cpuTime(pid)
		if err != nil {
			return err
		}
		if calm++; now-last > time.Duration(quietShare*float64(t.quiet)) {
			calm = 0
		}
		last = now
	}
	return nil
}

// steadyMemory is the resident set size once it has stopped to change.
func (t timing) steadyMemory(ctx context.Context, pid int) (int64, error) {
	last, err := memory(pid)
	if err != nil {
		return 0, err
	}
	for calm, left := 0, t.steadyMost; calm < 3 && left > 0; left -= t.steady {
		if err := wait(ctx, t.steady); err != nil {
			return 0, err
		}
		now, err := memory(pid)
		if err != nil {
			return 0, err
		}
		if calm++; float64(max(now-last, last-now)) > steadyShare*float64(last) {
			calm = 0
		}
		last = now
	}
	return last, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
