package device

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func (n *node) token(app int64, ordinal uint32, channel, token string) {
	n.t.Helper()
	if err := n.PutToken(context.Background(), n.app(app), ordinal, Token{Channel: channel, Token: token}); err != nil {
		n.t.Fatal(err)
	}
}

func TestDevicesAreFoundByTheirChannels(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n, ctx := newNode(t, d), context.Background()
		a, b, c := n.joined(1, audience.Android).Ordinal, n.joined(1, audience.Android).Ordinal, n.joined(1, audience.IOS).Ordinal
		n.token(1, a, "huawei", "ha")
		n.token(1, a, "fcm", "fa")
		n.token(1, b, "huawei", "hb")
		n.token(1, c, "apns", "pc")
		n.token(2, n.joined(2, audience.IOS).Ordinal, "apns", "elsewhere")

		got, err := n.ReachesBetween(ctx, 1, a, b)
		want := []Reach{{a, "fcm"}, {a, "huawei"}, {b, "huawei"}}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("between: %v, %v", got, err)
		}
		if got, err := n.ReachesOf(ctx, 1, []uint32{c, b}); err != nil || !slices.Equal(got, []Reach{{b, "huawei"}, {c, "apns"}}) {
			t.Errorf("of two: %v, %v", got, err)
		}
		tokens, err := n.TokensOf(ctx, 1, "huawei", []uint32{c, b, a})
		if err != nil || len(tokens) != 2 || tokens[0].Token.Token != "ha" || tokens[1].Ordinal != b || tokens[1].Environment != "production" {
			t.Errorf("tokens: %+v, %v", tokens, err)
		}
		if o, found, err := n.OwnerOf(ctx, 1, "huawei", "hb"); o != b || !found || err != nil {
			t.Errorf("owner: %d, %v, %v", o, found, err)
		}
		if _, found, err := n.OwnerOf(ctx, 1, "apns", "elsewhere"); found || err != nil {
			t.Errorf("another app's token has an owner: %v", err)
		}
		if counts, err := n.TokenCounts(ctx, 1); err != nil || !maps.Equal(counts, map[string]int64{"huawei": 2, "fcm": 1, "apns": 1}) {
			t.Errorf("counts: %v, %v", counts, err)
		}
	})
}

func TestAnInvalidTokenIsForgottenUnlessItWasReplaced(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n, ctx := newNode(t, d), context.Background()
		a, b := n.joined(1, audience.Android).Ordinal, n.joined(1, audience.Android).Ordinal
		n.token(1, a, "oppo", "old a")
		n.token(1, b, "oppo", "old b")
		dead, err := n.TokensOf(ctx, 1, "oppo", []uint32{a, b})
		if err != nil {
			t.Fatal(err)
		}
		n.token(1, b, "oppo", "new b")
		if err := n.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return n.DropTokens(ctx, tx, 1, dead) }); err != nil {
			t.Fatal(err)
		}
		left, err := n.TokensOf(ctx, 1, "oppo", []uint32{a, b})
		if err != nil || len(left) != 1 || left[0].Token.Token != "new b" {
			t.Fatalf("left: %+v, %v", left, err)
		}
	})
}

func TestTokensOfDevicesThatFellSilentDecay(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n, ctx := newNode(t, d), context.Background()
		silent, seen, renewed := n.joined(1, audience.Android).Ordinal, n.joined(1, audience.Android).Ordinal, n.joined(1, audience.Android).Ordinal
		for _, o := range []uint32{silent, seen, renewed} {
			n.token(1, o, "fcm", string(rune('a'+o)))
		}
		if err := n.FlushSeen(ctx); err != nil {
			t.Fatal(err)
		}
		n.clock.Advance(tokenLife)
		n.Seen(1, []uint32{seen})
		if err := n.FlushSeen(ctx); err != nil {
			t.Fatal(err)
		}
		n.token(1, renewed, "fcm", "new")
		if gone, err := n.SweepTokens(ctx); gone != 0 || err != nil {
			t.Fatalf("%d swept on the last day, %v", gone, err)
		}
		n.clock.Advance(time.Millisecond)
		if gone, err := n.SweepTokens(ctx); gone != 1 || err != nil {
			t.Fatalf("%d swept, %v", gone, err)
		}
		if got, err := n.ReachesOf(ctx, 1, []uint32{silent, seen, renewed}); err != nil || len(got) != 2 {
			t.Fatalf("left: %v, %v", got, err)
		}
	})
}

func TestOnlyVerifiedMobileNumbersAreTold(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n, ctx := newNode(t, d), context.Background()
		a, b := n.joined(1, audience.Android).Ordinal, n.joined(1, audience.Android).Ordinal
		number := "13800000000"
		if err := n.SetProfile(ctx, n.app(1), a, ProfileChange{Mobile: &number}, ByServer); err != nil {
			t.Fatal(err)
		}
		if err := n.SetProfile(ctx, n.app(1), b, ProfileChange{Mobile: &number}, ByDevice); err != nil {
			t.Fatal(err)
		}
		got, err := n.MobilesOf(ctx, 1, []uint32{a, b, 999})
		if err != nil || !maps.Equal(got, map[uint32]string{a: number}) {
			t.Fatalf("%v, %v", got, err)
		}
	})
}
