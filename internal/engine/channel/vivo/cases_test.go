package vivo_test

import (
	"testing"

	"borealis/internal/engine/channel/vivo"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
)

func newVendor(d wire.Deps) wire.Vendor { return vivo.New(d) }

func TestTheWireIsAsTheCasesSay(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, "testdata/cases/*.json", newVendor)
}
