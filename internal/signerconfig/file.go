// Package signerconfig reads the signer's configuration from its file and from
// the environment.
package signerconfig

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/admission"
	"github.com/slipwayhq/slipway/internal/config"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signerapp"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// File is the signer's configuration file.
type File struct {
	// Least severe kind of log line that is written: debug, info, warn or error.
	LogLevel string `yaml:"logLevel"`
	// Form of the log: json or text.
	LogFormat string           `yaml:"logFormat"`
	App       signerapp.Config `yaml:",inline"`

	warnings []string
	// isStandalone says that TxSigner's MODE=standalone was given.
	isStandalone bool
}

// Default is a signer's file with everything that has a default.
func Default() File {
	return File{LogLevel: "info", LogFormat: "json", App: signerapp.Default()}
}

// Load puts together the defaults, the file (none if path is empty) and
// the environment; what comes later wins.
func Load(path string, getenv func(string) string) (File, error) {
	file := Default()
	if path != "" {
		if err := config.Load(path, getenv, &file); err != nil {
			return File{}, err
		}
	}
	return file, file.environment(getenv)
}

// Complete settles what depends on everything that was said, flags included:
// MODE=standalone, with which TxSigner lets in everybody who reaches it, lets in the
// networks attached to this machine where no other way of knowing callers is configured.
func (f *File) Complete() {
	if f.isStandalone && !f.App.Dev && !f.App.Access.IsSet() {
		f.App.Access.AttachedNetworks = true
	}
}

// Logging turns the file's words into a logger's configuration.
func (f File) Logging() (telemetry.LogConfig, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil {
		return telemetry.LogConfig{}, fmt.Errorf("logLevel %q: must be debug, info, warn or error", f.LogLevel)
	}
	return telemetry.LogConfig{Level: level, Format: f.LogFormat}, nil
}

// Variable is an environment variable the signer reads.
type Variable struct {
	Name string
	Key  string // the key of the file it stands for, "" where it stands for none
	set  func(*File, string) error
}

// Variables lists the variables. Besides our own there are the names
// under which SettleMint's TxSigner knows the same settings.
func Variables() []Variable {
	text := func(field func(*File) *string) func(*File, string) error {
		return func(f *File, v string) error { *field(f) = v; return nil }
	}
	hidden := func(field func(*File) *secret.String) func(*File, string) error {
		return func(f *File, v string) error { *field(f) = secret.New(v); return nil }
	}
	port := func(field func(*File) *string) func(*File, string) error {
		return func(f *File, v string) error {
			if n, err := strconv.ParseUint(v, 10, 16); err != nil || n == 0 {
				return errors.New("must be a port")
			}
			*field(f) = ":" + v
			return nil
		}
	}
	chainID := func(f *File, v string) error {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return errors.New("must be a number")
		}
		f.App.Queue.ChainID = n
		return nil
	}
	number := func(field func(*File) *int) func(*File, string) error {
		return func(f *File, v string) error {
			n, err := strconv.ParseUint(v, 10, 31)
			if err != nil {
				return errors.New("must be a number")
			}
			*field(f) = int(n)
			return nil
		}
	}
	yesNo := func(set func(*File, bool)) func(*File, string) error {
		return func(f *File, v string) error {
			is, err := strconv.ParseBool(v)
			if err != nil {
				return errors.New("must be true or false")
			}
			set(f, is)
			return nil
		}
	}
	gateway := hidden(func(f *File) *secret.String { return &f.App.GatewayURL })
	database := hidden(func(f *File) *secret.String { return &f.App.DatabaseURL })
	mnemonic := hidden(func(f *File) *secret.String { return &f.App.Keys.Mnemonic })
	path := text(func(f *File) *string { return &f.App.Keys.DerivationPath })
	return append(txSignerVariables(), []Variable{
		{"RPC_ENDPOINT", "gatewayUrl", gateway},
		{"TX_SIGNER_RPC_URL", "gatewayUrl", gateway},
		{"SLIPWAY_GATEWAY_URL", "gatewayUrl", gateway},
		{"DB_CONNECTION_STRING", "databaseUrl", database},
		{"SLIPWAY_DATABASE_URL", "databaseUrl", database},
		{"SLIPWAY_DATABASE_PASSWORD_FILE", "databasePasswordFile", text(func(f *File) *string { return &f.App.DatabasePasswordFile })},
		{"SLIPWAY_DATABASE_USERNAME_FILE", "databaseUsernameFile", text(func(f *File) *string { return &f.App.DatabaseUsernameFile })},
		{"PRIVATE_KEY_MNEMONIC", "keys.mnemonic", mnemonic},
		{"SLIPWAY_MNEMONIC", "keys.mnemonic", mnemonic},
		{"SLIPWAY_MNEMONIC_FILE", "keys.mnemonicFile", text(func(f *File) *string { return &f.App.Keys.MnemonicFile })},
		{"PRIVATE_KEY_DERIVATION_PATH", "keys.derivationPath", path},
		{"SLIPWAY_ENCRYPTION_KEY", "wallets.encryptionKey", hidden(func(f *File) *secret.String { return &f.App.Wallets.EncryptionKey })},
		{"SLIPWAY_ENCRYPTION_KEY_FILE", "wallets.encryptionKeyFile", text(func(f *File) *string { return &f.App.Wallets.EncryptionKeyFile })},
		{"SLIPWAY_HASURA_SECRET", "api.hasuraSecret", hidden(func(f *File) *secret.String { return &f.App.API.HasuraSecret })},
		{"TX_SIGNER_CHAIN_ID", "queue.chainId", chainID},
		{"SLIPWAY_CHAIN_ID", "queue.chainId", chainID},
		{"TX_SIGNER_PORT", "listen", port(func(f *File) *string { return &f.App.Listen })},
		{"TX_SIGNER_METRICS_PORT", "adminListen", port(func(f *File) *string { return &f.App.AdminListen })},
		{"TX_SIGNER_LOG_LEVEL", "logLevel", text(func(f *File) *string { return &f.LogLevel })},
		{"SLIPWAY_LOG_LEVEL", "logLevel", text(func(f *File) *string { return &f.LogLevel })},
		{"SLIPWAY_API_KEYS", "access.apiKeys", yesNo(func(f *File, is bool) { f.App.Access.APIKeys = is })},
		{"TX_SIGNER_RATE_LIMIT_MAX_REQUESTS_PER_MINUTE", "rateLimit.tenantPerMinute", number(func(f *File) *int { return &f.App.RateLimit.TenantPerMinute })},
		{"TX_SIGNER_RATE_LIMIT_MAX_REQUESTS_PER_HOUR", "rateLimit.tenantPerHour", number(func(f *File) *int { return &f.App.RateLimit.TenantPerHour })},
		{"TX_SIGNER_RATE_LIMIT_ENABLED", "rateLimit", yesNo(setRateLimit)},
		{"TX_SIGNER_AUDIT_ENABLED", "audit.enabled", yesNo(func(f *File, is bool) { f.App.Audit.Enabled = is })},
		{"TX_SIGNER_AUDIT_RETENTION_DAYS", "audit.retention", setRetention},
		{"TX_SIGNER_ALLOWED_CONTRACTS", "policy.rules", allow(func(r *policy.Rule, list []string) { r.Recipients = list })},
		{"TX_SIGNER_ALLOWED_METHODS", "policy.rules", allow(func(r *policy.Rule, list []string) { r.Methods = list })},
	}...)
}

