package webpush

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web"
	"borealis/internal/service/push/pushevent"
)

const (
	// receiptsPath is that of receipt subscriptions (RFC 8030, section 5.1), below the public address.
	receiptsPath    = "/wpush/v1/receipts/"
	receiptsPurpose = "webpush/receipts/v1"
	// receiptsLife is how long receipts are kept, and receipt subscriptions that nobody uses and nothing is under way for.
	receiptsLife = 7 * 24 * time.Hour
	// maxReceipts is how many receipt subscriptions may be made with the messages of one subscription.
	maxReceipts = 1000
	// receiptsPage is how many receipts are in one answer.
	receiptsPage = 500
	// maxWait is how long an answer may be waited for.
	maxWait = time.Minute
	// streamBeat is how often a stream without events shows that it lives.
	streamBeat = 20 * time.Second
	// renewal is how often the use of a receipt subscription is noted.
	renewal = 24 * time.Hour
)

// receipt is what became of a message, as it is told.
type receipt struct {
	no int64
	// Message is the Location that the message was given.
	Message string `json:"message"`
	// Status is 204 for one that the device acknowledged, 410 for one that it never will.
	Status int `json:"status"`
	// At is Unix milliseconds.
	At int64 `json:"at"`
}

// receiptsAddress is the path of a receipt subscription.
func (s *Service) receiptsAddress(id int64) string {
	return receiptsPath + s.Keys.Token(receiptsPurpose, binary.AppendUvarint(nil, uint64(id)))
}

func (s *Service) openReceipts(token string) (int64, error) {
	data, err := s.Keys.OpenToken(receiptsPurpose, token)
	if err != nil {
		return 0, errToken
	}
	list, rest, err := numbers(data, 1)
	if err != nil || len(rest) > 0 || list[0] == 0 {
		return 0, errToken
	}
	return int64(list[0]), nil
}

// receiptWish says where what becomes of a message is to be told. The zero value: nowhere.
type receiptWish struct {
	// given is the receipt subscription that the request named, 0 for none.
	given int64
	// made is the number of a new one, for which the given one makes way if it has ended.
	made int64
}

// readWish reads from a request with a message whether receipts are wanted, and where.
func (s *Service) readWish(r *http.Request) (receiptWish, error) {
	if !readPreferences(r.Header).receipt {
		return receiptWish{}, nil
	}
	targets := linksTo(r.Header, relReceipt)
	wish := receiptWish{}
	switch len(targets) {
	case 0:
	case 1:
		token, ok := strings.CutPrefix(pathOf(targets[0]), receiptsPath)
		id, err := s.openReceipts(token)
		if !ok || err != nil {
			return receiptWish{}, refuse(http.StatusBadRequest, "Link names no receipt subscription of this service")
		}
		wish.given = id
	default:
		return receiptWish{}, refuse(http.StatusBadRequest, "Link names more than one receipt subscription")
	}
	var err error
	wish.made, err = s.ids.Next(r.Context())
	return wish, err
}

// settle decides on the receipt subscription of a message: the one given if it is there, else a new one.
func (s *Service) settle(ctx context.Context, wish receiptWish) (id int64, err error) {
	if wish.given != 0 {
		known, err := queryReceiptsOf(ctx, s.DB, wish.given, clock.Millis(s.Clock.Now()))
		if err != nil || known != nil {
			return wish.given, err
		}
	}
	return wish.made, nil
}

// keepReceipts makes sure, in the transaction of a message, that its receipt subscription is there until the receipt has been kept for
// its time. The error may be errNoReceipts: it has ended meanwhile.
func (s *Service) keepReceipts(ctx context.Context, tx *db.Tx, id int64, wish receiptWish, subscription int64, ttl time.Duration) error {
	now := s.Clock.Now()
	until := clock.Millis(now.Add(ttl + receiptsLife))
	switch id {
	case 0:
		return nil
	case wish.given:
		ok, err := extendReceipts(ctx, tx, id, clock.Millis(now), until)
		if err == nil && !ok {
			err = errNoReceipts
		}
		return err
	}
	n, err := countReceipts(ctx, tx, subscription)
	if err == nil && n >= maxReceipts {
		err = later(http.StatusTooManyRequests, "too many receipt subscriptions: send the one of an earlier answer along (Link)", time.Hour)
	}
	if err != nil {
		return err
	}
	return insertReceipts(ctx, tx, id, subscription, until)
}

// FramesEnded keeps what became of messages for who reads it: the effect of pushevent.FrameEnded.
func (s *Service) FramesEnded(ctx context.Context, tx *db.Tx, events []outbox.Event) error {
	list := make([]pushevent.FrameEnded, len(events))
	for i, e := range events {
		if err := e.Decode(&list[i]); err != nil {
			return err
		}
	}
	return storeReceipts(ctx, tx, list)
}

// readReceipts answers with the receipts after a number: at once, within the time that the request prefers, or as a stream.
func (s *Service) readReceipts(w http.ResponseWriter, r *http.Request) error {
	id, err := s.openReceipts(r.PathValue("token"))
	if err != nil {
		return errNoReceipts
	}
	if !s.byReceipts.Allow(id) {
		return later(http.StatusTooManyRequests, "too many requests for this receipt subscription", 10*time.Second)
	}
	after, err := readAfter(r)
	if err != nil {
		return err
	}
	if err := s.useReceipts(r.Context(), id); err != nil {
		return err
	}
	if acceptsStream(r.Header) {
		return s.streamReceipts(w, r, id, after)
	}
	list, err := s.waitReceipts(w, r, id, after)
	if err != nil || r.Context().Err() != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if len(list) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	h.Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(struct {
		Receipts []receipt `json:"receipts"`
		After    string    `json:"after"`
	}{list, strconv.FormatInt(list[len(list)-1].no, 10)})
}

