package person

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"borealis/internal/platform/account/person/contact"
)

// Kinds of tokens, by what they begin with: secret scanners and people can tell what they have found.
const (
	prefixSession    = "bss_"
	prefixAPI        = "bat_"
	prefixDraft      = "bdr_"
	prefixLink       = "blk_"
	prefixInvitation = "bin_"
)

// newToken returns a secret of 256 random bits and what is stored of it.
func newToken(prefix string) (token, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	token = prefix + base64.RawURLEncoding.EncodeToString(b[:])
	return token, hashToken(token)
}

// hashToken needs no key and no salt: what is hashed cannot be guessed.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// seal binds a value to its place, the name of a field and the row it is in. Nothing stays nothing.
func (s *Service) seal(field, row, plain string) (string, error) {
	if plain == "" {
		return "", nil
	}
	sealed, err := s.keys.Seal([]byte(plain), []byte("account_person/"+field+"/"+row))
	if err != nil {
		return "", fmt.Errorf("person: seal %s: %w", field, err)
	}
	return sealed, nil
}

func (s *Service) open(field, row, sealed string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	plain, err := s.keys.Open(sealed, []byte("account_person/"+field+"/"+row))
	if err != nil {
		return "", fmt.Errorf("person: open %s of %s: %w", field, row, err)
	}
	return string(plain), nil
}

func rowOf(id int64) string { return strconv.FormatInt(id, 10) }

func (s *Service) blindEmail(email string) string {
	if email == "" {
		return ""
	}
	return s.keys.Blind("person/email", contact.EmailKey(email))
}

func (s *Service) blindMobile(mobile string) string {
	if mobile == "" {
		return ""
	}
	return s.keys.Blind("person/mobile", mobile)
}

const maxAgent = 256

// sealWhere keeps from where somebody came; the address is personal data.
func (s *Service) sealWhere(field, row string, w Where) (string, error) {
	agent := strings.ToValidUTF8(w.Agent[:min(len(w.Agent), maxAgent)], "")
	text, err := json.Marshal([2]string{addr(w.IP), agent})
	if err != nil {
		return "", fmt.Errorf("person: where: %w", err)
	}
	return s.seal(field, row, string(text))
}

func addr(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.Unmap().String()
}

func (s *Service) openWhere(field, row, sealed string) (Where, error) {
	text, err := s.open(field, row, sealed)
	if err != nil || text == "" {
		return Where{}, err
	}
	var parts [2]string
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		return Where{}, fmt.Errorf("person: where: %w", err)
	}
	w := Where{Agent: parts[1]}
	if parts[0] != "" {
		if w.IP, err = netip.ParseAddr(parts[0]); err != nil {
			return Where{}, fmt.Errorf("person: where: %w", err)
		}
	}
	return w, nil
}
