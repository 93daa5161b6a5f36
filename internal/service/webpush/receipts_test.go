package webpush

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// receiptsOfAnswer is what a reader of receipts gets.
type receiptsOfAnswer struct {
	Receipts []receipt
	After    string
}

// ask posts a message with the wish for a receipt, and returns where the message is and where receipts are.
func (r *rig) ask(sub webpushSubscription, more ...string) (location, receipts string) {
	r.t.Helper()
	resp, text := r.call(http.MethodPost, sub.Endpoint, "", headers(append([]string{"Prefer", "respond-async"}, more...)...))
	address, rel, ok := strings.Cut(resp.Header.Get("Link"), ">; ")
	if resp.StatusCode != http.StatusAccepted || !ok || rel != `rel="urn:ietf:params:push:receipt"` || resp.Header.Get("Preference-Applied") != "respond-async" || text != "" {
		r.t.Fatalf("%d %s %v", resp.StatusCode, text, resp.Header)
	}
	return resp.Header.Get("Location"), strings.TrimPrefix(address, "<")
}

// last is the message that was posted last.
func (r *rig) last() int64 {
	r.keeper.mu.Lock()
	defer r.keeper.mu.Unlock()
	return r.keeper.last
}

// drain brings what the push service told to its readers.
func (r *rig) drain() {
	r.t.Helper()
	if err := r.box.Drain(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

// read asks for receipts.
func (r *rig) read(receipts, after string, header http.Header) (int, receiptsOfAnswer) {
	r.t.Helper()
	if after != "" {
		after = "?after=" + after
	}
	resp, text := r.call(http.MethodGet, r.server.URL+receipts+after, "", header)
	var out receiptsOfAnswer
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal([]byte(text), &out); err != nil || resp.Header.Get("Cache-Control") != "no-store" {
			r.t.Fatalf("%s: %v, %v", text, err, resp.Header)
		}
	}
	return resp.StatusCode, out
}

func TestAnApplicationServerReadsWhatBecameOfItsMessages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		sub, other := r.subscribe(5, "a", ""), r.subscribe(6, "a", "")
		delivered, receipts := r.ask(sub)
		first := r.last()
		if !strings.HasPrefix(receipts, "/wpush/v1/receipts/") {
			t.Fatalf("receipts at %s", receipts)
		}
		if status, _ := r.read(receipts, "", nil); status != http.StatusNoContent {
			t.Errorf("before anything happened: %d", status)
		}
		// The same one serves other messages, to other devices too, however it is named; what is replaced or not asked about has no receipt.
		withdrawn, again := r.ask(other, "Link", `<https://cdn.example/x>; rel=next, <`+r.server.URL+receipts+`>; title="a"; rel="urn:ietf:params:push:receipt"`)
		if again != receipts {
			t.Errorf("another receipt subscription: %s", again)
		}
		r.ask(sub, "Link", "<"+receipts+">;rel=urn:ietf:params:push:receipt", "Topic", "t")
		r.ask(sub, "Link", "<"+receipts+`>; rel="urn:ietf:params:push:receipt"`, "Topic", "t")
		newer := r.last()
		if resp, _ := r.call(http.MethodPost, sub.Endpoint, "", headers()); resp.StatusCode != http.StatusCreated || resp.Header.Get("Link") != "" {
			t.Errorf("a message without the wish: %d %v", resp.StatusCode, resp.Header)
		}
		r.keeper.deliver(t, r.last())
		r.keeper.deliver(t, first)
		if resp, _ := r.call(http.MethodDelete, r.server.URL+withdrawn, "", nil); resp.StatusCode != http.StatusNoContent {
			t.Fatalf("withdrawal: %d", resp.StatusCode)
		}
		r.drain()
		status, got := r.read(receipts, "", nil)
		want := []receipt{{Message: delivered, Status: 204, At: 1790000000000 + first}, {Message: withdrawn, Status: 410, At: 1790000000000 + first + 1}}
		if status != http.StatusOK || !slices.Equal(got.Receipts, want) || got.After != "2" {
			t.Errorf("%d %+v, want %+v", status, got, want)
		}
		// Reading takes nothing away; who says what he has had gets the rest.
		if status, again := r.read(receipts, "1", nil); status != http.StatusOK || !slices.Equal(again.Receipts, want[1:]) {
			t.Errorf("after the first: %d %+v", status, again)
		}
		if status, _ := r.read(receipts, "2", nil); status != http.StatusNoContent {
			t.Errorf("after all: %d", status)
		}
		r.keeper.deliver(t, newer)
		r.drain()
		if status, got := r.read(receipts, "2", nil); status != http.StatusOK || len(got.Receipts) != 1 || got.Receipts[0].Status != 204 || got.After != "3" {
			t.Errorf("the newer of a topic: %d %+v", status, got)
		}
		// A message of its own has receipts of its own.
		if _, own := r.ask(sub); own == receipts {
			t.Error("two that do not know of each other share receipts")
		}
		// It ends for ever; what is named that has ended makes way for a new one.
		for _, status := range []int{http.StatusNoContent, http.StatusNotFound} {
			if resp, text := r.call(http.MethodDelete, r.server.URL+receipts, "", nil); resp.StatusCode != status {
				t.Errorf("end: %d %s", resp.StatusCode, text)
			}
		}
		if status, _ := r.read(receipts, "", nil); status != http.StatusNotFound {
			t.Errorf("after its end: %d", status)
		}
		if _, fresh := r.ask(sub, "Link", "<"+receipts+`>; rel="urn:ietf:params:push:receipt"`); fresh == receipts {
			t.Error("one that has ended is used")
		}
		families, err := r.registry.Gather()
		if err != nil || len(families[0].GetMetric()) != 2 {
			t.Errorf("counted %v, %v; want 201 and 202", families, err)
		}
	})
}

func TestWrongReceiptSubscriptionsAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	sub := r.subscribe(5, "a", "")
	_, receipts := r.ask(sub)
	for name, c := range map[string]struct {
		link   string
		status int
	}{
		"nobody's":          {`</wpush/v1/receipts/AAAA>; rel="urn:ietf:params:push:receipt"`, 400},
		"an endpoint":       {"<" + sub.Endpoint + `>; rel="urn:ietf:params:push:receipt"`, 400},
		"elsewhere":         {`<https://push.example.net/r/1>; rel="urn:ietf:params:push:receipt"`, 400},
		"no address":        {`<::>; rel="urn:ietf:params:push:receipt"`, 400},
		"two":               {"<" + receipts + `>; rel="urn:ietf:params:push:receipt", <` + receipts + `>; rel="urn:ietf:params:push:receipt"`, 400},
		"another relation":  {`<https://push.example.net/r/1>; rel="urn:ietf:params:push"`, 202},
		"several relations": {"<" + receipts + `>; rel="next urn:ietf:params:push:receipt"`, 202},
		"not a link":        {"urn:ietf:params:push:receipt", 202},
	} {
		resp, text := r.call(http.MethodPost, sub.Endpoint, "", headers("Prefer", "respond-async", "Link", c.link))
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text)
		}
	}
	for _, c := range []struct {
		path   string
		header http.Header
		status int
	}{
		{receipts + "x", nil, 404}, {receiptsPath + "x", nil, 404}, {receipts + "?after=x", nil, 400}, {receipts + "?after=-1", nil, 400},
		{receipts, http.Header{"Last-Event-Id": {"x"}}, 400}, {receiptsPath + "x", http.Header{"Accept": {"text/event-stream"}}, 404},
	} {
		if resp, text := r.call(http.MethodGet, r.server.URL+c.path, "", c.header); resp.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.path, resp.StatusCode, text)
		}
	}
	if resp, _ := r.call(http.MethodPost, r.server.URL+receipts, "", nil); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, DELETE, OPTIONS" {
		t.Errorf("POST: %d %v", resp.StatusCode, resp.Header)
	}
}

func TestReceiptSubscriptionsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), func(d *Deps) { d.Limits = Limits{Subscription: -1, Address: -1} })
	sub, other := r.subscribe(5, "a", ""), r.subscribe(6, "a", "")
	_, receipts := r.ask(sub)
	id, err := r.openReceipts(strings.TrimPrefix(receipts, receiptsPath))
	if err != nil {
		t.Fatal(err)
	}
	err = r.DB.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		for i := range int64(maxReceipts - 1) {
			if err := insertReceipts(ctx, tx, id+1000+i, r.keeper.kept[0].Subscription, 1<<60); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if resp, text := r.call(http.MethodPost, sub.Endpoint, "", headers("Prefer", "respond-async")); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one more: %d %s", resp.StatusCode, text)
	}
	r.ask(sub, "Link", "<"+receipts+`>; rel="urn:ietf:params:push:receipt"`)
	r.ask(other)
	if resp, _ := r.call(http.MethodPost, sub.Endpoint, "", headers()); resp.StatusCode != http.StatusCreated {
		t.Errorf("without a receipt: %d", resp.StatusCode)
	}
	for i := range readsPerMinute + 1 {
		status, _ := r.read(receipts, "", nil)
		if want := map[bool]int{false: 204, true: 429}[i == readsPerMinute]; status != want {
			t.Fatalf("request %d: %d", i, status)
		}
	}
}

func TestReceiptsAreForgottenByAge(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		sub := r.subscribe(5, "a", "")
		_, short := r.ask(sub)
		r.keeper.deliver(t, r.last())
		_, long := r.ask(sub, "TTL", fmt.Sprint(10*24*3600))
		r.drain()
		day := 24 * time.Hour
		sweep := func() {
			t.Helper()
			if err := r.sweepReceipts(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		// The receipt of the double of the push service is of 1790000000001, some weeks before the rig's time.
		rows := func() (receipts, subscriptions int) {
			t.Helper()
			if err := d.QueryRow(t.Context(), `select (select count(*) from webpush_receipt), (select count(*) from webpush_receipts)`).Scan(&receipts, &subscriptions); err != nil {
				t.Fatal(err)
			}
			return receipts, subscriptions
		}
		if a, b := rows(); a != 1 || b != 2 {
			t.Fatalf("%d, %d", a, b)
		}
		sweep()
		if a, b := rows(); a != 0 || b != 2 {
			t.Errorf("%d receipts, %d subscriptions after the age of the receipt", a, b)
		}
		r.fake.Advance(6*day + time.Hour)
		if status, _ := r.read(short, "", nil); status != http.StatusNoContent { // which keeps it
			t.Errorf("in use: %d", status)
		}
		r.fake.Advance(6 * day)
		if status, _ := r.read(short, "", nil); status != http.StatusNoContent {
			t.Errorf("in use: %d", status)
		}
		r.fake.Advance(8 * day) // what has ended is not there although it was not swept
		if status, _ := r.read(short, "", nil); status != http.StatusNotFound {
			t.Errorf("not used: %d", status)
		}
		// The other one waited for its message, 10 days and 7 more.
		if status, _ := r.read(long, "", nil); status != http.StatusNotFound {
			t.Errorf("after the time to live of its message: %d", status)
		}
		sweep()
		if a, b := rows(); a != 0 || b != 0 {
			t.Errorf("%d, %d are left", a, b)
		}
	})
}

// running has the loop of the service run.
func (r *rig) running() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	r.t.Cleanup(func() { r.StopWaiting(); cancel(); <-done })
}

