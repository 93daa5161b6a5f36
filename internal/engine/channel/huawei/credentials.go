package huawei

import (
	"regexp"

	"borealis/internal/engine/channel/pushkit"
	"borealis/internal/engine/channel/wire"
)

var packageName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$`)

// credentials are an app at Huawei.
type credentials struct {
	app, secret string
	// project is "" if only the app is known.
	project string
	// account is nil without a service account.
	account *pushkit.Account
	// pkg is the app's package, for clicks that open an activity.
	pkg      string
	callback pushkit.Callback
	// name tells accounts apart by their secret too.
	name string
}

// ID is the app's id, else the project's.
func (c *credentials) ID() string {
	if c.app != "" {
		return c.app
	}
	return c.project
}

// Parse reads app_id and app_secret, or a service_account, with what goes along with them.
func (*Vendor) Parse(raw []byte) (wire.Credentials, error) {
	var f struct {
		AppID          string           `json:"app_id"`
		AppSecret      string           `json:"app_secret"`
		ProjectID      string           `json:"project_id"`
		ServiceAccount *pushkit.KeyFile `json:"service_account"`
		Package        string           `json:"package"`
		CallbackUser   string           `json:"callback_user"`
		CallbackSecret string           `json:"callback_secret"`
	}
	if err := wire.ReadFields(raw, &f); err != nil {
		return nil, err
	}
	c := &credentials{app: f.AppID, secret: f.AppSecret, project: f.ProjectID, pkg: f.Package}
	switch {
	case f.AppID != "" && !pushkit.IsNumber(f.AppID):
		return nil, &wire.FieldError{Field: "app_id", Reason: "must be a number"}
	case f.ProjectID != "" && !pushkit.IsNumber(f.ProjectID):
		return nil, &wire.FieldError{Field: "project_id", Reason: "must be a number"}
	case f.Package != "" && !packageName.MatchString(f.Package):
		return nil, &wire.FieldError{Field: "package", Reason: "must be the name of the app's package"}
	case f.AppSecret != "" && f.AppID == "":
		return nil, &wire.FieldError{Field: "app_id", Reason: "is needed with app_secret"}
	case f.AppSecret == "" && f.ServiceAccount == nil:
		return nil, &wire.FieldError{Field: "app_secret", Reason: "is missing, and so is service_account"}
	}
	if f.ServiceAccount != nil {
		account, err := pushkit.NewAccount(f.ServiceAccount)
		if err != nil {
			return nil, err
		}
		c.account = account
		if c.project == "" {
			c.project = account.Project
		}
		if c.project == "" {
			return nil, &wire.FieldError{Field: "project_id", Reason: "is missing, and the key of the service account names none"}
		}
		if account.Project != "" && account.Project != c.project {
			return nil, &wire.FieldError{Field: "project_id", Reason: "is not the project of the service account"}
		}
	}
	callback, err := pushkit.NewCallback(f.CallbackUser, f.CallbackSecret)
	if err != nil {
		return nil, err
	}
	c.callback = callback
	c.name = wire.AccountKey(f.AppID, f.AppSecret)
	return c, nil
}
