package pushkit

import (
	"context"
	"crypto/rsa"
	"regexp"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// TokenAddress is the token endpoint of HUAWEI ID, and the audience of what service accounts sign.
const TokenAddress = "https://oauth-login.cloud.huawei.com/oauth2/v3/token" //nolint:gosec // an address

// signedLife is how long a signed token is good for: Huawei recommends an hour and refuses more than a day.
const signedLife = time.Hour

const minKeyBits = 2048

var (
	number  = regexp.MustCompile(`^[0-9]{1,64}$`)
	keyName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// IsNumber reports whether a text can be one of Huawei's ids: of a project, an app, a client.
func IsNumber(s string) bool { return number.MatchString(s) }

// KeyFile is the key of a service account as Huawei gives it. The addresses are not used.
type KeyFile struct {
	ProjectID       string `json:"project_id"`
	KeyID           string `json:"key_id"`
	PrivateKey      string `json:"private_key"`
	SubAccount      string `json:"sub_account"`
	AuthURI         string `json:"auth_uri"`
	TokenURI        string `json:"token_uri"`
	AuthProviderURI string `json:"auth_provider_cert_uri"`
	ClientCertURI   string `json:"client_cert_uri"`
}

// Account signs for a project.
type Account struct {
	// Project is the id that the key file names, "" if it names none.
	Project    string
	keyID, sub string
	key        *rsa.PrivateKey
	name       string
}

// NewAccount checks a key file. Errors are of fields below service_account.
func NewAccount(f *KeyFile) (*Account, error) {
	wrong := func(field, reason string) (*Account, error) {
		return nil, &wire.FieldError{Field: "service_account." + field, Reason: reason}
	}
	switch {
	case f.ProjectID != "" && !number.MatchString(f.ProjectID):
		return wrong("project_id", "must be a number")
	case !keyName.MatchString(f.KeyID):
		return wrong("key_id", "must be the id of the key")
	case !number.MatchString(f.SubAccount):
		return wrong("sub_account", "must be a number")
	case f.TokenURI != "" && f.TokenURI != TokenAddress:
		return wrong("token_uri", "must be Huawei's, "+TokenAddress)
	case f.PrivateKey == "":
		return wrong("private_key", "is missing")
	}
	// Pasted through a form, line ends often arrive as the two characters \n.
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(strings.ReplaceAll(f.PrivateKey, `\n`, "\n")))
	if err != nil {
		return wrong("private_key", "must be an RSA key in PEM, PKCS#8")
	}
	if key.N.BitLen() < minKeyBits {
		return wrong("private_key", "must have at least 2048 bits")
	}
	return &Account{Project: f.ProjectID, keyID: f.KeyID, sub: f.SubAccount, key: key, name: wire.AccountKey(f.SubAccount, f.KeyID, f.PrivateKey)}, nil
}

// Auth signs a JSON Web Token that calls carry; it is used for less than its hour.
func (a *Account) Auth(c clock.Clock) Auth {
	return Auth{Name: a.name, Fetch: func(context.Context) (string, time.Duration, error) {
		now := c.Now()
		token := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.MapClaims{
			"iss": a.sub, "aud": TokenAddress, "iat": now.Unix(), "exp": now.Add(signedLife).Unix(),
		})
		token.Header["kid"] = a.keyID
		signed, err := token.SignedString(a.key)
		if err != nil {
			return "", 0, &wire.RefusalError{Outcome: wire.NewOutcome(wire.Denied, "", "the private key does not sign")}
		}
		return signed, signedLife, nil
	}}
}
