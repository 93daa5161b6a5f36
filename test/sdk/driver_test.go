package sdk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience is how long anything that must happen may take.
const patience = 20 * time.Second

func newReader(data []byte) io.Reader { return bytes.NewReader(data) }

// driver is a process of an SDK's language.
type driver struct {
	cmd  *exec.Cmd
	to   io.WriteCloser
	read chan struct{} // closed at the end of its output

	mu      sync.Mutex
	next    int
	answers map[int]chan object
	stream  []object // messages and withdrawals that nobody has expected yet
	others  []object
	news    chan struct{} // closed and replaced when an event comes
	broken  error
}

// startDriver starts a process.
func startDriver(cmd *exec.Cmd) (*driver, error) {
	cmd.Stderr = os.Stderr
	to, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &driver{cmd: cmd, to: to, read: make(chan struct{}), answers: map[int]chan object{}, news: make(chan struct{})}
	go d.listen(from)
	return d, nil
}

func (d *driver) listen(from io.Reader) {
	defer close(d.read)
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line object
		err := json.Unmarshal(lines.Bytes(), &line)
		d.mu.Lock()
		n, answer := line["n"].(float64)
		name, _ := line["event"].(string)
		switch {
		case err != nil || !answer && name == "":
			d.broken = fmt.Errorf("the driver printed %q", lines.Text())
		case answer && d.answers[int(n)] == nil:
			d.broken = fmt.Errorf("the driver answered what was not asked, or twice: %q", lines.Text())
		case answer:
			d.answers[int(n)] <- line
			delete(d.answers, int(n))
		case name == "message" || name == "withdrawn":
			d.stream = append(d.stream, line)
		case name == "error":
			fmt.Fprintf(os.Stderr, "driver: %v\n", line["why"])
		default:
			d.others = append(d.others, line)
		}
		close(d.news)
		d.news = make(chan struct{})
		d.mu.Unlock()
	}
}

// send gives a command; the answer comes from the channel.
func (d *driver) send(do string, args object) (<-chan object, error) {
	line := object{"do": do}
	maps.Copy(line, args)
	d.mu.Lock()
	d.next++
	line["n"] = d.next
	answer := make(chan object, 1)
	d.answers[d.next] = answer
	d.mu.Unlock()
	_, err := io.WriteString(d.to, text(line)+"\n")
	return answer, err
}

// ask gives a command and waits for the answer.
func (d *driver) ask(do string, args object) (object, error) {
	answer, err := d.send(do, args)
	if err != nil {
		return nil, err
	}
	select {
	case a := <-answer:
		return a, nil
	case <-d.read:
		return nil, fmt.Errorf("%s: the driver has ended", do)
	case <-time.After(patience):
		return nil, fmt.Errorf("%s: no answer within %s", do, patience)
	}
}

// event waits for the next event of a name. Messages and withdrawals have an order of their own.
func (d *driver) event(name string) (object, error) {
	late := time.After(patience)
	for {
		d.mu.Lock()
		if d.broken != nil {
			d.mu.Unlock()
			return nil, d.broken
		}
		if name == "message" || name == "withdrawn" {
			if len(d.stream) > 0 {
				e := d.stream[0]
				d.stream = d.stream[1:]
				d.mu.Unlock()
				if e["event"] != name {
					return nil, fmt.Errorf("got %s", text(e))
				}
				return e, nil
			}
		} else {
			for len(d.others) > 0 {
				e := d.others[0]
				d.others = d.others[1:]
				if e["event"] == name {
					d.mu.Unlock()
					return e, nil
				}
			}
		}
		news := d.news
		d.mu.Unlock()
		select {
		case <-news:
		case <-d.read:
			return nil, fmt.Errorf("%s: the driver has ended", name)
		case <-late:
			return nil, fmt.Errorf("no event %s within %s", name, patience)
		}
	}
}

// leftover are messages and withdrawals that nobody expected.
func (d *driver) leftover() []object {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stream
}

// kill ends the process without warning.
func (d *driver) kill() {
	_ = d.cmd.Process.Kill()
	<-d.read
	_ = d.cmd.Wait()
}

// quit lets the process end by itself.
func (d *driver) quit(t testing.TB) {
	t.Helper()
	_ = d.to.Close()
	late := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	<-d.read
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("driver: %v", err)
	}
	late.Stop()
}
