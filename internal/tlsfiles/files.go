package tlsfiles

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// pollInterval is the time between two looks at the files. Kubernetes itself
// takes up to a minute to bring a changed secret into a pod.
const pollInterval = 5 * time.Second

// Files is a certificate with its key and CA. Run keeps it up to date.
type Files struct {
	cfg      Config
	log      *slog.Logger
	current  atomic.Pointer[tls.Config]
	settings *tls.Config

	// Run's own:
	inUse   material
	trouble string // the last one met
	isSaid  bool   // whether it was logged
}

// New makes the files ready. It opens nothing.
func New(cfg Config, log *slog.Logger) *Files {
	f := &Files{cfg: cfg, log: log}
	f.settings = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.present() },
	}
	return f
}

// Server is the configuration of a server. It always leads to the files'
// content of now.
func (f *Files) Server() *tls.Config { return f.settings }

var errNotRead = errors.New("the certificate is not read yet")

func (f *Files) present() (*tls.Config, error) {
	if c := f.current.Load(); c != nil {
		return c, nil
	}
	return nil, errNotRead
}

// Run reads the files, calls ready, and reads them again every few seconds
// until ctx ends. Files that cannot be used are an error at the start; later
// they leave what was read before in force. It implements lifecycle.Run.
func (f *Files) Run(ctx context.Context, ready func()) error {
	m, err := f.cfg.read()
	if err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	if err := f.use(ctx, m); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	ready()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			f.look(ctx)
		}
	}
}

// look takes changed files over.
func (f *Files) look(ctx context.Context) {
	m, err := f.cfg.read()
	if err == nil && !m.equal(f.inUse) {
		err = f.use(ctx, m)
	}
	f.note(ctx, err)
}

func (f *Files) use(ctx context.Context, m material) error {
	c, err := f.cfg.server(m)
	if err != nil {
		return err
	}
	f.current.Store(c)
	f.inUse = m
	leaf := c.Certificates[0].Leaf
	f.log.InfoContext(ctx, "certificate in use", slog.String("file", f.cfg.CertFile), slog.Time("valid_until", leaf.NotAfter))
	return nil
}

// note logs trouble when it is met for the second time, and once: files are not
// written all at the same moment, so that the first look may see a new
// certificate beside an old key.
func (f *Files) note(ctx context.Context, err error) {
	switch {
	case err == nil:
		f.trouble, f.isSaid = "", false
	case err.Error() != f.trouble:
		f.trouble, f.isSaid = err.Error(), false
	case !f.isSaid:
		f.isSaid = true
		f.log.ErrorContext(ctx, "changed certificate files cannot be used, the certificate read before stays", slog.Any("err", err))
	}
}