// setRateLimit takes the limits away; true leaves them as they are.
func setRateLimit(f *File, is bool) {
	if !is {
		f.App.RateLimit = admission.RateLimit{}
	}
}

func setRetention(f *File, v string) error {
	days, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return errors.New("must be a number of days")
	}
	f.App.Audit.Retention = time.Duration(days) * 24 * time.Hour
	return nil
}

// allowedRule is the rule that TX_SIGNER_ALLOWED_CONTRACTS and _METHODS make: what
// is called must be on both lists. Messages and typed data, which TxSigner's lists
// do not concern, stay allowed.
const allowedRule, signaturesRule = "TX_SIGNER_ALLOWED", "TX_SIGNER_ALLOWED_SIGNATURES"

func allow(set func(*policy.Rule, []string)) func(*File, string) error {
	return func(f *File, v string) error {
		var list []string
		for _, text := range splitList(v) {
			if text = strings.TrimSpace(text); text != "" {
				list = append(list, text)
			}
		}
		if list == nil {
			return errors.New("must be a list with commas")
		}
		rules := &f.App.Policy.Rules
		at := slices.IndexFunc(*rules, func(r policy.Rule) bool { return r.ID == allowedRule })
		if at < 0 {
			at = len(*rules)
			*rules = append(*rules, policy.Rule{ID: allowedRule, Effect: policy.EffectAllow, Kinds: []policy.Kind{policy.KindTransaction}},
				policy.Rule{ID: signaturesRule, Effect: policy.EffectAllow, Kinds: []policy.Kind{policy.KindMessage, policy.KindTypedData}})
		}
		set(&(*rules)[at], list)
		return nil
	}
}

// splitList splits at commas, but not at those of a signature's parameters.
func splitList(text string) []string {
	depth := 0
	return strings.FieldsFunc(text, func(c rune) bool {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		return c == ',' && depth == 0
	})
}

// environment sets what the variables say; all problems are reported together,
// and no value is repeated.
func (f *File) environment(getenv func(string) string) error {
	var errs []error
	for _, v := range Variables() {
		value := getenv(v.Name)
		if value == "" {
			continue
		}
		known := len(f.warnings)
		err := v.set(f, value)
		for i := known; i < len(f.warnings); i++ {
			f.warnings[i] = "environment variable " + v.Name + ": " + f.warnings[i]
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("environment variable %s: %w", v.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Sections describes the file for the configuration reference.
func Sections(root string) []config.Section {
	return []config.Section{{Title: "The signer's file", Intro: "Read by `signer serve --config FILE`.", Root: root, Defaults: Default()}}
}
