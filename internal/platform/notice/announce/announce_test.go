package announce_test

import (
	"context"
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/notice/announce"
	"borealis/internal/platform/notice/wording"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func words(n string) wording.Texts {
	return wording.Texts{ZH: wording.Text{Title: "公告" + n, Body: "公告正文 & 更多" + n}, EN: wording.Text{Title: "Announcement " + n, Body: "Text of the announcement & more " + n}}
}

// AG-NOT-02: public, dated, permanent links, archived, feed; never edited silently.
func TestAnnouncements(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for _, m := range []func(context.Context, *db.DB) error{audit.Migrate, announce.Migrate} {
			if err := m(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		c := clock.NewFake(time.Date(2026, 11, 25, 16, 0, 1, 0, time.UTC)) // the 26th in Shanghai
		log := audit.New(c, []byte("0123456789abcdef0123456789abcdef"))
		s := announce.New(announce.Deps{DB: d, Clock: c, Audit: log, Rules: wording.Rules{Hosts: []string{"borealis.example"}}})
		tx := func(fn db.TxFunc) error { return d.InTx(t.Context(), fn) }
		publish := func(slug, category string, w wording.Texts) (got string, err error) {
			err = tx(func(ctx context.Context, tx *db.Tx) (err error) {
				got, err = s.Publish(ctx, tx, "user:1", slug, category, w)
				return err
			})
			return got, err
		}
		if slug, err := publish("price-2027", "price", words("1")); err != nil || slug != "price-2027" {
			t.Fatal(slug, err)
		}
		c.Advance(time.Hour)
		dated, err := publish("", "news", words("2"))
		if err != nil || !strings.HasPrefix(dated, "2026-11-26-") {
			t.Fatal(dated, err)
		}
		if _, err := publish("price-2027", "price", words("3")); !errors.Is(err, announce.ErrExists) {
			t.Errorf("a link was given again: %v", err)
		}
		for field, try := range map[string]func() error{
			"slug":     func() error { _, err := publish("A b", "price", words("")); return err },
			"category": func() error { _, err := publish("", "", words("")); return err },
			"zh.body": func() error {
				w := words("")
				w.ZH.Body += " https://evil.example/"
				_, err := publish("", "news", w)
				return err
			},
			"en.body": func() error { w := words(""); w.EN.Body = ""; _, err := publish("", "news", w); return err },
			"reason": func() error {
				return tx(func(ctx context.Context, tx *db.Tx) error { return s.Revise(ctx, tx, "user:1", dated, " ", words("")) })
			},
		} {
			var invalid *wording.InvalidError
			if err := try(); !errors.As(err, &invalid) || invalid.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		c.Advance(time.Hour)
		if err := tx(func(ctx context.Context, tx *db.Tx) error {
			return s.Revise(ctx, tx, "user:2", "price-2027", "日期有误", words("1b"))
		}); err != nil {
			t.Fatal(err)
		}
		revisions, err := s.Revisions(t.Context(), "price-2027")
		if err != nil || len(revisions) != 2 || revisions[0].Texts.ZH.Title != "公告1" || revisions[1].Reason != "日期有误" || revisions[0].Hash == revisions[1].Hash {
			t.Errorf("revisions %+v, %v", revisions, err)
		}
		a, err := s.Get(t.Context(), "price-2027")
		if err != nil || a.Date() != "2026-11-26" || a.Revision != 2 || a.RevisedAt == a.PublishedAt || a.Texts.EN.Title != "Announcement 1b" {
			t.Errorf("announcement %+v, %v", a, err)
		}
		if err := tx(func(ctx context.Context, tx *db.Tx) error {
			return s.Archive(ctx, tx, "user:2", "price-2027", "不再适用")
		}); err != nil {
			t.Fatal(err)
		}
		if a, err := s.Get(t.Context(), "price-2027"); err != nil || a.ArchivedAt == 0 {
			t.Errorf("the link of an archived one: %+v, %v", a, err)
		}
		for want, f := range map[string]announce.Filter{dated: {}, "price-2027": {Archived: true}} {
			if list, err := s.List(t.Context(), f); err != nil || len(list) != 1 || list[0].Slug != want {
				t.Errorf("%+v: %+v, %v", f, list, err)
			}
		}
		all, err := s.List(t.Context(), announce.Filter{All: true, Limit: 1})
		if err != nil || len(all) != 1 || all[0].Slug != dated {
			t.Fatalf("first page %+v, %v", all, err)
		}
		if next, err := s.List(t.Context(), announce.Filter{All: true, Before: all[0].PublishedAt, BeforeID: all[0].ID}); err != nil || len(next) != 1 || next[0].Slug != "price-2027" {
			t.Errorf("next page %+v, %v", next, err)
		}
		if _, err := s.Get(t.Context(), "nothing"); !errors.Is(err, announce.ErrNone) {
			t.Error(err)
		}
		feed, err := s.Feed(t.Context(), announce.FeedOptions{BaseURL: "https://borealis.example/a/", Self: "https://borealis.example/a.atom", Locale: "en", Title: "News", Author: "Borealis"})
		if err != nil {
			t.Fatal(err)
		}
		var parsed struct {
			XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
			Updated string   `xml:"updated"`
			Entries []struct {
				ID        string `xml:"id"`
				Title     string `xml:"title"`
				Published string `xml:"published"`
				Content   string `xml:"content"`
			} `xml:"entry"`
		}
		if err := xml.Unmarshal(feed, &parsed); err != nil {
			t.Fatal(err)
		}
		if len(parsed.Entries) != 2 || parsed.Updated != "2026-11-25T18:00:01Z" || parsed.Entries[1].ID != "https://borealis.example/a/price-2027" ||
			parsed.Entries[1].Title != "Announcement 1b" || parsed.Entries[1].Content != "Text of the announcement & more 1b" || parsed.Entries[1].Published != "2026-11-25T16:00:01Z" {
			t.Errorf("feed %+v\n%s", parsed, feed)
		}
		rows, err := log.List(t.Context(), d, "announcement:price-2027", 0, 10)
		if err != nil || len(rows) != 3 || rows[0].Action != "announcement.archive" || rows[1].Actor != "user:2" {
			t.Errorf("audit %+v, %v", rows, err)
		}
	})
}
