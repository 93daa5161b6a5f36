package pushkit_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/pushkit"
	"borealis/internal/engine/channel/wire"
)

var now = time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC)

// signature is the header of a call at a time, signed with a key.
func signature(stamp, nonce, user string, key []byte) http.Header {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(stamp + nonce + user))
	value := fmt.Sprintf("timestamp=%s; nonce=%s; value=%s", stamp, nonce, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return http.Header{"X-Huawei-Callback-Id": {value}}
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

const one = `{"statuses":[{"biTag":"42","appid":"100","token":"AAA1","status":0,"timestamp":1772703000123,"requestId":"r"}]}`

func TestReceiptsAreSigned(t *testing.T) {
	t.Parallel()
	made := base64.StdEncoding.EncodeToString([]byte("a key of the console's making"))
	old := pushkit.Callback{User: "borealis", Secret: "an old secret"}
	for name, c := range map[string]struct {
		callback pushkit.Callback
		header   http.Header
		good     bool
	}{
		"an old secret":         {old, signature(millis(now), "n", "borealis", []byte("an old secret")), true},
		"seconds":               {old, signature(strconv.FormatInt(now.Unix(), 10), "n", "borealis", []byte("an old secret")), true},
		"without spaces":        {old, http.Header{"X-Huawei-Callback-Id": {strings.ReplaceAll(signature(millis(now), "n", "borealis", []byte("an old secret")).Get("X-Huawei-Callback-Id"), "; ", ";")}}, true},
		"a secret in Base64":    {pushkit.Callback{User: "borealis", Secret: made}, signature(millis(now), "n", "borealis", []byte("a key of the console's making")), true},
		"another secret":        {old, signature(millis(now), "n", "borealis", []byte("x")), false},
		"another user":          {old, signature(millis(now), "n", "eve", []byte("an old secret")), false},
		"no user and no secret": {pushkit.Callback{}, signature(millis(now), "n", "", nil), false},
		"no header":             {old, http.Header{}, false},
		"no nonce":              {old, signature(millis(now), "", "borealis", []byte("an old secret")), false},
		"an hour old":           {old, signature(millis(now.Add(-time.Hour)), "n", "borealis", []byte("an old secret")), false},
		"of the next hour":      {old, signature(millis(now.Add(time.Hour)), "n", "borealis", []byte("an old secret")), false},
		"no time":               {old, signature("soon", "n", "borealis", []byte("an old secret")), false},
		"a time of any length":  {old, signature(strings.Repeat("9", 40), "n", "borealis", []byte("an old secret")), false},
		"a long header":         {old, http.Header{"X-Huawei-Callback-Id": {strings.Repeat("a=b;", 1000)}}, false},
	} {
		receipts, answer, err := c.callback.Receipts(c.header, []byte(one), now)
		if c.good && (err != nil || len(receipts) != 1 || string(answer) != `{"code":"0","message":"success"}`) {
			t.Errorf("%s: %+v, %s, %v", name, receipts, answer, err)
		}
		if !c.good && !errors.Is(err, wire.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReceiptsOfBothVersionsAreRead(t *testing.T) {
	t.Parallel()
	c := pushkit.Callback{User: "u", Secret: "s"}
	status := func(code int) string {
		return fmt.Sprintf(`{"token":"T%d","biTag":"%d","pushType":0,"deliveryStatus":{"result":%d,"timestamp":17}}`, code, code, code)
	}
	codes := []int{0, 2, 5, 6, 10, 14, 15, 22, 27, 31, 51, 102, 144, 151, 155, 156, 158, 188, 191, 201, 256, 259, 261, 262, 264, 265, 268, 269, 999}
	var bodies []string
	for _, code := range codes {
		bodies = append(bodies, status(code))
	}
	bodies = append(bodies,
		`{"token":"V1","biTag":"1","appid":"100","status":2,"timestamp":1,"requestId":"r"}`,
		`{"token":"form","pushType":1,"formStatus":{"formId":5,"result":261,"timestamp":3}}`,
		`{"requestId":"nobody's","status":0}`)
	got, _, err := c.Receipts(signature(millis(now), "n", "u", []byte("s")), []byte(`{"statuses":[`+strings.Join(bodies, ",")+`]}`), now)
	if err != nil {
		t.Fatal(err)
	}
	var want []wire.Receipt
	for _, code := range codes {
		r := wire.Receipt{Token: fmt.Sprintf("T%d", code), ID: strconv.Itoa(code), Event: wire.Lost, Code: strconv.Itoa(code), At: 17}
		switch code {
		case 27: // it waits for the app
			continue
		case 0:
			r.Event, r.Code = wire.Arrived, ""
		case 2, 5:
			r.Event = wire.Unregistered
		}
		want = append(want, r)
	}
	want = append(want, wire.Receipt{Token: "V1", ID: "1", Event: wire.Unregistered, Code: "2", At: 1}, wire.Receipt{Token: "form", Event: wire.Lost, Code: "261", At: 3})
	for i := range got {
		if (got[i].Reason == "") != (got[i].Event == wire.Arrived || got[i].Code == "999") {
			t.Errorf("receipt %+v", got[i])
		}
		got[i].Reason = ""
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	for _, body := range []string{``, `[]`, `{}`, `{"statuses":[]}`, `{"statuses":[{"token":"a"}]}`, `{"statuses":[{"token":"a","status":"x"}]}`,
		`{"statuses":[` + strings.Repeat(status(0)+",", 1000) + status(0) + `]}`} {
		if _, _, err := c.Receipts(signature(millis(now), "n", "u", []byte("s")), []byte(body), now); err == nil || errors.Is(err, wire.ErrSignature) {
			t.Errorf("%.60s: %v", body, err)
		}
	}
}

func TestNotificationsHaveNumbersOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[int]string{}
	for i := range 20_000 {
		id := strconv.Itoa(4611686018427387 + i)
		n := pushkit.NotifyID(id)
		if n < 0 || n > 1<<31-1 || n != pushkit.NotifyID(id) {
			t.Fatalf("%s: %d", id, n)
		}
		if other, taken := seen[n]; taken {
			t.Fatalf("%s and %s are both %d", id, other, n)
		}
		seen[n] = id
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add("timestamp=1772703000000; nonce=n; value=E4Ye", []byte(one))
	f.Add("timestamp=;;=;value==", []byte(`{"statuses":[{"token":"a","deliveryStatus":null}]}`))
	c := pushkit.Callback{User: "u", Secret: "s"}
	good := signature(millis(now), "n", "u", []byte("s"))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		if _, _, err := c.Receipts(http.Header{"X-Huawei-Callback-Id": {header}}, body, now); err == nil {
			t.Fatal("a call without the secret was taken")
		}
		receipts, _, err := c.Receipts(good, body, now)
		for _, r := range receipts {
			if r.Token == "" && r.ID == "" || r.Event == 0 {
				t.Fatalf("receipt %+v", r)
			}
		}
		if (err == nil) != (receipts != nil) {
			t.Fatalf("%v with %d receipts", err, len(receipts))
		}
	})
}
