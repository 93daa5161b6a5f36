package aliyun

import "testing"

func TestTheSignatureIsThatOfAliyunsExample(t *testing.T) {
	t.Parallel()
	c := call{
		host: "ecs.cn-shanghai.aliyuncs.com", action: "RunInstances", version: "2014-05-26", date: "2023-10-26T10:22:32Z",
		nonce: "3156853299f313e23d1673dc12e1703d",
		query: map[string]string{"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"},
	}
	want := "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version," +
		"Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
	if got := c.headers("YourAccessKeyId", "YourAccessKeySecret")["authorization"]; got != want {
		t.Fatalf("%s\nwant\n%s", got, want)
	}
	c.query = map[string]string{"b": "中 *~+/=", "a": ""}
	if got := c.encoded(); got != "a=&b=%E4%B8%AD%20%2A~%2B%2F%3D" {
		t.Fatalf("encoded %s", got)
	}
}
