package sms

import (
	"fmt"

	"borealis/internal/engine/channel/sms/aliyun"
	"borealis/internal/engine/channel/sms/generic"
	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/sms/tencent"
	"borealis/internal/engine/channel/wire"
)

// Names of providers, as in the configuration and in what apps enter.
const (
	Aliyun  = "aliyun"
	Tencent = "tencent"
	Generic = "generic"
)

// Deps are what providers are made of.
type Deps struct {
	wire.Deps
	// Gateway is the operator's description of a gateway; only Generic needs it.
	Gateway *generic.Config
}

// New returns the provider of a name. The error says that there is none, or what is wrong with the gateway's description.
func New(name string, d Deps) (smswire.Provider, error) {
	switch name {
	case Aliyun:
		return aliyun.New(d.Deps), nil
	case Tencent:
		return tencent.New(d.Deps), nil
	case Generic:
		if d.Gateway == nil {
			return nil, fmt.Errorf("sms: %s: the operator has described no gateway", name)
		}
		return generic.New(d.Deps, *d.Gateway)
	}
	return nil, fmt.Errorf("sms: there is no provider %q", name)
}
