package webpush

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/url"
	"strings"
)

// Paths of endpoints and of messages, below the public address.
const (
	endpointPath = "/wpush/v1/"
	messagePath  = "/wpush/v1/message/"
)

// Purposes of the tokens.
const (
	endpointPurpose = "webpush/endpoint/v1"
	messagePurpose  = "webpush/message/v1"
)

// Sizes in bytes of the hashes in an endpoint.
const (
	originSize = 8
	keySize    = 16
)

// endpoint is what an address says.
type endpoint struct {
	app          int64
	ordinal      uint32
	subscription int64
	// origin is the beginning of the hash of the origin the endpoint was made under: what a signature must be for.
	origin [originSize]byte
	// key is that of the hash of the public key that senders must have, nil for any.
	key []byte
}

// errToken is the error of an address that was not made here.
var errToken = errors.New("webpush: no such address")

func (e *endpoint) data() []byte {
	out := binary.AppendUvarint(nil, uint64(e.app))
	out = binary.AppendUvarint(out, uint64(e.ordinal))
	out = binary.AppendUvarint(out, uint64(e.subscription))
	out = append(out, e.origin[:]...)
	return append(out, e.key...)
}

// numbers reads n of them and what comes after.
func numbers(data []byte, n int) (list []uint64, rest []byte, err error) {
	for range n {
		v, size := binary.Uvarint(data)
		if size <= 0 {
			return nil, nil, errToken
		}
		list, data = append(list, v), data[size:]
	}
	return list, data, nil
}

func parseEndpoint(data []byte) (*endpoint, error) {
	list, rest, err := numbers(data, 3)
	if err != nil || len(rest) != originSize && len(rest) != originSize+keySize {
		return nil, errToken
	}
	e := &endpoint{app: int64(list[0]), ordinal: uint32(list[1]), subscription: int64(list[2]), origin: [originSize]byte(rest)}
	if rest = rest[originSize:]; len(rest) > 0 {
		e.key = rest
	}
	return e, nil
}

// open reads the token of an endpoint.
func (s *Service) open(token string) (*endpoint, error) {
	data, err := s.Keys.OpenToken(endpointPurpose, token)
	if err != nil {
		return nil, errToken
	}
	return parseEndpoint(data)
}

// address is the endpoint of a subscription.
func (s *Service) address(app int64, ordinal uint32, sub *Subscription) string {
	e := &endpoint{app: app, ordinal: ordinal, subscription: sub.ID, origin: originHash(originOf(sub.base))}
	if sub.VAPID != "" {
		point, err := decodeKey(sub.VAPID)
		if err == nil { // it was checked when it came
			e.key = keyHash(point)
		}
	}
	return sub.base + endpointPath + s.Keys.Token(endpointPurpose, e.data())
}

func originHash(origin string) [originSize]byte {
	sum := sha256.Sum256([]byte(origin))
	return [originSize]byte(sum[:originSize])
}

func keyHash(point []byte) []byte {
	sum := sha256.Sum256(point)
	return sum[:keySize]
}

func (e *endpoint) bound() bool { return e.key != nil }

func (e *endpoint) boundTo(point []byte) bool { return bytes.Equal(e.key, keyHash(point)) }

// originOf is the origin of an address, without the scheme's own port.
func originOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// posted is a message as its address says.
type posted struct{ app, subscription, msg int64 }

// location is the path of a message.
func (s *Service) location(p posted) string {
	data := binary.AppendUvarint(nil, uint64(p.app))
	data = binary.AppendUvarint(data, uint64(p.subscription))
	return messagePath + s.Keys.Token(messagePurpose, binary.AppendUvarint(data, uint64(p.msg)))
}

func (s *Service) openMessage(token string) (posted, error) {
	data, err := s.Keys.OpenToken(messagePurpose, token)
	if err != nil {
		return posted{}, errToken
	}
	list, rest, err := numbers(data, 3)
	if err != nil || len(rest) > 0 {
		return posted{}, errToken
	}
	return posted{int64(list[0]), int64(list[1]), int64(list[2])}, nil
}
