package agreement_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/agreement"
	"borealis/internal/platform/agreement/legaltext"
	"borealis/internal/platform/agreement/redline"
	"borealis/internal/platform/agreement/sample"
)

// AG-PRE-01: a supplement published alone changes the hash of the set, members have an order, and what was accepted
// before still resolves to the exact old texts.
func TestSupplementAloneMakesAnEdition(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		first, _ := w.found(t)
		w.join(t, 1)
		before, err := w.s.Show(t.Context(), agreement.SetAgreement, 1, legaltext.Chinese)
		if err != nil {
			t.Fatal(err)
		}
		rule := text("content-rules", "1.0", legaltext.Commercial, "1.1 规则。")
		rule.Order = 5
		second := w.announce(t, rule, text("annex", "1.0", legaltext.Commercial, "1.1 附件。"))
		if second.Hash == first.Hash || second.Number != 2 {
			t.Fatalf("%+v", second)
		}
		w.to(second.EffectiveAt)
		o, err := w.s.Show(t.Context(), agreement.SetAgreement, 0, legaltext.Chinese)
		if err != nil || len(o.Texts) != 3 || o.Texts[0].Code != "content-rules" || o.Texts[1].Code != "user-agreement" || o.Texts[2].Code != "annex" {
			t.Fatalf("%+v, %v", o, err)
		}
		text, err := w.s.Manifest(t.Context(), second.Hash)
		if err != nil || legaltext.HashText(text) != second.Hash || !strings.Contains(text, "user-agreement 1.0 "+before.Texts[0].Master) {
			t.Errorf("manifest %q, %v", text, err)
		}
		third, err := w.s.Announce(t.Context(), staff, agreement.Announcement{Set: agreement.SetAgreement, Remove: []string{"annex"}})
		if err != nil || third.Class != legaltext.Commercial {
			t.Fatalf("%+v, %v", third, err)
		}
		list, err := w.s.BoundAt(t.Context(), 1, w.now())
		if err != nil || list[0].Edition.Hash != first.Hash {
			t.Fatalf("%+v, %v", list, err)
		}
		old, err := w.s.Show(t.Context(), list[0].Set, list[0].Edition.Number, legaltext.Chinese)
		if err != nil || len(old.Texts) != 1 || old.Texts[0].Body != before.Texts[0].Body || old.Texts[0].Hash != before.Texts[0].Hash {
			t.Errorf("%+v, %v", old, err)
		}
		canonical, err := w.s.Document(t.Context(), old.Texts[0].Hash)
		if err != nil || legaltext.HashText(canonical) != old.Texts[0].Hash {
			t.Errorf("%q, %v", canonical, err)
		}
	})
}

