package fcm

import (
	"crypto/rsa"
	"regexp"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"borealis/internal/engine/channel/wire"
)

// minKeyBits is the shortest key that is taken: Google's have 2048.
const minKeyBits = 2048

// googleTokenURIs are what key files of Google name as token_uri. Calls go to tokenAddress whatever a file names.
var googleTokenURIs = map[string]bool{"": true, tokenAddress: true, "https://accounts.google.com/o/oauth2/token": true}

var (
	projectID   = regexp.MustCompile(`^[a-z0-9:.-]{4,64}$`)
	clientEmail = regexp.MustCompile(`^[^@\s]{1,128}@[a-z0-9.-]{1,128}$`)
)

// credentials are a service account.
type credentials struct {
	project, email, keyID string
	key                   *rsa.PrivateKey
	// account tells accounts apart by their key too.
	account string
}

// ID is the project's id: Google counts for projects.
func (c *credentials) ID() string { return c.project }

// keyFile is a service account's key as Google gives it. The addresses are not used.
type keyFile struct {
	Type           string `json:"type"`
	ProjectID      string `json:"project_id"`
	PrivateKeyID   string `json:"private_key_id"`
	PrivateKey     string `json:"private_key"`
	ClientEmail    string `json:"client_email"`
	ClientID       string `json:"client_id"`
	AuthURI        string `json:"auth_uri"`
	TokenURI       string `json:"token_uri"`
	AuthCertURL    string `json:"auth_provider_x509_cert_url"`
	ClientCertURL  string `json:"client_x509_cert_url"`
	UniverseDomain string `json:"universe_domain"`
}

// Parse reads the JSON file of a service account's key.
func (*Vendor) Parse(raw []byte) (wire.Credentials, error) {
	var f keyFile
	if err := wire.ReadFields(raw, &f); err != nil {
		return nil, err
	}
	switch {
	case f.Type != "service_account":
		return nil, &wire.FieldError{Field: "type", Reason: `must be "service_account": the key of a service account is needed, not google-services.json`}
	case !projectID.MatchString(f.ProjectID):
		return nil, &wire.FieldError{Field: "project_id", Reason: "must be the id of a Firebase project"}
	case !clientEmail.MatchString(f.ClientEmail):
		return nil, &wire.FieldError{Field: "client_email", Reason: "must be the address of a service account"}
	case !googleTokenURIs[f.TokenURI]:
		return nil, &wire.FieldError{Field: "token_uri", Reason: "must be Google's, " + tokenAddress}
	case f.UniverseDomain != "" && f.UniverseDomain != "googleapis.com":
		return nil, &wire.FieldError{Field: "universe_domain", Reason: "must be googleapis.com"}
	case f.PrivateKey == "":
		return nil, &wire.FieldError{Field: "private_key", Reason: "is missing"}
	}
	// Pasted through a form, line ends often arrive as the two characters \n.
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(strings.ReplaceAll(f.PrivateKey, `\n`, "\n")))
	if err != nil {
		return nil, &wire.FieldError{Field: "private_key", Reason: "must be an RSA key in PEM, PKCS#8 or PKCS#1"}
	}
	if key.N.BitLen() < minKeyBits {
		return nil, &wire.FieldError{Field: "private_key", Reason: "must have at least 2048 bits"}
	}
	return &credentials{
		project: f.ProjectID, email: f.ClientEmail, keyID: f.PrivateKeyID, key: key,
		account: wire.AccountKey(f.ClientEmail, f.PrivateKey),
	}, nil
}
