package password_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"borealis/internal/platform/account/person/password"
)

func hasher(t *testing.T, p password.Params) *password.Hasher {
	t.Helper()
	h, err := password.NewHasher(p, 2)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func cheap() password.Params {
	return password.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// AG-REC-01: breached and common passwords are refused.
func TestJudge(t *testing.T) {
	t.Parallel()
	for _, weak := range []string{
		"", "short", "password123", "1234567890", "qwertyuiop", "aaaaaaaaaaaaaaaa", "woaini1314520", "13800138000", "letmein12345", "P@ssw0rd123", "zhangsan1988", "zhang.san@example", "abcabcabcabc",
		"qq123456qq123456", strings.Repeat("x", 129), "borealis2026", "a\x00bcdefghijklmn", "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6", "zhongguo123456",
	} {
		if password.Judge(weak, "zhang.san@example.com", "+8613800138000", "zhangsan") == nil {
			t.Errorf("%q is taken", weak)
		}
	}
	for _, good := range []string{"correct horse battery staple", "床前明月光疑是地上霜举头", "tR7#kq9zLm2w", strings.Repeat("sail lamp moss ", 8)} {
		if err := password.Judge(good, "zhang.san@example.com"); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestCheckDoesTheSameWorkForNobody(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := hasher(t, cheap())
	hash, err := h.Hash(ctx, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		password, hash string
		want           bool
	}{
		{"correct horse", hash, true}, {"wrong", hash, false}, {"", hash, false}, {"correct horse", "", false}, {"no password has fewer characters than are needed", "", false}, {strings.Repeat("x", 1<<20), hash, false},
	} {
		before := h.Computed()
		ok, stale, err := h.Check(ctx, c.password, c.hash)
		if ok != c.want || stale || err != nil || h.Computed() != before+1 {
			t.Errorf("%.30q: %v, stale %v, %v, %d computations", c.password, ok, stale, err, h.Computed()-before)
		}
	}
	dearer := cheap()
	dearer.Iterations = 2
	if ok, stale, err := hasher(t, dearer).Check(ctx, "correct horse", hash); !ok || !stale || err != nil {
		t.Errorf("with other parameters: %v, stale %v, %v", ok, stale, err)
	}
	if _, _, err := h.Check(ctx, "x", "not a hash"); err == nil {
		t.Error("a damaged hash is no error")
	}
}

func TestHashingIsBoundedAndGivesUpWithItsCaller(t *testing.T) {
	t.Parallel()
	h := hasher(t, cheap())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := h.Hash(context.Background(), "correct horse"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := h.Computed(); n != 8 {
		t.Errorf("%d computed", n)
	}
	full, err := password.NewHasher(password.DefaultParams(), 1)
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	wg.Go(func() {
		close(started)
		for range 3 {
			_, _ = full.Hash(context.Background(), "x")
		}
	})
	<-started
	for range 50 { // the choice between a free place and an ended context is by chance
		if _, err := full.Hash(ctx, "x"); errors.Is(err, context.Canceled) {
			wg.Wait()
			return
		}
	}
	t.Error("a caller that has gone is still served")
}