// AG-INT-04: one character of the master makes the translation stale; English readers then get the master with a note;
// what binds is the master, and the language shown is kept; the master can always be read.
func TestStaleTranslationFallsBackToTheMaster(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		_, _ = w.found(t)
		ctx := t.Context()
		show := func(number int64, locale legaltext.Locale) agreement.Text {
			t.Helper()
			o, err := w.s.Show(ctx, agreement.SetAgreement, number, locale)
			if err != nil {
				t.Fatal(err)
			}
			return o.Texts[0]
		}
		if got := show(1, legaltext.English); got.Locale != legaltext.English || got.Note != agreement.NoteChinesePrevails || got.Hash == got.Master {
			t.Errorf("fresh: %+v", got)
		}
		if got := show(1, legaltext.Chinese); got.Locale != legaltext.Chinese || got.Note != agreement.NoteNone || got.Hash != got.Master {
			t.Errorf("master: %+v", got)
		}
		next := text("user-agreement", "2.0", legaltext.Editorial, "1.1 更正。")
		w.prepare(t, next)
		en := translation(next)
		next.Body = strings.Replace(next.Body, "。", "！", 1)
		v, err := w.s.Save(ctx, staff, next)
		if err != nil || v.Stage != agreement.Draft || !v.Stale || v.Translation != "" {
			t.Fatalf("one character later: %+v, %v", v, err)
		}
		if _, err := w.s.Translate(ctx, staff, en); currentOf(err, agreement.SetAgreement) != v.Hash {
			t.Errorf("a translation of the old text: %v", err)
		}
		ref := agreement.Announcement{Set: agreement.SetAgreement, Documents: []agreement.Ref{{Code: "user-agreement", Version: "2.0"}}}
		if _, err := w.s.Announce(ctx, staff, ref); !errors.Is(err, agreement.ErrStage) {
			t.Errorf("announced a draft: %v", err)
		}
		if _, err := w.s.Review(ctx, staff, "user-agreement", "2.0", en.Source); currentOf(err, agreement.SetAgreement) != v.Hash {
			t.Errorf("reviewed what is no longer there: %v", err)
		}
		if _, err := w.s.Review(ctx, staff, "user-agreement", "2.0", v.Hash); err != nil {
			t.Fatal(err)
		}
		if _, err := w.s.Announce(ctx, staff, ref); !errors.Is(err, agreement.ErrStage) {
			t.Errorf("announced with a stale translation, unasked: %v", err)
		}
		ref.Untranslated = true
		second, err := w.s.Announce(ctx, staff, ref)
		if err != nil {
			t.Fatal(err)
		}
		w.to(second.EffectiveAt)
		if got := show(0, legaltext.English); got.Locale != legaltext.Chinese || got.Note != agreement.NoteOutdated || got.Hash != got.Master {
			t.Errorf("stale: %+v", got)
		}
		hashes := w.hashes(t)
		if err := w.register(agreement.SignUp{Account: 1, Hashes: hashes, Locale: legaltext.English}); err != nil {
			t.Fatal(err)
		}
		list, err := w.s.Evidence(ctx, staff, 1, "test")
		if err != nil || list[0].Locale != legaltext.English || list[0].Hash != second.Hash || !strings.Contains(list[0].Proof, `"locale":"zh","hash":"`+v.Hash) {
			t.Errorf("%+v, %v", list, err)
		}
		// The translation comes later: the hash of the edition, and so what was accepted, stays.
		if _, err := w.s.Translate(ctx, staff, translation(next)); err != nil {
			t.Fatal(err)
		}
		if got := show(0, legaltext.English); got.Locale != legaltext.English || w.hashes(t)[agreement.SetAgreement] != hashes[agreement.SetAgreement] {
			t.Errorf("translated: %+v", got)
		}
		// AG-PRE-07: only an English text cannot be published.
		if _, err := w.s.Save(ctx, staff, en); !fieldIs(err, "locale") {
			t.Errorf("saved a translation as master: %v", err)
		}
		en.Version = "9.9"
		if _, err := w.s.Translate(ctx, staff, en); !errors.Is(err, agreement.ErrNotFound) {
			t.Errorf("translated nothing: %v", err)
		}
		next.Body += "x"
		if _, err := w.s.Save(ctx, staff, next); !errors.Is(err, agreement.ErrStage) {
			t.Errorf("changed what was announced: %v", err)
		}
		fresh := w.announce(t, text("push-terms", "1.0", legaltext.Commercial, "1.1 新。"))
		w.to(fresh.EffectiveAt)
		plain := text("sms-terms", "1.0", legaltext.Commercial, "1.1 新。")
		plain.Kind, plain.Service = legaltext.ServiceTerm, "sms"
		v, err = w.s.Save(ctx, staff, plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.s.Review(ctx, staff, v.Code, v.Version, v.Hash); err != nil {
			t.Fatal(err)
		}
		if _, err := w.s.Announce(ctx, staff, agreement.Announcement{Set: v.Set, Documents: []agreement.Ref{{Code: v.Code, Version: v.Version}}, Untranslated: true}); err != nil {
			t.Fatal(err)
		}
		if o, err := w.s.Show(ctx, "service:sms", 0, legaltext.English); err != nil || o.Texts[0].Note != agreement.NoteUntranslated {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

// AG-PRE-05: the specific rule wins, the agreement fills the gaps, as they bound the account at the time; two rules of
// one rank block until somebody rules.
func TestSpecificRuleGoverns(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		ua := text("user-agreement", "1.0", legaltext.Commercial, "1.1 总则。")
		ua.Topics = map[string]string{"content": "6.1", "fees": "5.1"}
		a, b := text("content-rules", "1.0", legaltext.Commercial, "1.1 内容。"), text("ad-rules", "1.0", legaltext.Commercial, "1.1 广告。")
		a.Topics, b.Topics = map[string]string{"content": "1.1", "marketing": "1.1"}, map[string]string{"marketing": "2.4"}
		push := text("push-terms", "1.0", legaltext.Commercial, "1.1 推送。")
		push.Topics = map[string]string{"content": "2.2"}
		w.announce(t, ua, a, b)
		w.announce(t, text("privacy-policy", "1.0", legaltext.PersonalData, "1.1 政策。"))
		terms := w.announce(t, push)
		ask := func(topic string, app int64, service string) (string, error) {
			r, err := w.s.Govern(t.Context(), agreement.Question{Account: 1, App: app, Service: service, Topic: topic, At: w.now()})
			if err != nil {
				return "", err
			}
			return r.Code + " " + r.Clause, nil
		}
		if _, err := ask("fees", 0, ""); !errors.Is(err, agreement.ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
		w.join(t, 1)
		in := decision(1, terms)
		in.App = 7
		if _, err := w.accept(in); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			topic   string
			app     int64
			service string
			want    string
		}{
			{"fees", 7, "push", "user-agreement 5.1"}, {"content", 0, "", "content-rules 1.1"}, {"content", 7, "push", "push-terms 2.2"},
			{"content", 8, "push", "content-rules 1.1"}, {"content", 7, "sms", "content-rules 1.1"}, {"weather", 7, "push", "user-agreement "},
		} {
			if got, err := ask(c.topic, c.app, c.service); got != c.want || err != nil {
				t.Errorf("%s of %d %s: %q, %v", c.topic, c.app, c.service, got, err)
			}
		}
		if _, err := ask("marketing", 0, ""); !errors.Is(err, agreement.ErrConflict) || !strings.Contains(err.Error(), "ad-rules 2.4") {
			t.Errorf("two rules: %v", err)
		}
		conflict := w.now()
		w.clock.Advance(time.Hour)
		for field, err := range map[string]error{
			"codes":  w.s.SetPrecedence(t.Context(), staff, "marketing", []string{"ad-rules", "ad-rules"}, "x"),
			"reason": w.s.SetPrecedence(t.Context(), staff, "marketing", []string{"ad-rules", "content-rules"}, ""),
			"topic":  w.s.SetPrecedence(t.Context(), staff, "", []string{"ad-rules", "content-rules"}, "x"),
		} {
			if !fieldIs(err, field) {
				t.Errorf("%s: %v", field, err)
			}
		}
		if err := w.s.SetPrecedence(t.Context(), staff, "marketing", []string{"ad-rules", "nothing"}, "x"); !errors.Is(err, agreement.ErrNotFound) {
			t.Errorf("unknown document: %v", err)
		}
		if err := w.s.SetPrecedence(t.Context(), staff, "marketing", []string{"ad-rules", "content-rules"}, "the newer one"); err != nil {
			t.Fatal(err)
		}
		if got, err := ask("marketing", 0, ""); got != "ad-rules 2.4" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := w.s.Govern(t.Context(), agreement.Question{Account: 1, Topic: "marketing", At: conflict}); !errors.Is(err, agreement.ErrConflict) {
			t.Errorf("before it was ruled: %v", err)
		}
		if rows, err := w.audit.List(t.Context(), d, "agreement_topic:marketing", 0, 10); err != nil || len(rows) != 1 {
			t.Errorf("%+v, %v", rows, err)
		}
	})
}

// AG-PRE-07: what changed between two editions, in the language of the reader if both sides have it.
func TestChangesAreShownAsARedline(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		w.announce(t, text("annex", "1.0", legaltext.Commercial, "1.1 附件。"))
		if _, err := w.s.Announce(t.Context(), staff, agreement.Announcement{
			Set: agreement.SetAgreement, Documents: w.prepare(t, text("user-agreement", "2.0", legaltext.Commercial, "1.1 新版。")), Remove: []string{"annex"},
		}); err != nil {
			t.Fatal(err)
		}
		list, err := w.s.Changes(t.Context(), agreement.SetAgreement, 2, 3, legaltext.Chinese)
		if err != nil || len(list) != 2 || list[0].Code != "user-agreement" || list[0].From != "1.0" || list[0].To != "2.0" || list[1].Code != "annex" || list[1].To != "" {
			t.Fatalf("%+v, %v", list, err)
		}
		var changed []redline.Line
		for _, l := range list[0].Body {
			if l.Op != redline.Equal {
				changed = append(changed, l)
			}
		}
		if len(changed) != 1 || changed[0].Op != redline.Changed || len(changed[0].Spans) != 4 || changed[0].Spans[1].Text != "初" || changed[0].Spans[2].Text != "新" {
			t.Errorf("%+v", changed)
		}
		if list, err = w.s.Changes(t.Context(), agreement.SetAgreement, 0, 1, legaltext.English); err != nil || len(list) != 1 || list[0].Locale != legaltext.English || list[0].From != "" {
			t.Errorf("everything new: %+v, %v", list, err)
		}
		if _, err := w.s.Changes(t.Context(), agreement.SetAgreement, 1, 9, legaltext.English); !errors.Is(err, agreement.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

// The operator's folder becomes versions, again and again without a change, and the samples go all the way.
func TestImportOfAFolder(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		ctx := t.Context()
		pairs, err := sample.Texts(sample.Values{Operator: "示例公司", Address: "某路 1 号", ContactEmail: "legal@example.com", ContactPhone: "+86 755 0000 0000", Court: "某法院"})
		if err != nil {
			t.Fatal(err)
		}
		for round, want := range []string{"new", "unchanged"} {
			list, err := w.s.ImportTexts(ctx, staff, pairs, round == 1)
			if err != nil || len(list) != 3 {
				t.Fatalf("%+v, %v", list, err)
			}
			for _, r := range list {
				stage := []agreement.Stage{agreement.Draft, agreement.Translated}[round]
				if round == 1 {
					want = "changed" // the translations came
				}
				if r.Stage != stage || r.Result != want || r.TranslationWaits != (round == 0) || len(r.Findings) > 0 {
					t.Errorf("round %d: %+v", round, r)
				}
			}
		}
		for set, code := range map[string]string{agreement.SetAgreement: "user-agreement", agreement.SetPrivacy: "privacy-policy", "service:push": "push-terms"} {
			if f, err := w.s.Lint(ctx, code, "1.0"); len(f) > 0 || err != nil {
				t.Errorf("%v, %v", f, err)
			}
			if _, err := w.s.Announce(ctx, staff, agreement.Announcement{Set: set, Documents: []agreement.Ref{{Code: code, Version: "1.0"}}}); err != nil {
				t.Error(err)
			}
		}
		w.join(t, 1)
		if list, err := w.s.ImportTexts(ctx, staff, pairs, true); err != nil || list[0].Result != "unchanged" || list[0].Stage != agreement.Announced {
			t.Errorf("after the announcement: %+v, %v", list, err)
		}
		folder := fstest.MapFS{"a/user-agreement.zh.md": {Data: []byte(strings.Replace(pairs[2].Master.Canonical(), "示例公司", "别的公司", 1))}}
		if _, err := w.s.Import(ctx, staff, folder, "a", nil, true); !errors.Is(err, agreement.ErrStage) || !strings.Contains(err.Error(), "user-agreement.zh.md") {
			t.Errorf("another text under the same version: %v", err)
		}
		moved := text("push-terms", "2.0", legaltext.Commercial, "1.1 x。")
		moved.Kind, moved.Service = legaltext.Rule, ""
		if _, err := w.s.Save(ctx, staff, moved); !fieldIs(err, "kind") {
			t.Errorf("moved to another set: %v", err)
		}
		if rows, err := w.audit.List(ctx, d, "agreement_document:user-agreement/1.0", 0, 10); err != nil || len(rows) != 3 {
			t.Errorf("audit %+v, %v", rows, err)
		}
	})
}

// Whoever changes a text, an edition or a decision in the database is found out.
func TestVerifyFindsWhatWasChanged(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		contract, _ := w.found(t)
		if err := w.register(agreement.SignUp{Account: 1, Hashes: w.hashes(t), Locale: "zh", Origin: agreement.Origin{IP: "203.0.113.7"}}); err != nil {
			t.Fatal(err)
		}
		verify := func() []agreement.Damage {
			t.Helper()
			list, err := w.s.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		if got := verify(); len(got) > 0 {
			t.Fatalf("untouched: %+v", got)
		}
		w.tx(t, func(ctx context.Context, tx *db.Tx) error { return w.s.EraseOrigins(ctx, tx, 1) })
		if got := verify(); len(got) > 0 {
			t.Errorf("after the origins were erased: %+v", got)
		}
		if list, err := w.s.Evidence(t.Context(), staff, 1, "test"); err != nil || list[0].Origin.IP != "" || !list[0].Intact {
			t.Errorf("%+v, %v", list, err)
		}
		var sealed int64
		if err := d.QueryRow(t.Context(), `select count(*) from agreement_acceptance where origin like '%203.0%' or proof like '%203.0%'`).Scan(&sealed); err != nil || sealed > 0 {
			t.Errorf("%d addresses in clear, %v", sealed, err)
		}
		for name, c := range map[string]struct{ do, undo, kind string }{
			"text":       {`update agreement_text set canonical = canonical || 'x' where hash = $1`, `update agreement_text set canonical = substr(canonical, 1, length(canonical) - 1) where hash = $1`, "text"},
			"edition":    {`update agreement_document set hash = 'x' || hash where hash = $1`, `update agreement_document set hash = substr(hash, 2) where hash = 'x' || $1`, "edition"},
			"time":       {`update agreement_acceptance set decided_at = decided_at - 1 where set_code = 'agreement' and $1 <> ''`, `update agreement_acceptance set decided_at = decided_at + 1 where set_code = 'agreement' and $1 <> ''`, "acceptance"},
			"account":    {`update agreement_acceptance set account = 2 where set_code = 'agreement' and $1 <> ''`, `update agreement_acceptance set account = 1 where set_code = 'agreement' and $1 <> ''`, "acceptance"},
			"its digest": {`update agreement_acceptance set origin_digest = 'x' || origin_digest where $1 <> ''`, `update agreement_acceptance set origin_digest = substr(origin_digest, 2) where $1 <> ''`, "acceptance"},
		} {
			o, err := w.s.Show(t.Context(), agreement.SetAgreement, contract.Number, legaltext.Chinese)
			if err != nil {
				t.Fatal(err)
			}
			run := func(sql string) {
				w.tx(t, func(ctx context.Context, tx *db.Tx) error {
					n, err := tx.Exec(ctx, sql, o.Texts[0].Master)
					if err == nil && n == 0 {
						t.Errorf("%s changes nothing", name)
					}
					return err
				})
			}
			run(c.do)
			if got := verify(); len(got) == 0 || got[0].Kind != c.kind && got[len(got)-1].Kind != c.kind {
				found := false
				for _, g := range got {
					found = found || g.Kind == c.kind
				}
				if !found {
					t.Errorf("%s: %+v", name, got)
				}
			}
			run(c.undo)
			if got := verify(); len(got) > 0 {
				t.Fatalf("%s undone: %+v", name, got)
			}
		}
	})
}

