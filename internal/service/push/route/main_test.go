package route

import (
	"testing"

	"borealis/internal/kernel/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }
