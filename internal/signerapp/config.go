// Package signerapp wires the signer: database, keys, queue, API and admin
// endpoints. It knows neither flags nor signals nor globals; two of them can
// live in one process.
package signerapp

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/admission"
	"github.com/slipwayhq/slipway/internal/api"
	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/events"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing/keys"
	"github.com/slipwayhq/slipway/internal/tlsfiles"
	"github.com/slipwayhq/slipway/internal/wallets"
	"github.com/slipwayhq/slipway/internal/webhooks"
)

// Config is everything the signer can be told.
type Config struct {
	// Listen is the address of the REST and JSON-RPC port.
	Listen string `yaml:"listen"`
	// AdminListen is the address of the port for metrics and health.
	AdminListen string `yaml:"adminListen"`
	// Dev lets the signer run without authentication. It then listens on
	// loopback addresses only.
	Dev bool `yaml:"dev"`
	// TLS serves the REST and JSON-RPC port with TLS; without certFile it is served
	// without.
	TLS TLSConfig `yaml:"tls"`
	// Access is how callers are known; needed without dev.
	Access access.Config `yaml:"access"`
	// Policy decides what may be signed.
	Policy policy.Config `yaml:"policy"`
	// RateLimit bounds what may be asked for in a time.
	RateLimit admission.RateLimit `yaml:"rateLimit"`
	// Audit is the log of who did what.
	Audit audit.Config `yaml:"audit"`
	// GatewayURL is the JSON-RPC endpoint of the gateway, or of a node.
	GatewayURL secret.String `yaml:"gatewayUrl"`
	// DatabaseURL is the PostgreSQL URL; its role must be able to create tables.
	DatabaseURL secret.String `yaml:"databaseUrl"`
	// DatabasePasswordFile is a file that holds the password of databaseUrl, and wins
	// over one in it. It is read anew for each connection: a password that changes
	// needs no restart.
	DatabasePasswordFile string `yaml:"databasePasswordFile"`
	// DatabaseUsernameFile is a file that holds the user of databaseUrl, as databasePasswordFile
	// does the password.
	DatabaseUsernameFile string `yaml:"databaseUsernameFile"`
	// DatabasePooler says that databaseUrl leads through a pooler in transaction
	// mode, such as PgBouncer. migrateUrl is needed then.
	DatabasePooler bool `yaml:"databasePooler"`
	// MigrateURL is the PostgreSQL URL for changes of the tables at the start; they
	// need a session of their own. Empty takes databaseUrl. Without a password it takes
	// the login of the files.
	MigrateURL secret.String `yaml:"migrateUrl"`
	// DatabaseConns is the most connections to the database.
	DatabaseConns int32 `yaml:"databaseConns"`
	// DatabaseWait is how long the start waits for the database.
	DatabaseWait time.Duration `yaml:"databaseWait"`
	// Keys are the accounts that may sign.
	Keys KeysConfig `yaml:"keys"`
	// Wallets are the accounts of end users, derived from the same mnemonic.
	Wallets wallets.Config `yaml:"wallets"`
	// Queue tunes the transaction queue.
	Queue queue.Config `yaml:"queue"`
	// API bounds what clients may ask.
	API api.Config `yaml:"api"`
	// Events is the stream of events to clients that listen.
	Events events.Config `yaml:"events"`
	// Webhooks is the delivery of events to receivers.
	Webhooks webhooks.Config `yaml:"webhooks"`
	// DrainTimeout is how long requests in flight may take after the stop.
	DrainTimeout time.Duration `yaml:"drainTimeout"`
}

// TLSConfig names files, which are read again when they change.
type TLSConfig struct {
	// CertFile holds the certificate chain, PEM, the server's own one first.
	CertFile string `yaml:"certFile"`
	// KeyFile holds the private key of the certificate, PEM.
	KeyFile string `yaml:"keyFile"`
	// CAFile holds the CAs, PEM, that sign the certificates of clients. Clients may
	// show none, if they show an API key or a token.
	CAFile string `yaml:"caFile"`
}

func (c TLSConfig) isSet() bool { return c.CertFile != "" || c.KeyFile != "" || c.CAFile != "" }

// files is the same for package tlsfiles.
func (c TLSConfig) files() tlsfiles.Config {
	return tlsfiles.Config{CertFile: c.CertFile, KeyFile: c.KeyFile, CAFile: c.CAFile, MayBeMissing: true}
}

