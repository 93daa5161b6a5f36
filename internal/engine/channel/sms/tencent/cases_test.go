package tencent_test

import (
	"testing"

	"borealis/internal/engine/channel/sms/smswire/smswiretest"
	"borealis/internal/engine/channel/sms/tencent"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
)

func TestTheWireIsAsTheCasesSay(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, "testdata/cases/*.json", func(d wire.Deps) wire.Vendor { return smswiretest.Vendor{Provider: tencent.New(d)} })
}
