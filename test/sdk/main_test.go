package sdk

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// raceFlags are what makes the Go driver find races, if this test does.
var raceFlags []string

// temporary are folders that last as long as the test's process.
var temporary struct {
	sync.Mutex
	dirs []string
}

func temporaryDir() (string, error) {
	dir, err := os.MkdirTemp("", "borealis-sdk-")
	temporary.Lock()
	defer temporary.Unlock()
	temporary.dirs = append(temporary.dirs, dir)
	return dir, err
}

func TestMain(m *testing.M) {
	_ = os.Remove(note)
	code := m.Run()
	for _, dir := range temporary.dirs {
		_ = os.RemoveAll(dir)
	}
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		// gnet's pool of goroutines is made when the package is loaded.
		err := goleak.Find(
			goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
			goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
