// Package password hashes passwords and judges whether one is worth hashing.
//
// A Hasher bounds the memory of hashing: at most so many are computed at once, the rest wait. Whoever is asked for is or is
// not there, Check does one computation of the same cost, so the time of an answer tells nothing.
package password

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"github.com/trustelem/zxcvbn"
)

// Bounds of a password, in characters.
const (
	MinLength = 10
	MaxLength = 128
	// judged is how much of a password its strength is estimated from: the estimate takes time by the square, and what is
	// strong enough at 64 stays so.
	judged = 64
	// enough is about 10^8 guesses: with the limits on guessing online that is out of reach, and it is what keeps the common
	// ones out.
	enough = 1e8
)

// Params are what a hash costs.
type Params = argon2id.Params

// DefaultParams take 19 MiB and two passes, which OWASP gives as equal to any of its other choices.
func DefaultParams() Params {
	return Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// Hasher hashes with argon2id. It is safe for concurrent use.
type Hasher struct {
	params   Params
	dummy    string
	places   chan struct{}
	computed atomic.Int64
}

// NewHasher returns a hasher that computes at most parallel hashes at once.
func NewHasher(p Params, parallel int) (*Hasher, error) {
	dummy, err := argon2id.CreateHash("no password has fewer characters than are needed", &p)
	if err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	return &Hasher{params: p, dummy: dummy, places: make(chan struct{}, max(1, parallel))}, nil
}

// Computed is the number of hashes computed so far: tests compare it.
func (h *Hasher) Computed() int64 { return h.computed.Load() }

func (h *Hasher) enter(ctx context.Context) error {
	select {
	case h.places <- struct{}{}:
		h.computed.Add(1)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Hasher) leave() { <-h.places }

// Hash returns the hash of a password in the PHC string format. It waits for its place until ctx ends.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	return argon2id.CreateHash(password, &h.params)
}

// Check compares a password with a hash. An empty hash is nobody's: the work is done all the same, and the answer is no.
// stale says that the hash was made with other parameters and should be made anew.
func (h *Hasher) Check(ctx context.Context, password, hash string) (ok, stale bool, err error) {
	against := hash
	if hash == "" || utf8.RuneCountInString(password) > MaxLength {
		against, hash = h.dummy, ""
		password = password[:min(len(password), MaxLength)]
	}
	if err := h.enter(ctx); err != nil {
		return false, false, err
	}
	defer h.leave()
	match, params, err := argon2id.CheckHash(password, against)
	if err != nil {
		return false, false, fmt.Errorf("password: %w", err)
	}
	// Lengths are read from the hash, where they are those of the salt and the key.
	return match && hash != "", *params != h.params, nil
}

// chinese are words that many passwords here are made of and that lists from elsewhere do not have.
var chinese = []string{
	"woaini", "woaini1314", "aini1314", "1314520", "5201314", "520520", "wang", "zhang", "mima", "mima123", "nihao", "zhongguo", "woshishei",
	"caonima", "taobao", "weixin", "alipay", "jiguang", "borealis",
	"a123456", "qq123456", "123456aa", "abc123456", "wodemima", "buzhidao", "tiantian", "baobao", "laopo", "laogong", "yiersansi", "asd123456",
	"woaiwojia", "beijing", "shanghai", "shenzhen", "guangzhou",
}

// Judge refuses a password that is too short or that guessing would find: common and breached ones, patterns of the keyboard,
// repetitions, dates, and what is made of the person's own names and addresses. There are no rules about kinds of
// characters. The error says what to do.
func Judge(password string, own ...string) error {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return errors.New("must be text")
	case n < MinLength:
		return fmt.Errorf("must have at least %d characters", MinLength)
	case n > MaxLength:
		return fmt.Errorf("must have at most %d characters", MaxLength)
	}
	words := append([]string(nil), chinese...)
	rest := strings.ToLower(password)
	for _, w := range own {
		words = append(words, w)
		for _, part := range strings.FieldsFunc(strings.ToLower(w), func(r rune) bool { return strings.ContainsRune("@.+-_ ", r) }) {
			words = append(words, part)
			if utf8.RuneCountInString(part) > 2 {
				rest = strings.ReplaceAll(rest, part, "")
			}
		}
	}
	if utf8.RuneCountInString(rest) < MinLength/2 {
		return errors.New("must not be made of your own name and addresses")
	}
	if runes := []rune(password); len(runes) > judged {
		password = string(runes[:judged])
	}
	if zxcvbn.PasswordStrength(password, words).Guesses < enough {
		return errors.New("is one that guessing finds: choose several unrelated words, or let a password manager make one")
	}
	return nil
}
