package redisconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/slipwayhq/slipway/internal/secret"
)

// Config says where Redis is: exactly one of URL, Sentinel and Cluster is set.
type Config struct {
	// URL of one server: redis://user:password@host:port/db, or rediss:// with TLS.
	URL secret.String
	// Sentinel finds the master of a replicated server.
	Sentinel Sentinel
	// Cluster is some of the nodes of a Redis Cluster, host:port.
	Cluster []string
	// Username of the ACL; wins over that of the URL.
	Username string
	// Password wins over that of the URL.
	Password secret.String
	// PasswordFile holds the password instead. It is read for each new connection, so
	// that one that changes is used from then on; open connections go on.
	PasswordFile string
	// DB is the database of the master that Sentinel finds; a URL names its own.
	DB int
	// TLS is used when it is enabled or the URL begins with rediss://.
	TLS TLS
	// Timeout bounds one use, a new connection included.
	Timeout time.Duration
	// PoolSize bounds the connections to one server; 0 is the library's default.
	PoolSize int
	// KeyPrefix stands before every key. It keeps users of one Redis apart where
	// numbers of databases cannot: a Cluster has only database 0.
	KeyPrefix string
	// Log is told of a password file that cannot be read any more; nil for nobody.
	Log *slog.Logger
}

// Sentinel is how a master is found.
type Sentinel struct {
	// Addresses of the sentinels, host:port.
	Addresses []string
	// Master is the name under which they watch it.
	Master string
	// Username and Password for the sentinels themselves.
	Username string
	Password secret.String
}

// TLS is how connections are secured. Its files are read by New.
type TLS struct {
	Enabled bool
	// CAFile holds the certificates (PEM) of whom to trust instead of the system's.
	CAFile string
	// CertFile and KeyFile are the client's certificate and key (PEM).
	CertFile, KeyFile string
	// ServerName is the name in the server's certificate, when it is not that of the address.
	ServerName string
	// InsecureSkipVerify takes any certificate: whoever is in between can read along.
	InsecureSkipVerify bool
}

// IsSet says whether a Redis is configured.
func (c Config) IsSet() bool {
	return !c.URL.IsEmpty() || len(c.Sentinel.Addresses) > 0 || len(c.Cluster) > 0
}

// Validate reports everything that is wrong. Its errors show no secret.
func (c Config) Validate() error {
	_, err := c.options()
	return err
}

// options reads the configuration, apart from the files of TLS.
func (c Config) options() (*redis.Options, error) {
	options := &redis.Options{DB: c.DB}
	errs := []error{c.checkWay(), c.checkNumbers()}
	if !c.URL.IsEmpty() {
		parsed, err := redis.ParseURL(c.URL.Reveal())
		if err != nil || !strings.HasPrefix(c.URL.Reveal(), "redis") {
			errs = append(errs, errors.New("redis: the URL cannot be read; it must be redis:// or rediss://, then host:port and the number of the database")) // the reason may quote the URL
		} else {
			options = parsed
		}
	}
	if !c.Password.IsEmpty() && c.PasswordFile != "" {
		errs = append(errs, errors.New("redis: a password and a file with it exclude each other"))
	}
	if c.Username != "" {
		options.Username = c.Username
	}
	if !c.Password.IsEmpty() {
		options.Password = c.Password.Reveal()
	}
	return options, errors.Join(errs...)
}

// checkWay checks how Redis is found.
func (c Config) checkWay() error {
	var errs []error
	ways := 0
	for _, isUsed := range []bool{!c.URL.IsEmpty(), len(c.Sentinel.Addresses) > 0, len(c.Cluster) > 0} {
		if isUsed {
			ways++
		}
	}
	if ways != 1 {
		errs = append(errs, errors.New("redis: exactly one of a URL, addresses of sentinels and addresses of a cluster is needed"))
	}
	if len(c.Sentinel.Addresses) > 0 && c.Sentinel.Master == "" {
		errs = append(errs, errors.New("redis sentinel: the name of the master is needed"))
	}
	if len(c.Cluster) > 0 && c.DB != 0 {
		errs = append(errs, errors.New("redis cluster: there is only database 0; keep users apart by a key prefix"))
	}
	for _, address := range slices.Concat(c.Sentinel.Addresses, c.Cluster) {
		if _, _, err := net.SplitHostPort(address); err != nil {
			errs = append(errs, fmt.Errorf("redis: %q is not host:port", address))
		}
	}
	return errors.Join(errs...)
}

func (c Config) checkNumbers() error {
	var errs []error
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("redis timeout: must be more than zero"))
	}
	if c.PoolSize < 0 || c.DB < 0 {
		errs = append(errs, errors.New("redis: pool size and database must not be negative"))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		errs = append(errs, errors.New("redis tls: a client certificate and its key are needed together"))
	}
	return errors.Join(errs...)
}

// config reads the files. It is nil when TLS is not used.
func (t TLS) config(byURL *tls.Config) (*tls.Config, error) {
	if !t.Enabled && byURL == nil {
		return nil, nil //nolint:nilnil // no TLS is a configuration as well
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify} //nolint:gosec // the operator's choice, off by default
	if out.ServerName == "" && byURL != nil {
		out.ServerName = byURL.ServerName
	}
	if t.CAFile != "" {
		text, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("redis tls: read the CA file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("redis tls: %s holds no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("redis tls: read the client certificate: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}
