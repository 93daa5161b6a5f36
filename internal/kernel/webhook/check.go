package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// maxChecks bounds the address checks that run at once on a node.
const maxChecks = 16

// ErrBusy says that a check of this owner runs already, or too many of others.
var ErrBusy = errors.New("too many address checks at once")

// CheckError says what is wrong with a receiver.
type CheckError struct{ Reason string }

// Error makes *CheckError an error.
func (e *CheckError) Error() string { return e.Reason }

// Check asks a receiver whether it wants deliveries: GET with a parameter echostr of random text, which must be all of
// the answer. Nothing secret is sent. Errors: ErrURL, ErrBusy, *CheckError.
func (s *Service) Check(ctx context.Context, owner int64, address string) error {
	to, err := ParseURL(address)
	if err != nil {
		return err
	}
	if !s.beginCheck(owner) {
		return ErrBusy
	}
	defer s.endCheck(owner)
	echo := newNonce()
	asked := *to
	if asked.RawQuery != "" {
		asked.RawQuery += "&"
	}
	asked.RawQuery += "echostr=" + echo
	status, body, err := s.client.do(ctx, request{method: http.MethodGet, to: &asked, want: int64(len(echo)) + 1})
	switch {
	case err != nil:
		return &CheckError{reason(err)}
	case status != http.StatusOK:
		return &CheckError{fmt.Sprintf("the receiver answered %d", status)}
	case string(body) != echo:
		return &CheckError{"the answer is not the text of echostr"}
	}
	return nil
}

func (s *Service) beginCheck(owner int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, runs := s.checking[owner]; runs || len(s.checking) >= maxChecks {
		return false
	}
	s.checking[owner] = struct{}{}
	return true
}

func (s *Service) endCheck(owner int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.checking, owner)
}
