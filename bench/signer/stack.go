package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/bench/internal/child"
	"github.com/slipwayhq/slipway/bench/internal/proc"
	"github.com/slipwayhq/slipway/internal/embedpg"
)

// stack is everything between a client and the chain. startStack makes it;
// stop ends it in the reverse order and removes its folder.
type stack struct {
	dir                    string
	chain, gateway, signer *child.Process
	chainURL, signerURL    string
	postgres               *database
	keep                   bool
}

// startStack starts from nothing: an empty database and an empty chain.
func startStack(ctx context.Context, o options, senders int) (*stack, error) {
	dir, err := os.MkdirTemp("", "slipway-bench-")
	if err != nil {
		return nil, fmt.Errorf("folder for the run: %w", err)
	}
	s := &stack{dir: dir, keep: o.keep}
	if err := s.start(ctx, o, senders); err != nil {
		s.keep = true // the logs tell why
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *stack) start(ctx context.Context, o options, senders int) error {
	// PostgreSQL runs as another user when we are root, and must get through.
	if err := os.Chmod(s.dir, 0o711); err != nil { //nolint:gosec // it shows nothing but names
		return fmt.Errorf("folder for the run: %w", err)
	}
	var (
		gatewayURL string
		err        error
	)
	if s.postgres, err = startDatabase(ctx, filepath.Join(s.dir, "postgres")); err != nil {
		return err
	}
	count := sendersVariable + "=" + strconv.Itoa(senders)
	profiles := profilesVariable + "=" + o.profiles
	if s.chain, s.chainURL, err = s.child(ctx, "chain", count, profiles); err != nil {
		return err
	}
	if s.gateway, gatewayURL, err = s.child(ctx, "gateway", profiles, nextVariable+"="+s.chainURL); err != nil {
		return err
	}
	s.signer, s.signerURL, err = s.child(ctx, "signer", count, profiles, nextVariable+"="+gatewayURL,
		databaseVariable+"="+s.postgres.server.DSN().Reveal())
	return err
}

// child starts this program again in one of its roles.
func (s *stack) child(ctx context.Context, role string, env ...string) (*child.Process, string, error) {
	return child.StartReady(ctx, child.Command{Name: role, Env: append(env, roleVariable+"="+role), Log: filepath.Join(s.dir, role+".log")})
}

func (s *stack) stop() {
	for _, p := range []*child.Process{s.signer, s.gateway, s.chain} {
		if p != nil {
			p.Stop()
		}
	}
	if s.postgres != nil {
		_ = s.postgres.stop() // what it complains about at its end changes no figure
	}
	if !s.keep {
		_ = os.RemoveAll(s.dir) // a folder of the temporary files
	}
}

// cost is the CPU time of each part.
type cost struct{ signer, postgres, gateway, chain time.Duration }

func (s *stack) cost() cost {
	return cost{
		signer: proc.CPU(s.signer.PID()), postgres: proc.CPU(s.postgres.pid),
		gateway: proc.CPU(s.gateway.PID()), chain: proc.CPU(s.chain.PID()),
	}
}

func (c cost) since(before cost) cost {
	return cost{c.signer - before.signer, c.postgres - before.postgres, c.gateway - before.gateway, c.chain - before.chain}
}

// database is a PostgreSQL that writes through to the disk, as in production.
type database struct {
	server *embedpg.Server
	pid    int
	cancel context.CancelFunc
	done   chan error
}

func startDatabase(ctx context.Context, dir string) (*database, error) {
	server, err := embedpg.New(embedpg.Config{Dir: dir})
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &database{server: server, cancel: cancel, done: make(chan error, 1)}
	ready := make(chan struct{})
	go func() { d.done <- server.Run(running, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-d.done:
		cancel()
		return nil, err
	case <-ctx.Done():
		return nil, errors.Join(errors.New("PostgreSQL was not ready in time"), d.stop())
	}
	if d.pid, err = readPID(filepath.Join(server.DataDir(), "postmaster.pid")); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

func (d *database) stop() error {
	d.cancel()
	return <-d.done
}

func readPID(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("process of PostgreSQL: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0, fmt.Errorf("process of PostgreSQL: %w", err)
	}
	return pid, nil
}
