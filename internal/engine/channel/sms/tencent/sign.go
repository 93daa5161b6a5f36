package tencent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// call is what is signed.
type call struct {
	host, service, action string
	at                    time.Time
	body                  []byte
}

const (
	contentType = "application/json; charset=utf-8"
	signedNames = "content-type;host;x-tc-action"
)

// authorization is the header of that name of a POST, by TC3-HMAC-SHA256.
func (c *call) authorization(secretID, secretKey string) string {
	date := c.at.UTC().Format(time.DateOnly)
	scope := date + "/" + c.service + "/tc3_request"
	lines := "content-type:" + contentType + "\nhost:" + c.host + "\nx-tc-action:" + strings.ToLower(c.action) + "\n"
	request := strings.Join([]string{"POST", "/", "", lines, signedNames, digest(c.body)}, "\n")
	text := strings.Join([]string{"TC3-HMAC-SHA256", strconv.FormatInt(c.at.Unix(), 10), scope, digest([]byte(request))}, "\n")
	key := mac(mac(mac([]byte("TC3"+secretKey), date), c.service), "tc3_request")
	return "TC3-HMAC-SHA256 Credential=" + secretID + "/" + scope + ", SignedHeaders=" + signedNames + ", Signature=" + hex.EncodeToString(mac(key, text))
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text))
	return h.Sum(nil)
}
