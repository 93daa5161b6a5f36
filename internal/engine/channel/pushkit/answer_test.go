package pushkit_test

import (
	"strings"
	"testing"

	"borealis/internal/engine/channel/pushkit"
	"borealis/internal/engine/channel/wire"
)

func TestReasonsNameNoToken(t *testing.T) {
	t.Parallel()
	tokens := []wire.Token{{Value: "AAA1"}, {Value: "AAA2"}}
	for _, body := range []string{
		`{"code":"80100001","msg":"the token AAA2 is odd"}`, `{"code":"80300002","msg":"[\"AAA1\"]"}`, `{"code":"81000001","msg":"{\"a\":\"AAA1\"}"}`,
		`{"code":"80100000","msg":"{\"illegal_tokens\":[\"AAA1\"]}"}`, `{"code":"80300007","msg":"AAA1 AAA2"}`, `AAA1`,
	} {
		out, _ := pushkit.Read(wire.Answer{Status: 400, Body: []byte(body)}, tokens)
		for _, o := range out {
			if strings.Contains(o.Reason, "AAA") || len(out) != 2 {
				t.Errorf("%s: %+v", body, out)
			}
		}
	}
	out, _ := pushkit.Read(wire.Answer{Status: 400, Body: []byte(`{"code":"80100001","msg":"UnSupported svc"}`)}, tokens)
	if out[0].Reason != "UnSupported svc" {
		t.Errorf("%+v", out)
	}
}
