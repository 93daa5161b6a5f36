package mail

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// TLS policies.
const (
	// TLSStart upgrades the connection by STARTTLS and refuses a server that cannot: the default, usual on port 587.
	TLSStart = "starttls"
	// TLSImplicit speaks TLS from the first byte, usual on port 465.
	TLSImplicit = "tls"
	// TLSOpportunistic upgrades if the server offers it. A password is sent only after the upgrade.
	TLSOpportunistic = "opportunistic"
	// TLSNone never encrypts: for a relay on this machine.
	TLSNone = "none"
)

const (
	// defaultTimeout of Config.
	defaultTimeout = 30 * time.Second
	minTimeout     = 100 * time.Millisecond
	maxTimeout     = 5 * time.Minute
	// minRSA is the shortest RSA key that receivers still accept.
	minRSA = 1024
)

// FieldError says what is wrong with a field of a Config or a Message. Reason holds no personal data and no secret.
type FieldError struct{ Field, Reason string }

// Error makes *FieldError an error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// Config says through which server mail goes, and as whom.
type Config struct {
	// Host is the name or address of the server. TLS certificates are checked against it.
	Host string
	// Port of the server; 0: the usual one of the policy (587, 465 for "tls", 25 for "none").
	Port int
	// TLS is one of the policies; empty: TLSStart.
	TLS string
	// User and Password log in; no User, no log-in.
	User, Password string
	// From is the address that mail comes from, FromName the name beside it.
	From, FromName string
	// ReturnPath is where reports of failed deliveries go; empty: From.
	ReturnPath string
	// Hello is the name of this machine in the greeting; empty: the domain of From.
	Hello string
	// DKIM signs; nil: the server does it, or nobody.
	DKIM *DKIM
	// Timeout bounds connecting with greeting, TLS and log-in, and then again each message; 0: 30 s.
	Timeout time.Duration
	// Roots are the certificate authorities that the server may have; nil: the system's.
	Roots *x509.CertPool
}

// DKIM is a key that signs mail of a domain.
type DKIM struct {
	// Domain signs for; From must be of it or below it. Selector names the key in the DNS: <selector>._domainkey.<domain>.
	Domain, Selector string
	// Key is a private key in PEM (PKCS #8, or PKCS #1 for RSA): RSA of 1,024 bits and more, or Ed25519.
	Key string
}

// check completes and checks c. The error is a *FieldError.
func (c *Config) check() error {
	if c.TLS == "" {
		c.TLS = TLSStart
	}
	if !slices.Contains([]string{TLSStart, TLSImplicit, TLSOpportunistic, TLSNone}, c.TLS) {
		return &FieldError{"tls", fmt.Sprintf("%q is not one of: starttls, tls, opportunistic, none", clip(c.TLS, 40))}
	}
	if !hostname(c.Host) && net.ParseIP(c.Host) == nil {
		return &FieldError{"host", "must be the name or the address of a server, without port"}
	}
	if c.Port == 0 {
		c.Port = map[string]int{TLSStart: 587, TLSImplicit: 465, TLSOpportunistic: 587, TLSNone: 25}[c.TLS]
	}
	if c.Port < 1 || c.Port > 65535 {
		return &FieldError{"port", "must be 1 to 65535"}
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		return &FieldError{"timeout", fmt.Sprintf("must be %s to %s", minTimeout, maxTimeout)}
	}
	if err := c.checkSender(); err != nil {
		return err
	}
	switch {
	case c.User == "" && c.Password != "":
		return &FieldError{"user", "is needed with a password"}
	case len(c.User) > 256 || len(c.Password) > 1024:
		return &FieldError{"password", "user and password may have 256 and 1,024 bytes"}
	case c.User != "" && c.TLS == TLSNone && !loopback(c.Host):
		return &FieldError{"tls", "a password is not sent without TLS, except to this machine itself"}
	}
	return nil
}

func (c *Config) checkSender() error {
	var err error
	if c.From, err = Address(c.From); err != nil {
		return &FieldError{"from", err.Error()}
	}
	if problem := line(c.FromName, maxName); problem != "" {
		return &FieldError{"from name", problem}
	}
	if c.ReturnPath == "" {
		c.ReturnPath = c.From
	}
	if c.ReturnPath, err = Address(c.ReturnPath); err != nil {
		return &FieldError{"return path", err.Error()}
	}
	if c.Hello == "" {
		c.Hello = domainOf(c.From)
	}
	if !hostname(c.Hello) {
		return &FieldError{"hello", "must be a name such as mail.example.com"}
	}
	return nil
}

// signer reads the DKIM key; nil without one.
func (c *Config) signer() (*gomail.DKIMSigner, error) {
	d := c.DKIM
	if d == nil {
		return nil, nil
	}
	domain := strings.ToLower(d.Domain)
	switch from := domainOf(c.From); {
	case !hostname(domain):
		return nil, &FieldError{"dkim domain", "must be a name such as example.com"}
	case from != domain && !strings.HasSuffix(from, "."+domain):
		return nil, &FieldError{"dkim domain", "the address that mail comes from is not of it: no receiver would count the signature"}
	case !hostname(d.Selector):
		return nil, &FieldError{"dkim selector", "must be letters, digits, dashes and dots"}
	}
	key, err := signingKey(d.Key)
	if err != nil {
		return nil, &FieldError{"dkim key", err.Error()}
	}
	s := gomail.NewDKIMSigner(domain, d.Selector, key)
	s.HeaderCanonicalization(gomail.CanonicalizationRelaxed)
	s.BodyCanonicalization(gomail.CanonicalizationRelaxed)
	if err := s.ValidateConfig(); err != nil {
		return nil, &FieldError{"dkim key", "cannot sign: " + err.Error()}
	}
	return s, nil
}

func signingKey(text string) (crypto.Signer, error) {
	key, err := gomail.PrivKeyFromPEM([]byte(text))
	if err != nil {
		// The library's error could quote what it read.
		return nil, errors.New("must be a private key in PEM: RSA or Ed25519 in PKCS #8, or RSA in PKCS #1")
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSA {
			return nil, fmt.Errorf("RSA keys must have %d bits or more", minRSA)
		}
	case ed25519.PrivateKey:
	default:
		return nil, errors.New("must be an RSA or an Ed25519 key")
	}
	return key, nil
}

func (c *Config) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: c.Host, RootCAs: c.Roots, MinVersion: tls.VersionTLS12}
}

func (c *Config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*$`)

func hostname(s string) bool { return len(s) <= 253 && hostPattern.MatchString(s) }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
