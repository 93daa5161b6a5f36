package person_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"borealis/internal/platform/account/person"
)

// authenticator is a security key with one credential: what a browser and a key do between them, by the standard.
type authenticator struct {
	t       *testing.T
	origin  string
	rp      string
	flags   byte // user present 1, user verified 4
	key     *ecdsa.PrivateKey
	id      []byte
	handle  []byte
	counter uint32
}

func newAuthenticator(t *testing.T) *authenticator {
	t.Helper()
	a := &authenticator{t: t, origin: "https://push.example.com", rp: "push.example.com", flags: 5, id: make([]byte, 32)}
	a.key = ok[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, _ = rand.Read(a.id)
	return a
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *authenticator) clientData(kind, challenge string) []byte {
	return ok[[]byte](a.t)(json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false}))
}

func (a *authenticator) data(extra byte) []byte {
	hash := sha256.Sum256([]byte(a.rp))
	a.counter++
	return binary.BigEndian.AppendUint32(append(hash[:], a.flags|extra), a.counter)
}

// create answers navigator.credentials.create.
func (a *authenticator) create(options []byte) []byte {
	var o struct {
		PublicKey struct {
			Challenge string
			User      struct{ ID string }
		} `json:"publicKey"`
	}
	must(a.t, json.Unmarshal(options, &o))
	a.handle = ok[[]byte](a.t)(base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID))
	point := ok[[]byte](a.t)(a.key.PublicKey.Bytes())
	cose := ok[[]byte](a.t)(cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]}))
	data := append(a.data(0x40), make([]byte, 16)...)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(a.id))), a.id...)
	object := ok[[]byte](a.t)(cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": append(data, cose...)}))
	return ok[[]byte](a.t)(json.Marshal(map[string]any{
		"id": b64(a.id), "rawId": b64(a.id), "type": "public-key",
		"response": map[string]any{"clientDataJSON": b64(a.clientData("webauthn.create", o.PublicKey.Challenge)), "attestationObject": b64(object)},
	}))
}

// get answers navigator.credentials.get.
func (a *authenticator) get(options []byte) []byte {
	var o struct {
		PublicKey struct{ Challenge string } `json:"publicKey"`
	}
	must(a.t, json.Unmarshal(options, &o))
	client, data := a.clientData("webauthn.get", o.PublicKey.Challenge), a.data(0)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte(nil), data...), hash[:]...))
	sig := ok[[]byte](a.t)(ecdsa.SignASN1(rand.Reader, a.key, digest[:]))
	return ok[[]byte](a.t)(json.Marshal(map[string]any{
		"id": b64(a.id), "rawId": b64(a.id), "type": "public-key",
		"response": map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(sig), "userHandle": b64(a.handle)},
	}))
}

func (h *house) addPasskey(t *testing.T, token string, a *authenticator) (fresh string) {
	t.Helper()
	ctx := context.Background()
	x := h.session(t, token)
	options, ceremony, err := h.BeginPasskey(ctx, x)
	must(t, err)
	return ok[string](t)(h.FinishPasskey(ctx, x, ceremony, "my key", a.create(options)))
}

