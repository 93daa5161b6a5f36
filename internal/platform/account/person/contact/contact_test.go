package contact_test

import (
	"strings"
	"testing"

	"borealis/internal/platform/account/person/contact"
)

type check struct {
	in, want string // want "" is refused
}

func run(t *testing.T, f func(string) (string, error), cases []check) {
	t.Helper()
	for _, c := range cases {
		got, err := f(c.in)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

// AG-REG-02.
func TestNames(t *testing.T) {
	t.Parallel()
	run(t, contact.Name, []check{
		{"张三", "张三"}, {"  Anne   Marie  O’Neil-Smith ", "Anne Marie O’Neil-Smith"}, {"阿卜杜拉·买买提", "阿卜杜拉·买买提"}, {"ßÅ", "ßÅ"}, {"A\u030a", "\u00c5"},
		{strings.Repeat("名", 50), strings.Repeat("名", 50)}, {strings.Repeat("名", 51), ""}, {"", ""}, {" · ", ""}, {"a\u200bb", ""}, {"a\u202eb", ""}, {"a<b", ""},
		{"a\x00b", ""}, {"\xff", ""}, {"㐂𠮷", "㐂𠮷"}, {"北京某某（集团）有限公司", "北京某某（集团）有限公司"}, {"a\nb", "a b"}, {"😀", ""},
	})
}

// AG-REG-02.
func TestEmails(t *testing.T) {
	t.Parallel()
	run(t, contact.Email, []check{
		{"a@example.com", "a@example.com"}, {" First.Last+tag@Example.COM ", "First.Last+tag@example.com"}, {"a@例子.中国", "a@xn--fsqu00a.xn--fiqs8s"}, {"a@münchen.de", "a@xn--mnchen-3ya.de"},
		{"a@b", ""}, {"@example.com", ""}, {"a@", ""}, {"a b@example.com", ""}, {"a..b@example.com", ""}, {".a@example.com", ""}, {"a@exa mple.com", ""}, {"a@example..com", ""},
		{"a@10.0.0.1", ""}, {"a@[10.0.0.1]", ""}, {"a@b@example.com", ""}, {"\"a\"@example.com", ""}, {"a\r\nBcc: x@example.com", ""}, {strings.Repeat("a", 65) + "@example.com", ""}, {"用户@example.com", ""},
		{"a@" + strings.Repeat("b", 64) + ".com", ""}, {"Name <a@example.com>", ""},
	})
	if contact.EmailKey("First@example.com") != contact.EmailKey("first@example.com") || contact.EmailKey("a+b@example.com") == contact.EmailKey("a@example.com") {
		t.Error("keys do not say which mailbox it is")
	}
}

// AG-REG-02: local and international form are one number, virtual carriers are carriers.
func TestMobiles(t *testing.T) {
	t.Parallel()
	run(t, contact.Mobile, []check{
		{"13800138000", "+8613800138000"}, {"+86 138 0013 8000", "+8613800138000"}, {"0086-138-0013-8000", "+8613800138000"}, {"17012345678", "+8617012345678"}, {"16512345678", "+8616512345678"},
		{"+4915112345678", "+4915112345678"}, {"+12025550123", "+12025550123"}, {"010-62345678", ""}, {"12345", ""}, {"", ""}, {"+8612345678901", ""}, {"1380013800", ""}, {"１３８00138000", ""},
		{"1-800-FLOWERS", ""}, {"13800138000;ext=1", ""}, {strings.Repeat("1", 40), ""}, {"+", ""},
	})
}

func TestMasks(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		contact.MaskEmail("zhang@example.com"): "z***@example.com", contact.MaskMobile("+8613800138000"): "+86*******8000", contact.MaskEmail(""): "", contact.MaskMobile(""): "",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzEmail(f *testing.F) {
	f.Add("First.Last+tag@例子.中国")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := contact.Email(s)
		if err != nil {
			return
		}
		if again, err := contact.Email(got); err != nil || again != got || strings.ContainsAny(got, "\r\n <>,;\"") {
			t.Errorf("%q → %q → %q, %v", s, got, again, err)
		}
	})
}

func FuzzMobile(f *testing.F) {
	f.Add("+86 138 0013 8000")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := contact.Mobile(s)
		if err != nil {
			return
		}
		if again, err := contact.Mobile(got); err != nil || again != got || strings.Trim(got, "+0123456789") != "" {
			t.Errorf("%q → %q → %q, %v", s, got, again, err)
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("A\u030a  B")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := contact.Name(s)
		if err != nil {
			return
		}
		if again, err := contact.Name(got); err != nil || again != got {
			t.Errorf("%q → %q → %q, %v", s, got, again, err)
		}
	})
}
