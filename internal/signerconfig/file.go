// Package signerconfig reads the signer's configuration from its file and from
// the environment.
package signerconfig

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/slipwayhq/slipway/internal/config"
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
		{"PRIVATE_KEY_MNEMONIC", "keys.mnemonic", mnemonic},
		{"SLIPWAY_MNEMONIC", "keys.mnemonic", mnemonic},
		{"SLIPWAY_MNEMONIC_FILE", "keys.mnemonicFile", text(func(f *File) *string { return &f.App.Keys.MnemonicFile })},
		{"PRIVATE_KEY_DERIVATION_PATH", "keys.derivationPath", path},
		{"SLIPWAY_ENCRYPTION_KEY", "wallets.encryptionKey", hidden(func(f *File) *secret.String { return &f.App.Wallets.EncryptionKey })},
		{"SLIPWAY_ENCRYPTION_KEY_FILE", "wallets.encryptionKeyFile", text(func(f *File) *string { return &f.App.Wallets.EncryptionKeyFile })},
		{"TX_SIGNER_CHAIN_ID", "queue.chainId", chainID},
		{"SLIPWAY_CHAIN_ID", "queue.chainId", chainID},
		{"TX_SIGNER_PORT", "listen", port(func(f *File) *string { return &f.App.Listen })},
		{"TX_SIGNER_METRICS_PORT", "adminListen", port(func(f *File) *string { return &f.App.AdminListen })},
		{"TX_SIGNER_LOG_LEVEL", "logLevel", text(func(f *File) *string { return &f.LogLevel })},
		{"SLIPWAY_LOG_LEVEL", "logLevel", text(func(f *File) *string { return &f.LogLevel })},
	}...)
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
