package vault

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/slipwayhq/slipway/internal/secret"
)

// Config is the way to a Vault and the login there.
type Config struct {
	// Address is the URL of Vault, such as https://vault:8200.
	Address string `yaml:"address"`
	// Namespace is the namespace of Vault Enterprise, if any.
	Namespace string `yaml:"namespace"`
	// CAFile is a PEM bundle that Vault's certificate must lead to. Empty means
	// the certificate authorities of the system.
	CAFile string `yaml:"caFile"`
	// ClientCertFile is the certificate for a Vault that asks for one.
	ClientCertFile string `yaml:"clientCertFile"`
	// ClientKeyFile is the key of that certificate.
	ClientKeyFile string `yaml:"clientKeyFile"`
	// ServerName is the name in Vault's certificate where it is not the host of
	// the address.
	ServerName string `yaml:"serverName"`
	// Timeout bounds one call, logins that it needs included. Default: 5s.
	Timeout time.Duration `yaml:"timeout"`
	// Auth is the login.
	Auth AuthConfig `yaml:"auth"`
}

// Methods of AuthConfig.
const (
	MethodToken      = "token"
	MethodTokenFile  = "tokenFile"
	MethodAppRole    = "approle"
	MethodKubernetes = "kubernetes"
	MethodJWT        = "jwt"
)

// AuthConfig is a login. Files are read anew at each login.
type AuthConfig struct {
	// Method is one of token, tokenFile, approle, kubernetes and jwt.
	Method string `yaml:"method"`
	// Mount is where the method is mounted. Default: its name.
	Mount string `yaml:"mount"`
	// Token is the token of method token. It is renewed if it can be.
	Token secret.String `yaml:"token"`
	// TokenFile is the file of method tokenFile, which something else keeps
	// fresh, such as a Vault agent. It is read every few seconds.
	TokenFile string `yaml:"tokenFile"`
	// RoleID is the role id of method approle.
	RoleID string `yaml:"roleId"`
	// SecretID is the secret id of method approle.
	SecretID secret.String `yaml:"secretId"`
	// SecretIDFile is a file with the secret id of method approle.
	SecretIDFile string `yaml:"secretIdFile"`
	// Role is the role of the methods kubernetes and jwt.
	Role string `yaml:"role"`
	// JWTFile is the file with the token for the methods kubernetes and jwt.
	// Default for kubernetes: that of the pod's service account.
	JWTFile string `yaml:"jwtFile"`
}

const (
	defaultTimeout = 5 * time.Second
	// serviceAccountToken is where Kubernetes projects the token of a pod.
	serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token" //nolint:gosec // a path, no credential
)

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Auth.Mount == "" {
		c.Auth.Mount = c.Auth.Method
	}
	if c.Auth.JWTFile == "" && c.Auth.Method == MethodKubernetes {
		c.Auth.JWTFile = serviceAccountToken
	}
	return c
}

// Validate reports all problems at once; it opens nothing.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	u, err := url.Parse(c.Address)
	check(err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil, "address: must be an http or https URL without user")
	check((c.ClientCertFile == "") == (c.ClientKeyFile == ""), "clientCertFile and clientKeyFile go together")
	check(c.Timeout >= 0, "timeout: %s is negative", c.Timeout)

	a := c.Auth
	check(slices.Contains([]string{MethodToken, MethodTokenFile, MethodAppRole, MethodKubernetes, MethodJWT}, a.Method),
		"auth.method: must be token, tokenFile, approle, kubernetes or jwt")
	switch a.Method {
	case MethodToken:
		check(!a.Token.IsEmpty(), "auth.token: is missing")
	case MethodTokenFile:
		check(a.TokenFile != "", "auth.tokenFile: is missing")
	case MethodAppRole:
		check(a.RoleID != "", "auth.roleId: is missing")
		check(a.SecretID.IsEmpty() || a.SecretIDFile == "", "auth.secretId and auth.secretIdFile exclude each other")
	case MethodKubernetes:
		check(a.Role != "", "auth.role: is missing")
	case MethodJWT:
		check(a.Role != "", "auth.role: is missing")
		check(a.JWTFile != "", "auth.jwtFile: is missing")
	}
	return errors.Join(errs...)
}
