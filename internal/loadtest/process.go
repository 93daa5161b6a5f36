package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"borealis/internal/kernel/config"
)

const (
	// stopTime is how long a child may take to end when it is asked to.
	stopTime = 15 * time.Second
	// logTail is how much of a child's log is shown when it failed, in bytes.
	logTail = 2000
)

// process is a child of this one.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // path of its stderr
	in   io.WriteCloser
	out  *bufio.Reader

	done chan struct{} // closed when it has ended
	once sync.Once
}

// start runs this binary with other arguments; its log goes to a file in dir.
func start(ctx context.Context, binary, dir, name string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	p := &process{name: name, log: log.Name(), done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, binary, args...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopTime
	p.cmd.SysProcAttr = dieWithUs()
	p.cmd.Env = append(environment(), "TMPDIR="+dir) // what it leaves behind goes with the rest
	p.cmd.Stderr = log
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// Not StdoutPipe: Wait would close it while an answer is being read.
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.cmd.Stdout = writer
	err = p.cmd.Start()
	writer.Close()
	if err != nil {
		reader.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.in, p.out = in, bufio.NewReader(reader)
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	context.AfterFunc(ctx, func() { <-p.done; reader.Close() })
	return p, nil
}

// environment is ours without the options of a server: a load test must not reach a database that happens to be named
// there.
func environment() []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, config.EnvName("")) {
			out = append(out, v)
		}
	}
	return out
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// failed describes the end of a process that should still run.
func (p *process) failed(what string) error {
	select {
	case <-p.done:
		return fmt.Errorf("%s: %s has ended; its log says: %s", what, p.name, p.tail())
	default:
		return fmt.Errorf("%s: %s does not answer; its log says: %s", what, p.name, p.tail())
	}
}

func (p *process) tail() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	data = bytes.TrimSpace(data[max(len(data)-logTail, 0):])
	if len(data) == 0 {
		return "nothing"
	}
	return string(data)
}

// stop ends the process in order, or kills it.
func (p *process) stop() {
	p.once.Do(func() {
		_ = p.in.Close()
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		t := time.NewTimer(stopTime)
		defer t.Stop()
		select {
		case <-p.done:
			return
		case <-t.C:
		}
		_ = p.cmd.Process.Kill()
		<-p.done
	})
}

// maxLine bounds an answer of a child, in bytes: a list of registration ids is the longest.
const maxLine = 4 << 20

// ask writes a line of JSON to the child and reads one.
func (p *process) ask(in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode order: %w", err)
	}
	if _, err := p.in.Write(append(data, '\n')); err != nil {
		return p.failed("give order")
	}
	return p.read(out)
}

// read reads a line of JSON from the child.
func (p *process) read(out any) error {
	var line []byte
	for {
		part, err := p.out.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			if err := json.Unmarshal(line, out); err != nil {
				return fmt.Errorf("answer of %s: %w", p.name, err)
			}
			return nil
		case !errors.Is(err, bufio.ErrBufferFull) || len(line) > maxLine:
			return p.failed("read answer")
		}
	}
}