// AG-SEC-02: passkeys sign in alone, and everything about their answers is checked.
func TestPasskeys(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in := h.register(t, 1, false)
		key := newAuthenticator(t)
		x := h.session(t, in.Token)
		options, ceremony, err := h.BeginPasskey(ctx, x)
		must(t, err)
		if strings.Contains(string(options), "user1@example.com") {
			t.Error("the options have an address in them")
		}
		phish := newAuthenticator(t)
		phish.origin = "https://push.example.org"
		_, err = h.FinishPasskey(ctx, x, ceremony, "key", phish.create(options))
		wants(t, "from another site", err, person.ErrPasskey)
		_, err = h.FinishPasskey(ctx, x, ceremony, "key", key.create(options))
		wants(t, "a challenge twice", err, person.ErrLink)
		token := h.addPasskey(t, in.Token, key)
		_, err = h.Authenticate(ctx, in.Token)
		wants(t, "the token from before", err, person.ErrSession)

		signIn := func(change func(a *authenticator)) (*person.SignedIn, error) {
			options, ceremony, err := h.BeginPasskeySignIn(ctx, at(2))
			must(t, err)
			a := *key
			if change != nil {
				change(&a)
			}
			got, err := h.SignInByPasskey(ctx, ceremony, a.get(options), at(2))
			if err == nil {
				key.counter = a.counter
			}
			return got, err
		}
		got := ok[*person.SignedIn](t)(signIn(nil))
		if got.User != in.User || got.Second {
			t.Errorf("%+v", got)
		}
		stranger := newAuthenticator(t)
		for what, change := range map[string]func(a *authenticator){
			"another site":             func(a *authenticator) { a.origin = "https://evil.example" },
			"another relying party":    func(a *authenticator) { a.rp = "evil.example" },
			"without finger or PIN":    func(a *authenticator) { a.flags = 1 },
			"another key":              func(a *authenticator) { a.key = stranger.key },
			"another credential":       func(a *authenticator) { a.id = stranger.id },
			"an invented user handle":  func(a *authenticator) { a.handle = []byte("1") },
			"a counter that went back": func(a *authenticator) { a.counter = 0 },
		} {
			_, err := signIn(change)
			wants(t, what, err, person.ErrPasskey)
		}
		if n := h.courier.notice(t, person.NoticePasskeyCloned, in.User); n.NotMe == "" {
			t.Error("the owner of a copied key is not told")
		}
		options, ceremony, err = h.BeginPasskeySignIn(ctx, at(2))
		must(t, err)
		h.clock.Advance(5 * time.Minute)
		_, err = h.SignInByPasskey(ctx, ceremony, key.get(options), at(2))
		wants(t, "a challenge that has expired", err, person.ErrLink)

		h.clock.Advance(person.ProofTTL)
		x = h.session(t, token)
		_, _, err = h.BeginPasskey(ctx, x)
		wants(t, "without a fresh proof", err, person.ErrProof)
		options, ceremony, err = h.BeginPasskeySignIn(ctx, at(2))
		must(t, err)
		token = ok[string](t)(h.StepUpByPasskey(ctx, x, ceremony, key.get(options)))
		list := ok[[]person.Passkey](t)(h.Passkeys(ctx, in.User))
		if len(list) != 1 || list[0].Name != "my key" || list[0].UsedAt.IsZero() {
			t.Errorf("%+v", list)
		}
		_ = ok[string](t)(h.RemovePasskey(ctx, h.session(t, token), list[0].ID))
		_, err = signIn(nil)
		wants(t, "a removed one", err, person.ErrPasskey)
	})
}

// A private installation's owner who never set a password cannot remove their only way in.
func TestTheLastWayInStays(t *testing.T) {
	eachWith(t, person.Options{}, func(t *testing.T, h *house) {
		ctx := context.Background()
		link := ok[string](t)(h.Bootstrap(ctx))
		in, _, err := h.BootstrapOwner(ctx, person.Owner{Token: link, Email: "owner@example.com"}, at(1))
		must(t, err)
		token := h.addPasskey(t, in.Token, newAuthenticator(t))
		list := ok[[]person.Passkey](t)(h.Passkeys(ctx, in.User))
		_, err = h.RemovePasskey(ctx, h.session(t, token), list[0].ID)
		wants(t, "the last way in", err, person.ErrLastMethod)
		token = ok[string](t)(h.ChangePassword(ctx, h.session(t, token), "", good))
		_ = ok[string](t)(h.RemovePasskey(ctx, h.session(t, token), list[0].ID))
	})
}

func FuzzPasskeyAnswers(f *testing.F) {
	f.Add([]byte(`{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"","attestationObject":""}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if err := person.CheckAnswers(answer); err == nil {
			t.Errorf("%q is taken", answer)
		}
	})
}
