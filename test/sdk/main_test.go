package sdk

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	_ = os.Remove(note)
	code := m.Run()
	for _, dir := range temporary {
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
