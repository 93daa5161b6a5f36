package gate

import (
	"maps"
	"slices"
	"strconv"
)

// Role is what a person is in an account, or what an operator is in the installation. Both kinds are in one table, so that
// nobody has to look for a second one.
type Role string

// Roles in an account. A person has one in each account that they are a member of.
const (
	RoleOwner     Role = "owner"
	RoleAdmin     Role = "admin"
	RoleDeveloper Role = "developer"
	RoleMarketing Role = "marketing"
	RoleFinance   Role = "finance"
	RoleAuditor   Role = "auditor"
)

// Roles of the people who run the installation. They give nothing in an account.
const (
	OperatorOwner      Role = "operator.owner"
	OperatorOperations Role = "operator.operations"
	OperatorReviewer   Role = "operator.reviewer"
	OperatorFinance    Role = "operator.finance"
	OperatorLegal      Role = "operator.legal"
	OperatorAuditor    Role = "operator.auditor"
)

// Permission is one thing that somebody may do. Its name is also the scope of a token: "<noun>.<verb>", operators' begin
// with "operator.".
type Permission string

// Permissions in an account.
const (
	AccountRead   Permission = "account.read"
	AccountManage Permission = "account.manage" // name, contacts, settings
	AccountClose  Permission = "account.close"
	AccountSign   Permission = "account.sign"   // accept agreements for the account
	AccountVerify Permission = "account.verify" // hand in proof of identity
	AccountAudit  Permission = "account.audit"  // read who did what

	MembersRead   Permission = "members.read"
	MembersManage Permission = "members.manage" // invite, change roles, remove; owners only with OwnersManage
	OwnersManage  Permission = "owners.manage"

	TokensOwn    Permission = "tokens.own"    // make and end one's own
	TokensManage Permission = "tokens.manage" // see and end everybody's

	AppsRead   Permission = "apps.read"
	AppsManage Permission = "apps.manage"
	AppsSecret Permission = "apps.secret" // see and rotate keys, upload certificates

	PushRead        Permission = "push.read"
	PushSend        Permission = "push.send"
	AudienceRead    Permission = "audience.read"
	AudienceManage  Permission = "audience.manage"
	MarketingRead   Permission = "marketing.read"
	MarketingManage Permission = "marketing.manage"

	BillingRead Permission = "billing.read"
	BillingPay  Permission = "billing.pay" // top up, confirm statements, invoices

	NoticesRead  Permission = "notices.read"
	SupportWrite Permission = "support.write"
)

// Permissions of operators.
const (
	OperatorAccountsRead   Permission = "operator.accounts.read"
	OperatorAccountsManage Permission = "operator.accounts.manage" // corrections, recovery links, contact checks
	OperatorContentReview  Permission = "operator.content.review"  // profiles, templates, content
	OperatorIdentityReview Permission = "operator.identity.review"
	OperatorSanction       Permission = "operator.sanction"
	OperatorAppeal         Permission = "operator.appeal" // decide appeals against sanctions
	OperatorAgreements     Permission = "operator.agreements"
	OperatorNotices        Permission = "operator.notices"
	OperatorSupport        Permission = "operator.support"
	OperatorImpersonate    Permission = "operator.impersonate" // only with the user's consent on record
	OperatorPrices         Permission = "operator.prices"
	OperatorMoney          Permission = "operator.money" // refunds, corrections, payouts
	OperatorMoneyRead      Permission = "operator.money.read"
	OperatorAuditRead      Permission = "operator.audit.read"
	OperatorSettings       Permission = "operator.settings"
	OperatorStaff          Permission = "operator.staff" // who is an operator
)

// grant is a line of the table: what a role has itself, and the roles whose permissions it has as well.
type grant struct {
	includes []Role
	adds     []Permission
}

// permissions is the one table of who may do what.
var permissions = map[Role]grant{
	RoleAuditor: {nil, []Permission{AccountRead, AccountAudit, MembersRead, AppsRead, PushRead, AudienceRead, MarketingRead, BillingRead, NoticesRead}},
	RoleDeveloper: {nil, []Permission{
		AccountRead, MembersRead, TokensOwn, AppsRead, AppsManage, AppsSecret, PushRead, PushSend, AudienceRead, AudienceManage, NoticesRead, SupportWrite,
	}},
	RoleMarketing: {nil, []Permission{
		AccountRead, MembersRead, TokensOwn, AppsRead, PushRead, PushSend, AudienceRead, AudienceManage, MarketingRead, MarketingManage, NoticesRead, SupportWrite,
	}},
	RoleFinance: {nil, []Permission{AccountRead, MembersRead, TokensOwn, AppsRead, BillingRead, BillingPay, NoticesRead, SupportWrite}},
	RoleAdmin:   {[]Role{RoleDeveloper, RoleMarketing, RoleAuditor}, []Permission{AccountManage, AccountVerify, MembersManage, TokensManage}},
	RoleOwner:   {[]Role{RoleAdmin, RoleFinance}, []Permission{AccountSign, AccountClose, OwnersManage}},

	OperatorAuditor:  {nil, []Permission{OperatorAccountsRead, OperatorMoneyRead, OperatorAuditRead}},
	OperatorReviewer: {nil, []Permission{OperatorAccountsRead, OperatorContentReview, OperatorIdentityReview}},
	OperatorFinance:  {nil, []Permission{OperatorAccountsRead, OperatorMoneyRead, OperatorMoney, OperatorPrices}},
	OperatorLegal:    {nil, []Permission{OperatorAccountsRead, OperatorAgreements, OperatorNotices, OperatorSanction, OperatorAppeal, OperatorAuditRead}},
	OperatorOperations: {[]Role{OperatorReviewer}, []Permission{
		OperatorAccountsManage, OperatorSanction, OperatorNotices, OperatorSupport, OperatorImpersonate, OperatorSettings,
	}},
	OperatorOwner: {[]Role{OperatorOperations, OperatorFinance, OperatorLegal, OperatorAuditor}, []Permission{OperatorStaff}},
}

