package gate_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"borealis/internal/engine/gate"
)

// declared reads the permissions from the source, so that the table is compared with something that is not the table.
func declared(t *testing.T) []gate.Permission {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "permission.go", nil, 0)
	must(t, err)
	var out []gate.Permission
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Permission" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			must(t, err)
			out = append(out, gate.Permission(text))
		}
		return true
	})
	if len(out) < 30 {
		t.Fatalf("only %d permissions found", len(out))
	}
	return out
}

func TestPermissionsAreDeclaredAndHeldByOneKindOfRole(t *testing.T) {
	t.Parallel()
	all := declared(t)
	if slices.Sort(all); len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Error("a permission is declared twice")
	}
	held := map[gate.Permission]bool{}
	for _, r := range append(gate.AccountRoles(), gate.OperatorRoles()...) {
		list := r.Permissions()
		if len(list) == 0 {
			t.Errorf("%s has no permission", r)
		}
		for _, p := range list {
			held[p] = true
			if !slices.Contains(all, p) {
				t.Errorf("%s has %s, which is not declared", r, p)
			}
			if strings.HasPrefix(string(p), "operator.") != slices.Contains(gate.OperatorRoles(), r) {
				t.Errorf("%s has %s of the other kind", r, p)
			}
		}
	}
	for _, p := range all {
		if !held[p] {
			t.Errorf("nobody has %s", p)
		}
	}
}

func TestRolesContainEachOther(t *testing.T) {
	t.Parallel()
	for wide, narrow := range map[gate.Role][]gate.Role{
		gate.RoleOwner:          {gate.RoleAdmin, gate.RoleDeveloper, gate.RoleMarketing, gate.RoleFinance, gate.RoleAuditor},
		gate.RoleAdmin:          {gate.RoleDeveloper, gate.RoleMarketing, gate.RoleAuditor},
		gate.OperatorOwner:      {gate.OperatorOperations, gate.OperatorReviewer, gate.OperatorFinance, gate.OperatorLegal, gate.OperatorAuditor},
		gate.OperatorOperations: {gate.OperatorReviewer},
	} {
		for _, n := range narrow {
			for _, p := range n.Permissions() {
				if !wide.Has(p) {
					t.Errorf("%s lacks %s, which %s has", wide, p, n)
				}
			}
			if len(n.Permissions()) >= len(wide.Permissions()) {
				t.Errorf("%s is no more than %s", wide, n)
			}
		}
	}
}

// Duties that must not be in one hand.
func TestRolesThatAreKeptApart(t *testing.T) {
	t.Parallel()
	for r, never := range map[gate.Role][]gate.Permission{
		gate.RoleAdmin:          {gate.OwnersManage, gate.AccountClose, gate.AccountSign, gate.BillingPay},
		gate.RoleDeveloper:      {gate.MembersManage, gate.BillingRead, gate.AccountSign},
		gate.RoleMarketing:      {gate.AppsSecret, gate.AppsManage},
		gate.RoleFinance:        {gate.PushSend, gate.AppsSecret},
		gate.OperatorReviewer:   {gate.OperatorSanction, gate.OperatorAppeal, gate.OperatorMoney},
		gate.OperatorOperations: {gate.OperatorAppeal, gate.OperatorMoney, gate.OperatorStaff},
		gate.OperatorFinance:    {gate.OperatorSanction},
	} {
		for _, p := range never {
			if r.Has(p) {
				t.Errorf("%s has %s", r, p)
			}
		}
	}
	reading := func(p gate.Permission) bool { return strings.HasSuffix(string(p), ".read") || p == gate.AccountAudit }
	for _, r := range []gate.Role{gate.RoleAuditor, gate.OperatorAuditor} {
		for _, p := range r.Permissions() {
			if !reading(p) {
				t.Errorf("%s has %s, which is more than reading", r, p)
			}
		}
	}
}

// May is the meet of everything that bounds an actor: whatever is taken away, nothing is gained.
func TestMayProperty(t *testing.T) {
	t.Parallel()
	all := append(declared(t), "account", "", "*", "operator.", "apps.read.all")
	roles := append(append(gate.AccountRoles(), gate.OperatorRoles()...), "", "root", "operator")
	rapid.Check(t, func(t *rapid.T) {
		a := gate.Actor{
			User: rapid.Int64Range(0, 1).Draw(t, "user"), Account: rapid.Int64Range(0, 1).Draw(t, "account"), Token: rapid.Int64Range(0, 1).Draw(t, "token"),
			Role: rapid.SampledFrom(roles).Draw(t, "role"), Operator: rapid.SampledFrom(roles).Draw(t, "operator"),
			Scopes: rapid.SliceOfN(rapid.SampledFrom(all), 0, 5).Draw(t, "scopes"), Unproven: rapid.SampledFrom([]string{"", "", "set up a second factor"}).Draw(t, "unproven"),
		}
		p := rapid.SampledFrom(all).Draw(t, "permission")
		want := a.User != 0 && a.Unproven == "" && (a.Token == 0 || slices.Contains(a.Scopes, p)) &&
			(a.Account != 0 && slices.Contains(gate.AccountRoles(), a.Role) && slices.Contains(a.Role.Permissions(), p) ||
				slices.Contains(gate.OperatorRoles(), a.Operator) && slices.Contains(a.Operator.Permissions(), p))
		err := a.May(p)
		var forbidden *gate.ForbiddenError
		if (err == nil) != want || err != nil && (!errors.As(err, &forbidden) || forbidden.Permission != p || forbidden.Obstacle == 0 || err.Error() == "") {
			t.Fatalf("%+v may %q: %v", a, p, err)
		}
	})
}

func TestActorsAreNamedForTheAuditLog(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]gate.Actor{"user:7": {User: 7}, "token:3/user:7": {User: 7, Token: 3}} {
		if got := a.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
