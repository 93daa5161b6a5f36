package announce

import (
	"context"
	"encoding/xml"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
)

// FeedOptions say where the feed stands and who speaks.
type FeedOptions struct {
	// BaseURL is where announcements are: a slug follows. Self is the address of the feed.
	BaseURL, Self string
	// Locale is "zh" or "en".
	Locale string
	// Title of the feed, and the author's name.
	Title, Author string
}

type atomLink struct {
	Rel  string `xml:"rel,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

type atomEntry struct {
	ID        string   `xml:"id"`
	Title     string   `xml:"title"`
	Link      atomLink `xml:"link"`
	Published string   `xml:"published"`
	Updated   string   `xml:"updated"`
	Content   atomText `xml:"content"`
}

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	Lang    string      `xml:"xml:lang,attr"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  string      `xml:"author>name"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

const feedSize = 50

// Feed is the newest announcements as an Atom document (RFC 4287).
func (s *Service) Feed(ctx context.Context, o FeedOptions) ([]byte, error) {
	list, err := s.List(ctx, Filter{All: true, Limit: feedSize})
	if err != nil {
		return nil, err
	}
	lang := "zh-CN"
	if o.Locale == "en" {
		lang = "en"
	}
	f := atomFeed{
		Lang: lang, ID: o.Self, Title: o.Title, Author: o.Author, Updated: stamp(0), Links: []atomLink{{"self", o.Self}, {"alternate", o.BaseURL}},
	}
	newest := int64(0)
	for i := range list {
		a := &list[i]
		text := a.Texts.ZH
		if lang == "en" {
			text = a.Texts.EN
		}
		newest = max(newest, a.RevisedAt)
		link := o.BaseURL + a.Slug
		f.Entries = append(f.Entries, atomEntry{
			ID: link, Title: text.Title, Link: atomLink{Href: link}, Published: stamp(a.PublishedAt), Updated: stamp(a.RevisedAt), Content: atomText{"text", text.Body},
		})
	}
	f.Updated = stamp(newest)
	out, err := xml.MarshalIndent(f, "", " ")
	if err != nil {
		return nil, fmt.Errorf("announce: feed: %w", err)
	}
	return append([]byte(xml.Header), append(out, '\n')...), nil
}

func stamp(ms int64) string { return clock.FromMillis(ms).Format(time.RFC3339) }
