package meizu

import (
	"crypto/md5" //nolint:gosec // Meizu's signature
	"encoding/hex"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// sign adds the signature to the parameters of a call: MD5 of names and values in the order of names, and the app's secret.
func sign(f url.Values, secret string) {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if name != "sign" {
			text.WriteString(name + "=" + f.Get(name))
		}
	}
	text.WriteString(secret)
	sum := md5.Sum([]byte(text.String())) //nolint:gosec // Meizu's signature
	f.Set("sign", hex.EncodeToString(sum[:]))
}
