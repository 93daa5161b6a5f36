package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// driver is one of the vendor's libraries in a process of its own, which makes the calls it is told to.
type driver struct {
	cmd   *exec.Cmd
	to    io.WriteCloser
	lines chan []byte
}

// reply is what a library gave its caller.
type reply struct {
	// Absent says that the library has no such call.
	Absent bool `json:"absent"`
	OK     bool `json:"ok"`
	// Result of a success, as the library's own types hold it.
	Result any `json:"result"`
	// Status of a success, if the library shows one that is not 200.
	Status int `json:"status"`
	Error  struct {
		// Type is the library's class of error.
		Type    string `json:"type"`
		Message string `json:"message"`
		// Status and Code are nil where the library does not show them.
		Status      *int     `json:"status"`
		Code        *int     `json:"code"`
		IllegalRIDs []string `json:"illegal_rids"`
	} `json:"error"`
	text string
}

// startDriver starts the process and configures it.
func startDriver(t testing.TB, cmd *exec.Cmd, config any) *driver {
	t.Helper()
	cmd.Stderr = os.Stderr
	to, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &driver{cmd: cmd, to: to, lines: make(chan []byte)}
	quit := make(chan struct{})
	go func() {
		defer close(d.lines)
		in := bufio.NewScanner(from)
		in.Buffer(nil, 8<<20)
		for in.Scan() {
			select {
			case d.lines <- bytes.Clone(in.Bytes()):
			case <-quit:
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = to.Close() // what makes the process end
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		close(quit)
		for range d.lines {
			continue // until the end of its output
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("driver: %v", err)
		}
		late.Stop()
	})
	d.tell(t, config)
	return d
}

func (d *driver) tell(t testing.TB, line any) {
	t.Helper()
	data, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.to.Write(append(data, '\n')); err != nil {
		t.Fatal(err)
	}
}

// call makes one call with the credentials of that name.
func (d *driver) call(t testing.TB, name, as string, args any) reply {
	t.Helper()
	d.tell(t, map[string]any{"call": name, "as": as, "args": args})
	var line []byte
	select {
	case text, open := <-d.lines:
		if !open {
			t.Fatalf("%s: the driver has ended", name)
		}
		line = text
	case <-time.After(patience):
		t.Fatalf("%s: no answer within %s", name, patience)
	}
	a := reply{text: string(line)}
	in := json.NewDecoder(bytes.NewReader(line))
	in.UseNumber()
	if err := in.Decode(&a); err != nil {
		t.Fatalf("%s: the driver printed %q: %v", name, line, err)
	}
	return a
}