// readAfter reads up to which receipt the reader has had them: the parameter after, or what a stream resumes from.
func readAfter(r *http.Request) (int64, error) {
	text := r.URL.Query().Get("after")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		text = last
	}
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, refuse(http.StatusBadRequest, "after (or Last-Event-ID) must be the number that an answer gave")
	}
	return n, nil
}

func acceptsStream(h http.Header) bool {
	for item := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		if kind, _, _ := strings.Cut(item, ";"); strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
			return true
		}
	}
	return false
}

// useReceipts notes that somebody reads, once a day. The error may be errNoReceipts.
func (s *Service) useReceipts(ctx context.Context, id int64) error {
	now := s.Clock.Now()
	known, err := queryReceiptsOf(ctx, s.DB, id, clock.Millis(now))
	switch {
	case err != nil:
		return err
	case known == nil:
		return errNoReceipts
	case known.expires > clock.Millis(now.Add(receiptsLife-renewal)):
		return nil
	}
	return s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := extendReceipts(ctx, tx, id, clock.Millis(now), clock.Millis(now.Add(receiptsLife)))
		return err
	})
}

// receiptsAfter lists them. The error may be errNoReceipts.
func (s *Service) receiptsAfter(ctx context.Context, id, after int64) ([]receipt, error) {
	known, err := queryReceiptsOf(ctx, s.DB, id, clock.Millis(s.Clock.Now()))
	switch {
	case err != nil:
		return nil, err
	case known == nil:
		return nil, errNoReceipts
	case known.last <= after:
		return nil, nil
	}
	rows, err := queryReceipts(ctx, s.DB, id, after, receiptsPage)
	if err != nil {
		return nil, err
	}
	list := make([]receipt, 0, len(rows))
	for _, row := range rows {
		status := http.StatusGone
		if row.delivered {
			status = http.StatusNoContent
		}
		list = append(list, receipt{no: row.no, Message: s.location(row.posted), Status: status, At: row.at})
	}
	return list, nil
}

// waitReceipts lists what there is, or the first that comes within the time that the request prefers.
func (s *Service) waitReceipts(w http.ResponseWriter, r *http.Request, id, after int64) ([]receipt, error) {
	list, err := s.receiptsAfter(r.Context(), id, after)
	wait := readPreferences(r.Header).wait
	if err != nil || len(list) > 0 || wait == 0 {
		return list, err
	}
	reader, err := s.readers.add(id, after)
	if err != nil {
		return nil, err
	}
	defer s.readers.remove(reader)
	web.Patient(w)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-reader.wake:
			if list, err = s.receiptsAfter(r.Context(), id, after); err != nil || len(list) > 0 {
				return list, err
			}
		case <-timer.C:
			return nil, nil
		case <-s.readers.stopped:
			return nil, nil
		case <-r.Context().Done():
			return nil, nil
		}
	}
}

// streamReceipts sends receipts as they come, until the reader goes or the receipt subscription ends.
func (s *Service) streamReceipts(w http.ResponseWriter, r *http.Request, id, after int64) error {
	reader, err := s.readers.add(id, after)
	if err != nil {
		return err
	}
	defer s.readers.remove(reader)
	stream, err := web.NewStream(w)
	if err != nil {
		return nil // it has gone
	}
	beat, use := time.NewTicker(streamBeat), time.NewTicker(renewal/2)
	defer beat.Stop()
	defer use.Stop()
	for more := true; ; {
		if more {
			list, err := s.receiptsAfter(r.Context(), id, after)
			if err != nil {
				return s.endStream(stream, r, err)
			}
			for _, one := range list {
				data, err := json.Marshal(one)
				if err != nil {
					return s.endStream(stream, r, err)
				}
				if stream.Send(strconv.FormatInt(one.no, 10), "receipt", data) != nil {
					return nil
				}
				after = one.no
			}
			s.readers.wait(reader, after)
			if more = len(list) == receiptsPage; more {
				continue
			}
		}
		select {
		case <-reader.wake:
			more = true
		case <-beat.C:
			if stream.Beat() != nil {
				return nil
			}
		case <-use.C:
			if err := s.useReceipts(r.Context(), id); err != nil {
				return s.endStream(stream, r, err)
			}
		case <-s.readers.stopped:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// endStream says in the stream why it ends: the status that another request would get.
func (s *Service) endStream(stream *web.Stream, r *http.Request, err error) error {
	no := asRefusal(err)
	if no.status == http.StatusInternalServerError && r.Context().Err() == nil {
		s.Log.Error("receipts not read", "err", err)
	}
	_ = stream.Send("", "end", []byte(`{"status":`+strconv.Itoa(no.status)+`}`))
	return nil
}

// endReceipts ends a receipt subscription: its receipts are deleted with their age.
func (s *Service) endReceipts(w http.ResponseWriter, r *http.Request) error {
	id, err := s.openReceipts(r.PathValue("token"))
	if err != nil {
		return errNoReceipts
	}
	found := false
	err = s.DB.InTx(r.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		found, err = deleteReceipts(ctx, tx, id)
		return err
	})
	if err == nil && !found {
		err = errNoReceipts
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
