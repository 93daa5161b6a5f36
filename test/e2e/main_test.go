package e2e

import (
	"net/http"
	"os"
	"testing"

	"borealis/internal/kernel/db/dbtest"
)

func TestMain(m *testing.M) {
	code := dbtest.Run(m)
	http.DefaultClient.CloseIdleConnections()
	removeBinary()
	os.Exit(code)
}
