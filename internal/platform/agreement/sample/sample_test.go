package sample_test

import (
	"strings"
	"testing"

	"borealis/internal/platform/agreement/legaltext"
	"borealis/internal/platform/agreement/sample"
)

func values() sample.Values {
	return sample.Values{
		Operator: "Example Co", Address: "1 Example Road", ContactEmail: "legal@example.com", ContactPhone: "+86 755 0000 0000", Court: "the court at the operator's seat",
	}
}

// The samples are complete, in both languages, and have nothing that the lint would tell an operator (AG-INT-04).
func TestSamplesPassTheLint(t *testing.T) {
	t.Parallel()
	pairs, err := sample.Texts(values())
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[legaltext.Kind]bool{}
	for _, p := range pairs {
		kinds[p.Master.Kind] = true
		for _, f := range legaltext.Lint(p, nil) {
			t.Error(f)
		}
		for _, d := range []*legaltext.Document{p.Master, p.Translation} {
			for _, brand := range []string{"极光", "Jiguang", "JPush", "Aurora"} {
				if strings.Contains(strings.ToLower(d.Canonical()), strings.ToLower(brand)) {
					t.Errorf("%s names %s", d.FileName(), brand)
				}
			}
		}
	}
	for _, k := range []legaltext.Kind{legaltext.Agreement, legaltext.Privacy, legaltext.ServiceTerm} {
		if !kinds[k] {
			t.Errorf("no sample of kind %s", k)
		}
	}
}

func TestSamplesWantEveryValue(t *testing.T) {
	t.Parallel()
	v := values()
	v.Court = " "
	if _, err := sample.Texts(v); err == nil || !strings.Contains(err.Error(), "no value for court") {
		t.Errorf("without a court: %v", err)
	}
}