// waiting waits until a number of requests waits.
func (r *rig) waiting(n int) {
	r.t.Helper()
	for range 2000 {
		r.readers.mu.Lock()
		count := r.readers.count
		r.readers.mu.Unlock()
		if count == n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("there are never %d readers", n)
}

func TestAReaderWaitsForTheNextReceipt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		r.running()
		sub := r.subscribe(5, "a", "")
		location, receipts := r.ask(sub)
		type result struct {
			status int
			got    receiptsOfAnswer
		}
		results := make(chan result, maxReadersOf)
		wait := func(header http.Header) {
			go func() {
				status, got := r.read(receipts, "", header)
				results <- result{status, got}
			}()
		}
		for range maxReadersOf {
			wait(http.Header{"Prefer": {"wait=60"}})
		}
		r.waiting(maxReadersOf)
		if status, _ := r.read(receipts, "", http.Header{"Prefer": {"wait=60"}}); status != http.StatusTooManyRequests {
			t.Errorf("one more: %d", status)
		}
		r.keeper.deliver(t, r.last())
		r.drain()
		for range maxReadersOf {
			if got := <-results; got.status != http.StatusOK || len(got.got.Receipts) != 1 || got.got.Receipts[0].Message != location {
				t.Errorf("%+v", got)
			}
		}
		r.waiting(0)
		// The time that a reader likes to wait ends, too.
		if status, _ := r.read(receipts, "1", http.Header{"Prefer": {"respond-async, wait=1"}}); status != http.StatusNoContent {
			t.Errorf("a second later: %d", status)
		}
		// Whoever waits hears of the end, by the status that RFC 8030 has for it; and of the end of the node.
		go func() {
			status, got := r.read(receipts, "1", http.Header{"Prefer": {"wait=60"}})
			results <- result{status, got}
		}()
		r.waiting(1)
		if resp, _ := r.call(http.MethodDelete, r.server.URL+receipts, "", nil); resp.StatusCode != http.StatusNoContent {
			t.Fatal(resp.StatusCode)
		}
		if got := <-results; got.status != http.StatusNotFound {
			t.Errorf("%+v", got)
		}
		_, receipts = r.ask(sub)
		wait(http.Header{"Prefer": {"wait=60"}})
		r.waiting(1)
		r.StopWaiting()
		if got := <-results; got.status != http.StatusNoContent {
			t.Errorf("%+v", got)
		}
	})
}

func TestReceiptsComeAsAStream(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		r.running()
		sub := r.subscribe(5, "a", "")
		first, receipts := r.ask(sub)
		r.keeper.deliver(t, r.last())
		r.drain()
		stream := func(last string) (next func() string) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL+receipts, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", "text/html, text/event-stream;q=0.9")
			if last != "" {
				req.Header.Set("Last-Event-ID", last)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = resp.Body.Close() })
			if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
				t.Fatalf("%d %v", resp.StatusCode, resp.Header)
			}
			in := bufio.NewReader(resp.Body)
			return func() string { // an event in one line, "" at the end
				var out []string
				for {
					line, err := in.ReadString('\n')
					line = strings.TrimRight(line, "\n")
					switch {
					case err != nil:
						return strings.Join(out, " ")
					case line == "" && len(out) > 0:
						return strings.Join(out, " ")
					case line != "" && line != ": ":
						out = append(out, line)
					}
				}
			}
		}
		next := stream("")
		if got, want := next(), fmt.Sprintf(`id: 1 event: receipt data: {"message":%q,"status":204,"at":1790000000001}`, first); got != want {
			t.Errorf("event %q, want %q", got, want)
		}
		r.waiting(1)
		second, _ := r.ask(sub, "Link", "<"+receipts+`>; rel="urn:ietf:params:push:receipt"`)
		if resp, _ := r.call(http.MethodDelete, r.server.URL+second, "", nil); resp.StatusCode != http.StatusNoContent {
			t.Fatal(resp.StatusCode)
		}
		r.drain()
		want := fmt.Sprintf(`id: 2 event: receipt data: {"message":%q,"status":410,"at":1790000000002}`, second)
		if got := next(); got != want {
			t.Errorf("event %q, want %q", got, want)
		}
		// One that comes again goes on where it was.
		resumed := stream("1")
		if got := resumed(); got != want {
			t.Errorf("event %q, want %q", got, want)
		}
		r.waiting(2)
		if resp, _ := r.call(http.MethodDelete, r.server.URL+receipts, "", nil); resp.StatusCode != http.StatusNoContent {
			t.Fatal(resp.StatusCode)
		}
		for _, next := range []func() string{next, resumed} {
			if got := next(); got != `event: end data: {"status":404}` {
				t.Errorf("event %q at the end", got)
			}
			if got := next(); got != "" {
				t.Errorf("event %q after the end", got)
			}
		}
		r.waiting(0)
	})
}

