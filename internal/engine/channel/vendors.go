package channel

import (
	"strings"

	"borealis/internal/engine/channel/fcm"
	"borealis/internal/engine/channel/oppo"
	"borealis/internal/engine/channel/vivo"
	"borealis/internal/engine/channel/webpush"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/xiaomi"
)

// Vendors are all vendors. With a base URL each calls a simulator below it, under its own name.
func Vendors(d wire.Deps) []wire.Vendor {
	at := func(name wire.Name) wire.Deps {
		own := d
		if d.BaseURL != "" {
			own.BaseURL = strings.TrimRight(d.BaseURL, "/") + "/" + string(name)
		}
		return own
	}
	return []wire.Vendor{
		fcm.New(at(wire.FCM)), oppo.New(at(wire.OPPO)), vivo.New(at(wire.Vivo)), webpush.New(at(wire.WebPush)), xiaomi.New(at(wire.Xiaomi)),
	}
}
