package pushkit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// CallbackUser is who receipts are signed for.
	CallbackUser = "borealis-sim"
	// CallbackSecret signs them. It is Base64, as the console makes it.
	CallbackSecret = "c2ltdWxhdGVkIGNhbGxiYWNrIHNlY3JldA=="
	// perCall is the most statuses of a call.
	perCall = 100
)

type receipt struct {
	token, biTag, request string
	pushType, result      int
}

// ReportTo names the address that receipts go to; empty: none.
func (s *Service) ReportTo(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reportTo = url
}

// report sends receipts, after the answer to the call that they are for.
func (s *Service) report(ctx context.Context, receipts []receipt) {
	s.mu.Lock()
	url := s.reportTo
	s.mu.Unlock()
	if url == "" || len(receipts) == 0 {
		return
	}
	at := s.Clock.Now()
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		for from := 0; from < len(receipts); from += perCall {
			s.post(ctx, url, receipts[from:min(from+perCall, len(receipts))], at)
		}
	}()
}

func (s *Service) post(ctx context.Context, url string, receipts []receipt, at time.Time) {
	statuses := make([]map[string]any, len(receipts))
	for i, r := range receipts {
		statuses[i] = map[string]any{"token": r.token, "biTag": r.biTag, "requestId": r.request}
		if s.Version == 1 {
			statuses[i]["appid"], statuses[i]["status"], statuses[i]["timestamp"] = "100000001", r.result, at.UnixMilli()
			continue
		}
		statuses[i]["pushType"], statuses[i]["appPackageName"] = r.pushType, "com.example.app"
		status := map[string]any{"result": r.result, "timestamp": at.UnixMilli()}
		if r.pushType == 1 {
			status["formId"] = 1
			statuses[i]["formStatus"] = status
		} else {
			statuses[i]["deliveryStatus"] = status
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(text(map[string]any{"statuses": statuses}))))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-HUAWEI-CALLBACK-ID", Signature(s.Clock.Now()))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

// Signature is the header of a receipt sent now.
func Signature(now time.Time) string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	nonce, stamp := hex.EncodeToString(b), strconv.FormatInt(now.UnixMilli(), 10)
	key, err := base64.StdEncoding.DecodeString(CallbackSecret)
	if err != nil {
		panic(err) // a constant
	}
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(stamp + nonce + CallbackUser))
	return "timestamp=" + stamp + "; nonce=" + nonce + "; value=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// WithoutTokens is the size of a body less the array of its tokens.
func WithoutTokens(body []byte, tokens []string) int {
	encoded, err := json.Marshal(tokens)
	if err != nil {
		return len(body)
	}
	return len(body) - len(encoded) + len("[]")
}
