package secret

import (
	"bytes"
	"errors"
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

func TestATokenOpens(t *testing.T) {
	t.Parallel()
	k := Generate()
	seen := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "data")
		token := k.Token("a/v1", data)
		if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(token) {
			t.Fatalf("token %q", token)
		}
		got, err := k.OpenToken("a/v1", token)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%q, %v", got, err)
		}
		if k.Token("a/v1", data) != token {
			t.Fatal("equal data have two tokens")
		}
		if first, ok := seen[token[:16]]; ok && first != string(data) {
			t.Fatal("two data share a nonce")
		}
		seen[token[:16]] = string(data)
	})
}

func TestEveryOtherTokenIsRefused(t *testing.T) {
	t.Parallel()
	k := fixed(1)
	token := k.Token("a/v1", []byte("secret"))
	if rotated, err := k.Rotate(); err != nil || rotated.Token("a/v1", []byte("secret")) != token {
		t.Error("the token hangs on the master key")
	}
	for name, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return k.OpenToken("b/v1", token) },
		"other keys":      func() ([]byte, error) { return Generate().OpenToken("a/v1", token) },
		"cut":             func() ([]byte, error) { return k.OpenToken("a/v1", token[:len(token)-2]) },
		"short":           func() ([]byte, error) { return k.OpenToken("a/v1", "AAAA") },
		"empty":           func() ([]byte, error) { return k.OpenToken("a/v1", "") },
		"padded":          func() ([]byte, error) { return k.OpenToken("a/v1", token+"=") },
		"with a line":     func() ([]byte, error) { return k.OpenToken("a/v1", token[:5]+"\n"+token[5:]) },
		"sealed":          func() ([]byte, error) { s, _ := k.Seal([]byte("secret"), nil); return k.OpenToken("a/v1", s) },
	} {
		if got, err := open(); !errors.Is(err, ErrToken) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for i := range token {
		for _, c := range []byte("Ab1_-") {
			if changed := token[:i] + string(c) + token[i+1:]; changed != token {
				if _, err := k.OpenToken("a/v1", changed); !errors.Is(err, ErrToken) {
					t.Errorf("%q is taken", changed)
				}
			}
		}
	}
}
