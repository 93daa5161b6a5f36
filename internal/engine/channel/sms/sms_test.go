package sms_test

import (
	"encoding/json"
	"testing"

	"borealis/internal/engine/channel/sms"
	"borealis/internal/engine/channel/sms/generic"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

func TestProvidersByName(t *testing.T) {
	t.Parallel()
	d := sms.Deps{Deps: wire.Deps{Clock: clock.System{}}}
	for _, name := range []string{sms.Aliyun, sms.Tencent} {
		p, err := sms.New(name, d)
		if err != nil || p.Traits().Name != name || p.Traits().Idempotent || p.Traits().Batch < 2 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := sms.New("carrier pigeon", d); err == nil {
		t.Error("there is a provider of another name")
	}
	if _, err := sms.New(sms.Generic, d); err == nil {
		t.Error("a gateway without description")
	}
	d.Gateway = &generic.Config{URL: "x"}
	if _, err := sms.New(sms.Generic, d); err == nil {
		t.Error("a gateway with a bad description")
	}
	d.Gateway = &generic.Config{URL: "https://example.com/", Body: json.RawMessage(`"{mobile}"`)}
	if p, err := sms.New(sms.Generic, d); err != nil || p.Traits().Name != sms.Generic {
		t.Errorf("%v", err)
	}
}
