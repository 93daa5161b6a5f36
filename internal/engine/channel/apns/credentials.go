package apns

import (
	"regexp"

	"borealis/internal/engine/channel/wire"
)

// Names of the fields. Those that begin with sandbox are for the environment for development, if it has a key or certificate of its own.
const (
	fieldTeam        = "team_id"
	fieldKeyID       = "key_id"
	fieldKey         = "private_key"
	fieldCertificate = "certificate"
	fieldBundle      = "bundle_id"
	sandboxPrefix    = "sandbox_"
)

// credentials are an app at Apple. They are made by Parse.
type credentials struct {
	bundle string
	// production and sandbox are who we are in each environment; the same if one key or certificate is for both.
	production, sandbox *identity
}

// ID is the bundle id.
func (c *credentials) ID() string { return c.bundle }

func (c *credentials) identity(sandbox bool) *identity {
	if sandbox {
		return c.sandbox
	}
	return c.production
}

// Parse reads {"team_id", "key_id", "private_key", "bundle_id"} or {"certificate", "bundle_id"}: private_key is the text of the .p8 file,
// certificate a PEM text with the certificate and its key. Keys and certificates that are for development alone may stand
// beside, as sandbox_key_id and sandbox_private_key or as sandbox_certificate. The error is a *wire.FieldError.
func (v *Vendor) Parse(raw []byte) (wire.Credentials, error) {
	fields, err := readFields(raw)
	if err != nil {
		return nil, err
	}
	main, err := readIdentity(fields, "")
	if err != nil {
		return nil, err
	}
	if main == nil {
		return nil, &wire.FieldError{Field: fieldKey, Reason: "is missing: give private_key, key_id and team_id, or certificate"}
	}
	sandbox, err := readIdentity(fields, sandboxPrefix)
	if err != nil {
		return nil, err
	}
	if sandbox == nil {
		sandbox = main
	}
	bundle, err := readBundle(fields[fieldBundle], main, sandbox)
	if err != nil {
		return nil, err
	}
	return &credentials{bundle: bundle, production: main, sandbox: sandbox}, nil
}

func readFields(raw []byte) (map[string]string, error) {
	var in struct {
		Team               string `json:"team_id"`
		KeyID              string `json:"key_id"`
		Key                string `json:"private_key"`
		Certificate        string `json:"certificate"`
		Bundle             string `json:"bundle_id"`
		SandboxKeyID       string `json:"sandbox_key_id"`
		SandboxKey         string `json:"sandbox_private_key"`
		SandboxCertificate string `json:"sandbox_certificate"`
	}
	if err := wire.ReadFields(raw, &in); err != nil {
		return nil, err
	}
	return map[string]string{
		fieldTeam: in.Team, fieldKeyID: in.KeyID, fieldKey: in.Key, fieldCertificate: in.Certificate, fieldBundle: in.Bundle,
		sandboxPrefix + fieldKeyID: in.SandboxKeyID, sandboxPrefix + fieldKey: in.SandboxKey, sandboxPrefix + fieldCertificate: in.SandboxCertificate,
	}, nil
}

// readBundle is the bundle id that was entered or that the certificates name. They must not contradict each other.
func readBundle(entered string, identities ...*identity) (string, error) {
	bundle := entered
	for _, id := range identities {
		switch {
		case id.topic == "":
		case bundle == "":
			bundle = id.topic
		case bundle != id.topic:
			return "", &wire.FieldError{Field: fieldBundle, Reason: "is another one than that of the certificate"}
		}
	}
	if bundle == "" {
		return "", &wire.FieldError{Field: fieldBundle, Reason: "is missing"}
	}
	if len(bundle) > 155 || !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`).MatchString(bundle) {
		return "", &wire.FieldError{Field: fieldBundle, Reason: "is not a bundle id: letters, digits, dots and hyphens, at most 155"}
	}
	return bundle, nil
}
