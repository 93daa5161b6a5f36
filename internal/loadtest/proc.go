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

func parseStatus(data []byte) (int64, error) {
	for line := range strings.Lines(string(data)) {
		value, ok := strings.CutPrefix(line, "VmRSS:")
		if !ok {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/<pid>/status: %w", err)
		}
		return kilobytes << 10, nil
	}
	return 0, errors.New("/proc/<pid>/status: VmRSS is missing")
}

const (
	quietStep = 250 * time.Millisecond
	// quietShare of one processor is what a process may use in a step to be called quiet.
	quietShare = 0.05
	quietMost  = 10 * time.Second
)

// quiet waits until a process has done hardly anything for two steps, or for quietMost.
func quiet(ctx context.Context, pid int) error {
	last, err := cpuTime(pid)
	if err != nil {
		return err
	}
	for calm, left := 0, quietMost; calm < 2 && left > 0; left -= quietStep {
		if err := wait(ctx, quietStep); err != nil {
			return err
		}
		now, err := cpuTime(pid)
		if err != nil {
			return err
		}
		if calm++; now-last > time.Duration(quietShare*float64(quietStep)) {
			calm = 0
		}
		last = now
	}
	return nil
}

const (
	steadyStep = time.Second
	// steadyShare is how much memory may change in a step to be called steady.
	steadyShare = 0.003
	steadyMost  = 20 * time.Second
)

// steadyMemory is the resident set size once it has stopped to change: a runtime returns memory bit by bit.
func steadyMemory(ctx context.Context, pid int) (int64, error) {
	last, err := memory(pid)
	if err != nil {
		return 0, err
	}
	for calm, left := 0, steadyMost; calm < 3 && left > 0; left -= steadyStep {
		if err := wait(ctx, steadyStep); err != nil {
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
