// Package embedpg runs a private PostgreSQL as a child process, from the
// binaries that are installed on the machine. It is for development and tests:
// a real server, reachable from this machine alone, with a password of its own.
package embedpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipwayhq/slipway/internal/secret"
)

const (
	role     = "slipway" // superuser of the private cluster
	database = "slipway"

	// startTimeout is long because a start after a crash replays the log.
	startTimeout = time.Minute
	// fastStopTimeout bounds the orderly stop, after which the server is told
	// to stop at once and recover at its next start.
	fastStopTimeout = 10 * time.Second
	// predecessorTimeout is how long a server whose parent was killed may take
	// to stop before it counts as one that somebody else wants.
	predecessorTimeout = 10 * time.Second
	pollInterval       = 20 * time.Millisecond
)

// Config says where the server keeps its data and how it runs.
type Config struct {
	// Dir is the state folder: password, port, log and, where the server's user
	// can reach it, the data. It is made at the first start.
	Dir string
	// Port to listen on at 127.0.0.1; 0 takes a free one and keeps it across
	// restarts while it stays free.
	Port int
	// Log receives the server's starts and stops; PostgreSQL's own log is
	// Dir/postgres.log.
	Log *slog.Logger
	// NoSync gives up durability for speed. For tests only.
	NoSync bool
}

// Server is one private PostgreSQL. New makes it, Run is its whole life; DSN
// and DataDir may be asked once Run has called ready.
type Server struct {
	cfg      Config
	place    placement
	binaries binaries
	port     int
	password secret.String

	predecessorTimeout time.Duration
}

// New checks the configuration and finds the binaries. It starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Dir == "" {
		return nil, errors.New("embedded PostgreSQL: no state folder given")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded PostgreSQL: state folder: %w", err)
	}
	cfg.Dir = dir
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	found, err := findBinaries(searchPath())
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, binaries: found, predecessorTimeout: predecessorTimeout}, nil
}

// DSN is the connection string of the database. It is valid once Run has
// called ready.
func (s *Server) DSN() secret.String { return s.dsn(database) }

// Addr is the address the server listens on, host:port. It is valid once Run
// has called ready.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// DataDir is where the data lies: in the state folder, or under /var/lib when
// the server's user cannot reach that. It is valid once Run has called ready.
func (s *Server) DataDir() string { return s.place.data() }

// Run starts the server, calls ready when it accepts connections, waits until
// ctx ends and stops it. It implements lifecycle.Run.
func (s *Server) Run(ctx context.Context, ready func()) error {
	err := s.run(ctx, ready)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // told to stop while starting
	}
	return err
}

func (s *Server) run(ctx context.Context, ready func()) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	child, err := s.start()
	if err != nil {
		return err
	}
	defer child.close()

	if err := s.waitUntilUsable(ctx, child); err != nil {
		child.stop(fastStopTimeout)
		return err
	}
	s.cfg.Log.InfoContext(ctx, "postgresql is up", slog.Int("port", s.port), slog.String("data_dir", s.DataDir()))
	ready()

	select {
	case <-ctx.Done():
	case <-child.done:
		return fmt.Errorf("PostgreSQL stopped by itself: %s", child.lastComplaint())
	}
	if !child.stop(fastStopTimeout) {
		s.cfg.Log.WarnContext(ctx, "postgresql did not stop in time and was stopped at once")
	}
	return nil
}

// prepare brings the state folder into the state in which a server can start.
func (s *Server) prepare(ctx context.Context) error {
	owner, err := serverUser()
	if err != nil {
		return err
	}
	if s.place, err = choosePlace(s.cfg.Dir, owner); err != nil {
		return err
	}
	if s.password, err = s.place.loadPassword(); err != nil {
		return err
	}
	if err := s.initialise(ctx); err != nil {
		return err
	}
	if err := s.place.checkVersion(ctx, s.binaries); err != nil {
		return err
	}
	if err := s.place.waitForPredecessor(ctx, s.predecessorTimeout); err != nil {
		return err
	}
	s.port, err = choosePort(ctx, s.cfg.Port, s.place.portFile())
	return err
}

func (s *Server) start() (*process, error) {
	args := []string{
		"-D", s.place.data(),
		"-c", "listen_addresses=127.0.0.1",
		"-c", "port=" + strconv.Itoa(s.port),
		"-c", "unix_socket_directories=",
		"-c", "max_connections=200",
		"-c", "timezone=UTC",
		"-c", "log_timezone=UTC",
	}
	if s.cfg.NoSync {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")
	}
	child, err := startProcess(s.binaries.command(s.place.owner, s.binaries.postgres, args...), s.place.logFile())
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return child, nil
}

// waitUntilUsable waits for the first connection and makes the database.
func (s *Server) waitUntilUsable(ctx context.Context, child *process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("PostgreSQL did not accept connections within %s", startTimeout))
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := s.createDatabase(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-child.done:
			return fmt.Errorf("start PostgreSQL on %s: %s", s.place.data(), child.lastComplaint())
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL: %w (last attempt: %w)", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// createDatabase also proves that the server takes our password: another
// program could have taken the port in the meantime.
func (s *Server) createDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.dsn("postgres").Reveal())
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()

	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", database).Scan(&exists); err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{database}.Sanitize()); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
}

func (s *Server) dsn(db string) secret.String {
	u := url.URL{
		Scheme: "postgres",
		User:   url.UserPassword(role, s.password.Reveal()),
		Host:   s.Addr(),
		Path:   db, RawQuery: "sslmode=disable",
	}
	return secret.New(u.String())
}
