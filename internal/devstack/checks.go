package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

const probeTimeout = 5 * time.Second

// lockState makes the state folder and takes it for this process. The lock
// ends with the process, however that ends.
func lockState(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL's user must get through
		return nil, fmt.Errorf("state folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("another slipway dev is running on the state folder %s; stop it, or choose another folder with --state", dir)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}

// checkPorts finds a busy port before anything is started, so that the message
// comes at once and nothing has to be stopped again.
func checkPorts(ctx context.Context, ports []port) error {
	taken := map[int]string{}
	for _, p := range ports {
		if p.number == 0 {
			continue
		}
		if other, isTaken := taken[p.number]; isTaken {
			return fmt.Errorf("port %d is given to %s and to %s", p.number, other, p.owner)
		}
		taken[p.number] = p.owner
		listener, err := lifecycle.Listen(ctx, loopback(p.number))
		if err != nil {
			return fmt.Errorf("port of %s: %w", p.owner, err)
		}
		if err := listener.Close(); err != nil {
			return fmt.Errorf("port of %s: %w", p.owner, err)
		}
	}
	return nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// probeChainID asks every upstream for its chain id. They must agree with each
// other, and with the wanted one unless that is zero.
func probeChainID(ctx context.Context, nodes []string, wanted uint64) (uint64, error) {
	for _, upstream := range nodes {
		found, err := chainIDOf(ctx, upstream)
		if err != nil {
			return 0, fmt.Errorf("upstream %s is not reachable: %w", hostOf(upstream), err)
		}
		if wanted == 0 {
			wanted = found
		}
		if found != wanted {
			return 0, fmt.Errorf("upstream %s has chain id %d, but %d is wanted", hostOf(upstream), found, wanted)
		}
	}
	return wanted, nil
}

func chainIDOf(ctx context.Context, upstream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	info, err := upstreams.Probe(ctx, secret.New(upstream))
	return info.ChainID, err
}

// hostOf names an upstream without what may be secret in its URL.
func hostOf(upstream string) string {
	u, err := url.Parse(upstream)
	if err != nil || u.Host == "" {
		return "(not a URL)"
	}
	return strings.ToLower(u.Host)
}