// Whatever the order of messages, ends and reads, a reader that goes on where it was gets one receipt for each message that ended, in order.
func TestEveryEndIsReadOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), func(d *Deps) { d.Limits = Limits{Subscription: -1, Address: -1} })
	sub := r.subscribe(5, "a", "")
	rapid.Check(t, func(rt *rapid.T) {
		r.fake.Advance(time.Hour) // for the limits
		location, receipts := r.ask(sub)
		want, got := map[string]int{}, map[string]int{}
		open := map[string]int64{location: r.last()}
		after := ""
		read := func() {
			r.drain()
			_, answer := r.read(receipts, after, nil)
			for _, one := range answer.Receipts {
				if got[one.Message] != 0 {
					rt.Fatalf("%s twice", one.Message)
				}
				got[one.Message] = one.Status
			}
			if len(answer.Receipts) > 0 {
				after = answer.After
			}
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"ask", "deliver", "withdraw", "read"}).Draw(rt, "step") {
			case "ask":
				location, again := r.ask(sub, "Link", "<"+receipts+`>; rel="urn:ietf:params:push:receipt"`)
				if again != receipts {
					rt.Fatalf("%s", again)
				}
				open[location] = r.last()
			case "deliver":
				for location, msg := range open {
					r.keeper.deliver(t, msg)
					want[location] = 204
					delete(open, location)
					break
				}
			case "withdraw":
				for location := range open {
					r.call(http.MethodDelete, r.server.URL+location, "", nil)
					want[location] = 410
					delete(open, location)
					break
				}
			case "read":
				read()
			}
		}
		read()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("read %v, want %v", got, want)
		}
	})
}

func FuzzPreferences(f *testing.F) {
	f.Add("respond-async, wait=10", `</a>; rel="x", <b>;rel=urn:ietf:params:push:receipt`)
	f.Add(`wait="7";x=1`, `<a,b>; title="c>d"; rel="y urn:ietf:params:push:receipt"`)
	f.Fuzz(func(t *testing.T, prefer, link string) {
		h := http.Header{"Prefer": {prefer, "wait=1"}, "Link": {link}}
		if p := readPreferences(h); p.wait < 0 || p.wait > maxWait {
			t.Errorf("waits %v", p.wait)
		}
		for _, target := range linksTo(h, relReceipt) {
			if strings.Contains(target, ">") || !strings.Contains(link, target) {
				t.Errorf("target %q of %q", target, link)
			}
			_ = pathOf(target)
		}
	})
}

func TestPreferences(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]preferences{
		"": {}, "respond-async": {receipt: true}, "Respond-Async;x=1 , wait=10": {true, 10 * time.Second}, `wait="5"`: {false, 5 * time.Second},
		"wait=5, wait=9": {false, 5 * time.Second}, "wait=999": {false, maxWait}, "wait": {}, "wait=-1": {}, "wait=x": {}, "return=minimal": {}, "wait = 3": {false, 3 * time.Second},
	} {
		if got := readPreferences(http.Header{"Prefer": {text}}); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}
