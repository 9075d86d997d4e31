package access

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Role is something a caller may do.
type Role string

// The roles. Each stands for itself: none includes another, except that every
// caller may read.
const (
	// RoleRead reads the tenant's transactions, and calls nodes.
	RoleRead Role = "read"
	// RoleSubmit submits transactions, and cancels and speeds them up.
	RoleSubmit Role = "submit"
	// RoleSign signs messages, typed data and transactions that others send.
	RoleSign Role = "sign"
	// RoleWallets makes wallets of end users, and sets up and takes away what their
	// users must show.
	RoleWallets Role = "wallets"
	// RoleApprove agrees to transactions that need approval.
	RoleApprove Role = "approve"
	// RoleOperate suspends, resumes and redrives transactions, steers senders, keys
	// and wallets, manages API keys and reads the audit log.
	RoleOperate Role = "operate"
)

// Roles lists all roles.
func Roles() []Role {
	return []Role{RoleRead, RoleSubmit, RoleSign, RoleWallets, RoleApprove, RoleOperate}
}

// checkRoles says what is wrong with a list of roles.
func checkRoles(roles []Role) error {
	if len(roles) == 0 {
		return errors.New("roles: at least one of read, submit, sign, wallets, approve and operate is needed")
	}
	for _, r := range roles {
		if !slices.Contains(Roles(), r) {
			return fmt.Errorf("roles: there is no role %q", r)
		}
	}
	return nil
}

// Caller is who makes a request. It does not change.
type Caller struct {
	Tenant string
	// Name is unique within the tenant: key:NAME, jwt:ISSUER/SUBJECT, cert:NAME or net:NAME.
	Name string
	// KeyID is the id of the API key, "" for none.
	KeyID string
	Roles []Role
	// Address is where the request came from, without port.
	Address string
	// Expires is when a token or certificate ends; zero where there is none.
	Expires time.Time
}

// Has says whether the caller has a role. Every caller may read.
func (c Caller) Has(r Role) bool { return r == RoleRead || slices.Contains(c.Roles, r) }

// DefaultTenant is the tenant of a signer without authentication.
const DefaultTenant = "default"

// Nobody is the caller of a signer without authentication, who may do everything.
func Nobody(address string) Caller {
	return Caller{Tenant: DefaultTenant, Name: "dev", Roles: Roles(), Address: address}
}

type callerKey struct{}

// With gives a context its caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From is the caller of a context; it is false where there is none.
func From(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// tenantName is what tenants may be called: names travel in headers, paths and logs.
const tenantName = `^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`

func checkTenant(name string) error {
	if ok, err := regexp.MatchString(tenantName, name); err != nil || !ok {
		return errors.New("tenant: must begin with a letter or digit, and have at most 63 letters, digits, dots, dashes and underscores")
	}
	return nil
}

// maxName bounds the name of a caller, in bytes.
const maxName = 128

func checkName(name string) error {
	bad := func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == utf8.RuneError }
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("name: must have 1 to %d bytes, without spaces and control characters", maxName)
	}
	return nil
}
