package notice

import (
	"context"
	"errors"
	"strings"
	"testing"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/mail/mailtest"
	"borealis/internal/platform/notice/wording"
)

// Every text that ships passes the linter (AG-DEF-01, AG-SEC-01), and all codes that the agreement needs are there.
func TestTheTextsThatShipAreClean(t *testing.T) {
	list, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	rules := wording.Rules{Hosts: []string{"console.borealis.example"}}
	for code, b := range list {
		if err := b.check(); err != nil {
			t.Errorf("%s: %v", code, err)
		}
		for _, p := range rules.Lint(&b.Texts, b.Placeholders, b.Class == Security) {
			t.Errorf("%s: %+v", code, p)
		}
	}
	for code := range strings.FieldsSeq(`N-REG N-AGR-CHANGE N-PRICE N-SVC-CHANGE N-MAINT N-INCIDENT N-SANCTION N-RECTIFY N-STATEMENT N-DISPUTE N-DORMANT-21 N-DORMANT-23
		N-DORMANT-30D N-DORMANT-7D N-DORMANT-1D N-CLOSE N-ASSIGN N-DSR N-BREACH N-KYC N-QUOTA N-BALANCE-LOW`) {
		if list[code] == nil {
			t.Errorf("there is no %s", code)
		}
	}
}

// smsFirst is a template: e-mail, else text message, else the box.
func smsFirst() Template {
	return Template{
		Code: "N-TEST", Class: Security, Category: "test", Channels: []string{Email}, Fallback: []string{SMS, InSite}, Placeholders: []wording.Placeholder{},
		Texts: wording.Texts{ZH: wording.Text{Title: "测试", Body: "测试正文", Short: "测试短信"}, EN: wording.Text{Title: "Test", Body: "Text of a test", Short: "Short test"}},
	}
}

func draft(r *rig, author string, t Template) (v int64, err error) {
	err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		v, err = r.SaveDraft(ctx, tx, author, t)
		return err
	})
	return v, err
}

// Templates: somebody else reviews; what the linter finds does not pass; a reviewed one does not change; all is in the audit log.
func TestTemplatesAreReviewed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		review := func(who string, v int64) error {
			return r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Review(ctx, tx, who, "N-TEST", v) })
		}
		n := Notice{Key: "k", Code: "N-TEST", Actor: "system:test"}
		if _, err := r.Send(t.Context(), n, []Recipient{person(1)}); !errors.Is(err, ErrNoTemplate) {
			t.Error(err)
		}
		one, err := draft(r, "author", smsFirst())
		r.must(err)
		if _, err := r.Send(t.Context(), n, []Recipient{person(1)}); !errors.Is(err, ErrNoTemplate) {
			t.Errorf("a draft was sent: %v", err)
		}
		if err := review("author", one); !errors.Is(err, ErrReviewer) {
			t.Errorf("the author reviewed: %v", err)
		}
		r.must(review("reviewer", one))
		if err := review("reviewer", one); !errors.Is(err, ErrNotDraft) {
			t.Error(err)
		}
		for _, text := range []string{"请回复您的密码", "Please send your password", "详情 https://evil.example/x", "{{who}}"} {
			bad := smsFirst()
			bad.Texts.ZH.Body += "\n" + text
			v, err := draft(r, "author", bad)
			r.must(err)
			var invalid *InvalidError
			if err := review("reviewer", v); !errors.As(err, &invalid) {
				t.Errorf("%q passed: %v", text, err)
			}
		}
		two := smsFirst()
		two.Texts.ZH.Title = "第二版"
		v, err := draft(r, "author", two)
		r.must(err)
		r.must(review("reviewer", v))
		if c, err := r.Template(t.Context(), "N-TEST"); err != nil || c.Version != v || c.Reviewer != "reviewer" || c.State != Reviewed {
			t.Errorf("current %+v, %v", c, err)
		}
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Retire(ctx, tx, "reviewer", "N-TEST", v) }))
		if c, err := r.Template(t.Context(), "N-TEST"); err != nil || c.Version != one {
			t.Errorf("current %+v, %v", c, err)
		}
		rows, err := r.audit.List(t.Context(), d, "notice_template:N-TEST.1", 0, 10)
		if err != nil || len(rows) != 2 || rows[0].Action != "notice_template.review" || rows[0].Actor != "reviewer" {
			t.Errorf("audit %+v, %v", rows, err)
		}
		for name, change := range map[string]func(*Template){
			"code": func(t *Template) { t.Code = "n-test" }, "class": func(t *Template) { t.Class = "urgent" }, "category": func(t *Template) { t.Category = "" },
			"channels": func(t *Template) { t.Channels = []string{"fax"} }, "fallback": func(t *Template) { t.Fallback = []string{SMS, SMS} },
		} {
			bad := smsFirst()
			change(&bad)
			var invalid *InvalidError
			if _, err := draft(r, "author", bad); !errors.As(err, &invalid) || invalid.Field != name {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