// Names that no database takes are not found, on both engines alike.
func TestHostileNamesAreNotFound(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		ctx, bad := t.Context(), "a\x00\xff"
		for name, f := range map[string]func() error{
			"show":     func() error { _, err := w.s.Show(ctx, bad, 1, legaltext.Chinese); return err },
			"document": func() error { _, err := w.s.Document(ctx, bad); return err },
			"manifest": func() error { _, err := w.s.Manifest(ctx, bad); return err },
			"changes":  func() error { _, err := w.s.Changes(ctx, bad, 1, 2, legaltext.Chinese); return err },
			"review":   func() error { _, err := w.s.Review(ctx, staff, bad, bad, bad); return err },
			"lint":     func() error { _, err := w.s.Lint(ctx, bad, bad); return err },
			"withdraw": func() error { return w.s.Withdraw(ctx, staff, bad, 1, "x") },
			"announce": func() error {
				_, err := w.s.Announce(ctx, staff, agreement.Announcement{Set: bad, Remove: []string{bad}})
				return err
			},
			"precedence": func() error { return w.s.SetPrecedence(ctx, staff, "fees", []string{bad, "x"}, "x") },
		} {
			if err := f(); !errors.Is(err, agreement.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.join(t, 1)
		for _, e := range []agreement.Edition{{Set: bad, Hash: bad}, {Set: "service:none", Hash: "x"}} {
			in := decision(1, &e)
			in.App = 7
			if _, err := w.accept(in); !errors.Is(err, agreement.ErrNotPublished) {
				t.Errorf("%q: %v", e.Set, err)
			}
		}
		if list, err := w.s.Published(ctx); err != nil || len(list) != 2 || list[0].Set != agreement.SetAgreement || list[1].Set != agreement.SetPrivacy {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
