package aliyun

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// call is what is signed.
type call struct {
	host, action, version, date, nonce string
	query                              map[string]string
}

// emptyHash is the SHA-256 of no body: everything is in the query.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// headers are those of a POST without body, signed by ACS3-HMAC-SHA256.
func (c *call) headers(keyID, keySecret string) map[string]string {
	h := map[string]string{
		"host": c.host, "x-acs-action": c.action, "x-acs-version": c.version, "x-acs-date": c.date, "x-acs-signature-nonce": c.nonce,
		"x-acs-content-sha256": emptyHash,
	}
	names := slices.Sorted(maps.Keys(h))
	var lines strings.Builder
	for _, name := range names {
		lines.WriteString(name + ":" + h[name] + "\n")
	}
	signed := strings.Join(names, ";")
	request := strings.Join([]string{"POST", "/", c.encoded(), lines.String(), signed, emptyHash}, "\n")
	digest := sha256.Sum256([]byte(request))
	mac := hmac.New(sha256.New, []byte(keySecret))
	_, _ = mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(digest[:])))
	h["authorization"] = "ACS3-HMAC-SHA256 Credential=" + keyID + ",SignedHeaders=" + signed + ",Signature=" + hex.EncodeToString(mac.Sum(nil))
	delete(h, "host")
	return h
}

// encoded is the query as it is signed and sent: sorted, percent-encoded as RFC 3986 says.
func (c *call) encoded() string {
	pairs := make([]string, 0, len(c.query))
	for _, key := range slices.Sorted(maps.Keys(c.query)) {
		pairs = append(pairs, escape(key)+"="+escape(c.query[key]))
	}
	return strings.Join(pairs, "&")
}

func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
