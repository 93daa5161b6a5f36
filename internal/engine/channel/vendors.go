package channel

import (
	"strings"

	"borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/fcm"
	"borealis/internal/engine/channel/hmos"
	"borealis/internal/engine/channel/honor"
	"borealis/internal/engine/channel/huawei"
	"borealis/internal/engine/channel/meizu"
	"borealis/internal/engine/channel/oppo"
	"borealis/internal/engine/channel/sms"
	"borealis/internal/engine/channel/sms/generic"
	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/vivo"
	"borealis/internal/engine/channel/webpush"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/xiaomi"
)

// below is d for one vendor. With a base URL each calls a simulator below it, under its own name.
func below(d wire.Deps, name string) wire.Deps {
	if d.BaseURL != "" {
		d.BaseURL = strings.TrimRight(d.BaseURL, "/") + "/" + name
	}
	return d
}

// Vendors are all vendors.
func Vendors(d wire.Deps) []wire.Vendor {
	at := func(name wire.Name) wire.Deps { return below(d, string(name)) }
	return []wire.Vendor{
		apns.New(at(wire.APNs)), fcm.New(at(wire.FCM)), huawei.New(at(wire.Huawei)), hmos.New(at(wire.HMOS)), honor.New(at(wire.Honor)),
		xiaomi.New(at(wire.Xiaomi)), oppo.New(at(wire.OPPO)), vivo.New(at(wire.Vivo)), meizu.New(at(wire.Meizu)), webpush.New(at(wire.WebPush)),
	}
}

// TextProviders are all providers of short messages; the one of the operator's gateway only if it is described. The error says what is wrong
// with the description.
func TextProviders(d wire.Deps, gateway *generic.Config) ([]smswire.Provider, error) {
	names := []string{sms.Aliyun, sms.Tencent}
	if gateway != nil {
		names = append(names, sms.Generic)
	}
	var out []smswire.Provider
	for _, name := range names {
		p, err := sms.New(name, sms.Deps{Deps: below(d, "sms/"+name), Gateway: gateway})
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
