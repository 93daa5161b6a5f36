package wire_test

import (
	"net/http"
	"testing"
	"time"

	"borealis/internal/engine/channel/wire"
)

func TestWhatAStatusWithoutABodyMeans(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]wire.Status{
		http.StatusOK: wire.Unknown, http.StatusFound: wire.Failed, http.StatusBadRequest: wire.Rejected, http.StatusUnauthorized: wire.Denied,
		http.StatusForbidden: wire.Denied, http.StatusNotFound: wire.Rejected, http.StatusRequestTimeout: wire.Unknown,
		http.StatusTooManyRequests: wire.Limited, http.StatusInternalServerError: wire.Failed, http.StatusBadGateway: wire.Failed,
		http.StatusServiceUnavailable: wire.Failed, http.StatusGatewayTimeout: wire.Unknown,
	} {
		got := wire.Answer{Status: status, After: time.Minute}.Refused()
		if got.Status != want || got.After != time.Minute || got.Code == "" {
			t.Errorf("%d: %+v", status, got)
		}
	}
}