// KeysConfig describes the keys: the accounts of one BIP-39 mnemonic, or any
// sources, or both.
type KeysConfig struct {
	// Mnemonic is a phrase of 12 to 24 words; better given as a file.
	Mnemonic secret.String `yaml:"mnemonic"`
	// MnemonicFile is a file that holds the phrase.
	MnemonicFile string `yaml:"mnemonicFile"`
	// Passphrase is the optional extra word of BIP-39.
	Passphrase secret.String `yaml:"passphrase"`
	// DerivationPath is the BIP-44 path of the first account; the others count
	// up its last element.
	DerivationPath string `yaml:"derivationPath"`
	// Accounts is the number of accounts.
	Accounts int `yaml:"accounts"`
	// FirstAddress is the address that the first account must have: a phrase with
	// another one is refused, at the start and when its file changes. Empty takes any.
	FirstAddress string `yaml:"firstAddress"`
	// Sources are further keys: mnemonics, Vault, AWS KMS.
	Sources []keys.Config `yaml:"sources"`
}

// sources are all sources; the mnemonic beside them is the first.
func (c KeysConfig) sources() []keys.Config {
	if c.Mnemonic.IsEmpty() && c.MnemonicFile == "" {
		return c.Sources
	}
	own := keys.Config{
		Kind: keys.Local, DerivationPath: c.DerivationPath, Accounts: c.Accounts, FirstAddress: c.FirstAddress,
		Local: keys.LocalConfig{Mnemonic: c.Mnemonic, MnemonicFile: c.MnemonicFile, Passphrase: c.Passphrase},
	}
	return append([]keys.Config{own}, c.Sources...)
}

// Default returns the configuration with everything that has a default.
func Default() Config {
	return Config{
		Listen:        ":3000",
		AdminListen:   ":3001",
		DatabaseConns: 32,
		DatabaseWait:  30 * time.Second,
		Keys:          KeysConfig{DerivationPath: "m/44'/60'/0'/0/0", Accounts: 1},
		Wallets:       wallets.Default(),
		Queue:         queue.Default(),
		API:           api.Default(),
		Audit:         audit.Default(),
		Events:        events.Default(),
		Webhooks:      webhooks.Default(),
		DrainTimeout:  20 * time.Second,
	}
}

// maxAccounts bounds what one mnemonic is expanded to at the start.
const maxAccounts = 10_000

// Validate reports all problems at once; it calls nobody.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(!c.GatewayURL.IsEmpty(), "gatewayUrl: is missing")
	check(!c.DatabaseURL.IsEmpty(), "databaseUrl: is missing")
	check(!c.DatabasePooler || !c.MigrateURL.IsEmpty(), "migrateUrl: is missing; through a pooler the tables cannot be changed")
	check(c.DatabaseConns >= 4, "databaseConns: must be at least 4")
	check(len(c.Keys.sources()) > 0, "keys: mnemonic or mnemonicFile is missing, and there are no sources")
	check(c.Keys.Mnemonic.IsEmpty() || c.Keys.MnemonicFile == "", "keys: mnemonic and mnemonicFile exclude each other")
	check(c.Keys.Accounts > 0 && c.Keys.Accounts <= maxAccounts, "keys.accounts: must be between 1 and %d", maxAccounts)
	if c.Dev {
		check(!c.Access.IsSet(), "dev, access: exclude each other, dev is for a signer without authentication")
		check(isLoopback(c.Listen), "listen %s: without authentication (dev) only a loopback address such as 127.0.0.1:3000 is allowed", c.Listen)
	} else {
		check(c.Access.IsSet(), "access: no authentication is configured (apiKeys, issuers, clientCertificates or networks); without it the signer runs with dev only, on a loopback address")
	}
	for i, source := range c.Keys.Sources {
		check(source.ID != "", "keys.sources: source %d: id: is missing", i+1)
	}
	if err := keys.Validate(c.Keys.Sources); err != nil {
		errs = append(errs, fmt.Errorf("keys.sources: %w", err))
	}
	check(len(c.Access.ClientCertificates) == 0 || c.TLS.CAFile != "", "access.clientCertificates: need tls.caFile")
	if c.TLS.isSet() {
		errs = append(errs, c.TLS.files().Validate())
	}
	if c.Queue.ChainID == 0 {
		c.Queue.ChainID = 1 // any: it is learnt at the start
	}
	return errors.Join(append(errs, c.Access.Validate(), c.Policy.Validate(), c.RateLimit.Validate(), c.Audit.Validate(), c.Wallets.Validate(), c.Queue.Validate(), c.API.Validate(), c.Events.Validate(), c.Webhooks.Validate())...)
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
