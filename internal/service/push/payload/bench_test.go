package payload

import (
	"encoding/json"
	"testing"
)

// typical is a push of 300 bytes as the vendor's clients write them.
const typical = `{"platform":["android","ios"],"audience":{"registration_id":["5f3c0a9d2b7e41c6a8d0"]},"notification":{"alert":"Build 812 is ready","android":{"title":"CI","priority":1,"extras":{"build":812}},"ios":{"sound":"default","badge":"+1","extras":{"build":812}}},"options":{"sendno":40712,"time_to_live":3600}}`

// plainPush is the same object for encoding/json: no leniency, no checks, only the members typical has.
type plainPush struct {
	Platform []string `json:"platform"`
	Audience struct {
		RegistrationID []string `json:"registration_id"`
	} `json:"audience"`
	Notification struct {
		Alert   string `json:"alert"`
		Android struct {
			Title    string         `json:"title"`
			Priority int            `json:"priority"`
			Extras   map[string]any `json:"extras"`
		} `json:"android"`
		IOS struct {
			Sound  string         `json:"sound"`
			Badge  string         `json:"badge"`
			Extras map[string]any `json:"extras"`
		} `json:"ios"`
	} `json:"notification"`
	Options struct {
		SendNo int `json:"sendno"`
		TTL    int `json:"time_to_live"`
	} `json:"options"`
}

func BenchmarkParse(b *testing.B) {
	body := []byte(typical)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body, Rules{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseEncodingJSON decodes and encodes, which is the least a server that keeps the push would do.
func BenchmarkParseEncodingJSON(b *testing.B) {
	body := []byte(typical)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var p plainPush
		if err := json.Unmarshal(body, &p); err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(&p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEncodingJSON(b *testing.B) {
	body := []byte(typical)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var p plainPush
		if err := json.Unmarshal(body, &p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	p, err := Parse([]byte(typical), Rules{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := p.Resolve(58546795154321, Android, 1790000000000); !ok {
			b.Fatal("no content")
		}
	}
}

func BenchmarkParseThousandRegistrationIDs(b *testing.B) {
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = "5f3c0a9d2b7e41c6a8d0"
	}
	body, err := json.Marshal(map[string]any{
		"platform": "all", "audience": map[string]any{"registration_id": ids}, "notification": map[string]any{"alert": "hi"},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body, Rules{}); err != nil {
			b.Fatal(err)
		}
	}
}
