package tencent

import (
	"strings"
	"testing"
	"time"
)

func TestTheSignatureIsThatOfTencentsExample(t *testing.T) {
	t.Parallel()
	c := call{
		host: "cvm.tencentcloudapi.com", service: "cvm", action: "DescribeInstances", at: time.Unix(1551113065, 0),
		body: []byte(`{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`),
	}
	hidden := strings.Repeat("*", 32)
	want := "TC3-HMAC-SHA256 Credential=AKID" + hidden + "/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host;x-tc-action, " +
		"Signature=10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
	if got := c.authorization("AKID"+hidden, hidden); got != want {
		t.Fatalf("%s\nwant\n%s", got, want)
	}
}
