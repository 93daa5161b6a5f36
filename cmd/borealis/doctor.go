package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"borealis/internal/kernel/config"
)

// DoctorCmd is `borealis doctor`.
type DoctorCmd struct {
	config.Config `embed:""`
}

// Run prints one line per finding and fails if one of them will stop the server.
func (c *DoctorCmd) Run(ctx context.Context) error {
	fatal := 0
	report := func(ok bool, what, advice string) {
		if ok {
			fmt.Printf("ok    %s\n", what)
			return
		}
		fatal++
		fmt.Printf("FAIL  %s\n      %s\n", what, advice)
	}
	warn := func(ok bool, what, advice string) {
		if ok {
			fmt.Printf("ok    %s\n", what)
			return
		}
		fmt.Printf("warn  %s\n      %s\n", what, advice)
	}
	if err := c.Validate(); err != nil {
		report(false, "configuration", err.Error())
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil {
		warn(files.Max >= uint64(c.MaxConnections)+1000, fmt.Sprintf("open files: up to %d", files.Max),
			fmt.Sprintf("each device is one file; raise the hard limit above %d (LimitNOFILE of the service) or lower max-connections", c.MaxConnections+1000))
	}
	warn(time.Now().Year() >= 2026, "clock: "+time.Now().Format(time.DateTime), "the clock is wrong; run a time service")
	c.checkDisk(report, warn)
	for name, addr := range map[string]string{"http-addr": c.HTTPAddr, "mqtt-addr": c.MQTTAddr, "internal-addr": c.InternalAddr} {
		if addr == "" {
			continue
		}
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", addr)
		if err == nil {
			err = l.Close()
		}
		report(err == nil, name+" "+addr+" is free", fmt.Sprintf("%v; is another server running?", err))
	}
	if fatal > 0 {
		return fmt.Errorf("%d findings will stop the server", fatal)
	}
	return nil
}

func (c *DoctorCmd) checkDisk(report, warn func(bool, string, string)) {
	dir := c.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		report(false, "data-dir "+dir, err.Error())
		return
	}
	probe := filepath.Join(dir, ".doctor")
	start := time.Now()
	err := writeSynced(probe)
	took := time.Since(start)
	_ = os.Remove(probe)
	report(err == nil, "data-dir "+dir+" is writable", fmt.Sprint(err))
	warn(took < 20*time.Millisecond, fmt.Sprintf("a synced write takes %s", took.Round(10*time.Microsecond)),
		"every accepted push waits for one; use a local SSD")
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err == nil {
		free := st.Bavail * uint64(st.Bsize)
		warn(free > 1<<30, fmt.Sprintf("free space: %d MB", free>>20), "less than 1 GB is left; with no space pushes are refused")
	}
}

func writeSynced(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(make([]byte, 4096)); err != nil {
		return err
	}
	return f.Sync()
}