// AccountRoles lists the roles in an account, those with most permissions first.
func AccountRoles() []Role {
	return []Role{RoleOwner, RoleAdmin, RoleDeveloper, RoleMarketing, RoleFinance, RoleAuditor}
}

// OperatorRoles lists the roles of operators.
func OperatorRoles() []Role {
	return []Role{OperatorOwner, OperatorOperations, OperatorReviewer, OperatorFinance, OperatorLegal, OperatorAuditor}
}

// Permissions lists every permission of r in order; an unknown role has none.
func (r Role) Permissions() []Permission {
	set := map[Permission]bool{}
	r.collect(set)
	return slices.Sorted(maps.Keys(set))
}

func (r Role) collect(into map[Permission]bool) {
	line := permissions[r]
	for _, p := range line.adds {
		into[p] = true
	}
	for _, other := range line.includes {
		other.collect(into)
	}
}

// Has tells whether r has p.
func (r Role) Has(p Permission) bool {
	line := permissions[r]
	return slices.Contains(line.adds, p) || slices.ContainsFunc(line.includes, func(other Role) bool { return other.Has(p) })
}

// Actor is who does something: a person in a session or by a token of theirs, in at most one account. The zero value is
// nobody and may nothing.
type Actor struct {
	// User is the number of the person; 0 is nobody.
	User int64
	// Account is the number of the account that is acted for; 0: none, and Role gives nothing.
	Account int64
	// Role in Account.
	Role Role
	// Operator is the role as an operator, empty for everybody else.
	Operator Role
	// Token is the number of the API token that is used; 0: a session.
	Token int64
	// Scopes bound what a token may do, below what its owner may. They mean nothing in a session.
	Scopes []Permission
	// Session is the number of the session that is used; 0: a token.
	Session int64
	// Unproven says why the person may do nothing yet although they have signed in, e.g. "a second factor must be set
	// up". Empty: nothing is missing.
	Unproven string
}

// String names the actor for the audit log: "user:7" or, for a token, "token:3/user:7".
func (a *Actor) String() string {
	user := "user:" + strconv.FormatInt(a.User, 10)
	if a.Token != 0 {
		return "token:" + strconv.FormatInt(a.Token, 10) + "/" + user
	}
	return user
}

// Obstacle says why an actor may not do something.
type Obstacle uint8

// Obstacles.
const (
	// NobodyActs: nobody is signed in.
	NobodyActs Obstacle = iota + 1
	// ProofMissing: Actor.Unproven says what is to be done first.
	ProofMissing
	// OutOfScope: the token was not made for this.
	OutOfScope
	// NoPermission: no role of the actor has it.
	NoPermission
)

// ForbiddenError is the error of May.
type ForbiddenError struct {
	Permission Permission
	Obstacle   Obstacle
	// Detail for people.
	Detail string
}

// Error makes *ForbiddenError an error.
func (e *ForbiddenError) Error() string { return e.Detail }

// May tells whether the actor has a permission: by the role in the account, or by the role as an operator, and for a token
// also by its scopes. The error is a *ForbiddenError.
func (a *Actor) May(p Permission) error {
	switch {
	case a.User == 0:
		return &ForbiddenError{p, NobodyActs, "sign in first"}
	case a.Unproven != "":
		return &ForbiddenError{p, ProofMissing, a.Unproven}
	case a.Token != 0 && !slices.Contains(a.Scopes, p):
		return &ForbiddenError{p, OutOfScope, "the token does not have the scope " + string(p)}
	case a.Account != 0 && isAccountRole(a.Role) && a.Role.Has(p):
		return nil
	case isOperatorRole(a.Operator) && a.Operator.Has(p):
		return nil
	}
	return &ForbiddenError{p, NoPermission, "the permission " + string(p) + " is needed"}
}

// A role that stands in the other kind's field gives nothing.
func isAccountRole(r Role) bool  { return slices.Contains(AccountRoles(), r) }
func isOperatorRole(r Role) bool { return slices.Contains(OperatorRoles(), r) }
