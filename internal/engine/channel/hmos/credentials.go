package hmos

import (
	"borealis/internal/engine/channel/pushkit"
	"borealis/internal/engine/channel/wire"
)

// credentials are a project at Huawei.
type credentials struct {
	project string
	// client is the app's client id, which messages are taken back by; "" if it is not known.
	client   string
	account  *pushkit.Account
	callback pushkit.Callback
}

// ID is the project's id.
func (c *credentials) ID() string { return c.project }

// Parse reads a service_account and what goes along with it.
func (*Vendor) Parse(raw []byte) (wire.Credentials, error) {
	var f struct {
		ServiceAccount *pushkit.KeyFile `json:"service_account"`
		ProjectID      string           `json:"project_id"`
		ClientID       string           `json:"client_id"`
		CallbackUser   string           `json:"callback_user"`
		CallbackSecret string           `json:"callback_secret"`
	}
	if err := wire.ReadFields(raw, &f); err != nil {
		return nil, err
	}
	switch {
	case f.ServiceAccount == nil:
		return nil, &wire.FieldError{Field: "service_account", Reason: "is missing: the key file of a service account"}
	case f.ProjectID != "" && !pushkit.IsNumber(f.ProjectID):
		return nil, &wire.FieldError{Field: "project_id", Reason: "must be a number"}
	case f.ClientID != "" && !pushkit.IsNumber(f.ClientID):
		return nil, &wire.FieldError{Field: "client_id", Reason: "must be a number"}
	}
	account, err := pushkit.NewAccount(f.ServiceAccount)
	if err != nil {
		return nil, err
	}
	c := &credentials{project: f.ProjectID, client: f.ClientID, account: account}
	if c.project == "" {
		c.project = account.Project
	}
	switch {
	case c.project == "":
		return nil, &wire.FieldError{Field: "project_id", Reason: "is missing, and the key of the service account names none"}
	case account.Project != "" && account.Project != c.project:
		return nil, &wire.FieldError{Field: "project_id", Reason: "is not the project of the service account"}
	}
	c.callback, err = pushkit.NewCallback(f.CallbackUser, f.CallbackSecret)
	if err != nil {
		return nil, err
	}
	return c, nil
}
