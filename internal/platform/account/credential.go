package account

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode/utf8"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
)

// credential is a new public key with its secret.
type credential struct {
	key    string
	secret string
	hash   [sha256.Size]byte
	sealed string
}

// Kinds of credentials; the place of a sealed secret is the kind and the key.
const (
	appSecret       = "account_app/"
	developerSecret = "account_developer/"
	groupSecret     = "account_group/"
)

func (s *Service) newCredential(kind string) (credential, error) {
	c := credential{key: id.NewKey(), secret: id.NewKey()}
	c.hash = sha256.Sum256([]byte(c.secret))
	var err error
	if c.sealed, err = s.sealer.Seal([]byte(c.secret), []byte(kind+c.key)); err != nil {
		return credential{}, fmt.Errorf("account: seal secret: %w", err)
	}
	return c, nil
}

func (s *Service) openSecret(kind, key, sealed string) (string, error) {
	secret, err := s.sealer.Open(sealed, []byte(kind+key))
	if err != nil {
		return "", fmt.Errorf("account: open secret of %s: %w", key, err)
	}
	return string(secret), nil
}

// maxCollisions: two creators at once can take the same number or name on PostgreSQL; the later one looks again.
const maxCollisions = 10

// insert runs a transaction that creates something.
func (s *Service) insert(ctx context.Context, create db.TxFunc) error {
	err := s.db.InTx(ctx, create)
	for range maxCollisions {
		if !db.IsUnique(err) {
			break
		}
		err = s.db.InTx(ctx, create)
	}
	return err
}

// maxName bounds the name of an app, a developer or a group, in characters.
const maxName = 100

// checkName returns a name without space around it. It fails with *InvalidError of the field.
func checkName(field, name string) (string, error) {
	name = strings.TrimSpace(name)
	switch n := utf8.RuneCountInString(name); {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		return "", &InvalidError{field, "must be plain text"}
	case n == 0:
		return "", &InvalidError{field, "must not be empty"}
	case n > maxName:
		return "", &InvalidError{field, fmt.Sprintf("has %d characters, at most %d are allowed", n, maxName)}
	}
	return name, nil
}
