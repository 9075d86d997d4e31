package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/bench/internal/child"
	"github.com/slipwayhq/slipway/bench/internal/proc"
)

const (
	roleVariable     = "SLIPWAY_BENCH_ROLE"
	upstreamVariable = "SLIPWAY_BENCH_UPSTREAM" // host:port
	addrVariable     = "SLIPWAY_BENCH_ADDR"     // where to listen
	profileVariable  = "SLIPWAY_BENCH_PROFILE"
	startTimeout     = 20 * time.Second
)

type role = func(ctx context.Context, ready func(addr string)) error

func roles() map[string]role {
	return map[string]role{
		targetUpstream: runUpstream, targetFloorProxy: runFloor(false), targetFloorHit: runFloor(true), targetGateway: runProfiledGateway,
		targetBareNetHTTP: runBareNetHTTP, targetBareFastHTTP: runBareFastHTTP,
	}
}

// target is a server that is measured.
type target struct {
	addr    string
	process *child.Process
}

// field is all that runs during the benchmark, in a folder for its files.
type field struct {
	dir     string
	targets map[string]target
	redis   *child.Process // nil where there is none
	program string         // the gateway's
	start   startFigures
}

// startFigures are what the gateway's program showed at its start.
type startFigures struct {
	firstAnswer time.Duration // from starting the process to a right answer
	rss         int64         // then, in bytes
}

func startField(ctx context.Context, o options, stdout io.Writer) (_ *field, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // a first build takes its time
	defer cancel()
	dir, err := os.MkdirTemp("", "slipway-bench-")
	if err != nil {
		return nil, err
	}
	f := &field{dir: dir, targets: map[string]target{}}
	defer func() {
		if err != nil {
			f.stop()
		}
	}()
	names := []string{targetUpstream, targetFloorProxy, targetFloorHit}
	if o.floors {
		names = []string{targetBareNetHTTP, targetBareFastHTTP}
	}
	for _, name := range names {
		if err := f.startRole(ctx, name); err != nil {
			return nil, err
		}
	}
	if o.floors {
		return f, nil
	}
	if err := f.startNginx(ctx, stdout); err != nil {
		return nil, err
	}
	if err := f.startGateway(ctx, o); err != nil {
		return nil, err
	}
	return f, f.startRedisGateway(ctx, stdout)
}

// stop ends everything and removes the folder.
func (f *field) stop() {
	for _, t := range f.targets {
		t.process.Stop()
	}
	if f.redis != nil {
		f.redis.Stop()
	}
	_ = os.RemoveAll(f.dir) // a folder of the temporary files
}

func (f *field) command(name string) child.Command {
	return child.Command{Name: name, Log: filepath.Join(f.dir, name+".log")}
}

// startRole starts this program again as one of the targets.
func (f *field) startRole(ctx context.Context, name string, env ...string) error {
	c := f.command(name)
	c.Env = append(env, roleVariable+"="+name, upstreamVariable+"="+f.targets[targetUpstream].addr)
	process, addr, err := child.StartReady(ctx, c)
	if err != nil {
		return err
	}
	f.targets[name] = target{addr, process}
	return nil
}

// startProgram starts a foreign program and waits until it answers.
func (f *field) startProgram(ctx context.Context, name, addr, path string, args ...string) error {
	c := f.command(name)
	c.Path, c.Args = path, args
	process, err := child.Start(c)
	if err != nil {
		return err
	}
	f.targets[name] = target{addr, process}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := tryOnce(ctx, addr)
		if err == nil {
			return nil
		}
		if err := process.Ended(); err != nil {
			log, _ := os.ReadFile(c.Log) // the folder is about to go
			return fmt.Errorf("%w: %s", err, log)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", name, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func tryOnce(ctx context.Context, addr string) error {
	conn, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	body := balance(0)
	answer, err := conn.ask(post(addr, body))
	if err != nil {
		return err
	}
	return checkAnswer([]byte(body), answer)
}

// startNginx starts the yardstick, or says that it is left out.
func (f *field) startNginx(ctx context.Context, stdout io.Writer) error {
	path, err := exec.LookPath("nginx")
	if err != nil {
		fmt.Fprintln(stdout, "nginx is not installed: its rows are left out")
		return nil //nolint:nilerr // the line above is all there is to say
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	config := filepath.Join(f.dir, "nginx.conf")
	text := nginxConfig(f.dir, me.Username, me.Uid == "0", addr, f.targets[targetUpstream].addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	return f.startProgram(ctx, targetNginx, addr, path, "-p", f.dir, "-c", config, "-e", "stderr")
}

// nginxConfig makes nginx the plainest proxy it can be. Everything it writes
// goes to dir, and its workers stay who we are.
func nginxConfig(dir, user string, isRoot bool, addr, upstream string) string {
	var b strings.Builder
	if isRoot {
		fmt.Fprintf(&b, "user %s;\n", user)
	}
	fmt.Fprintf(&b, "daemon off;\nworker_processes 2;\npid %s/nginx.pid;\nevents { worker_connections 1024; }\nhttp {\n  access_log off;\n", dir)
	for _, use := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "  %s_temp_path %s/%s;\n", use, dir, use)
	}
	fmt.Fprintf(&b, `  client_body_buffer_size 256k;
  keepalive_requests 100000000;
  upstream node { server %s; keepalive 256; keepalive_requests 100000000; }
  server {
    listen %s;
    location / {
      proxy_pass http://node;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffers 32 16k;
    }
  }
}
`, upstream, addr)
	return b.String()
}

// startGateway starts the gateway's program with one upstream and its defaults
// or, for a profile, the same gateway within this program.
func (f *field) startGateway(ctx context.Context, o options) error {
	addr, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	if o.cpuProfile != "" {
		return f.startRole(ctx, targetGateway, addrVariable+"="+addr, profileVariable+"="+o.cpuProfile)
	}
	f.program = o.gateway
	if f.program == "" {
		f.program = filepath.Join(f.dir, "gateway-program")
		// As the image has it.
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", f.program, "github.com/slipwayhq/slipway/cmd/gateway")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build the gateway: %w: %s", err, output)
		}
	}
	begin := time.Now()
	if err := f.startProgram(ctx, targetGateway, addr, f.program, "serve", "--upstream", "http://"+f.targets[targetUpstream].addr,
		"--listen", addr, "--admin-listen", "127.0.0.1:0"); err != nil {
		return err
	}
	f.start = startFigures{firstAnswer: time.Since(begin), rss: proc.RSS(f.targets[targetGateway].process.PID())}
	return nil
}

// startRedisGateway starts a Redis and a gateway that keeps answers there and
// not in its memory, or says that they are left out.
func (f *field) startRedisGateway(ctx context.Context, stdout io.Writer) error {
	path, err := exec.LookPath("redis-server")
	if err != nil || f.program == "" {
		fmt.Fprintln(stdout, "redis-server is not installed, or a profile is taken: the row of Redis is left out")
		return nil //nolint:nilerr // the line above is all there is to say
	}
	redisAddr, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(redisAddr)
	if err != nil {
		return err
	}
	c := f.command("redis")
	c.Path, c.Args = path, []string{"--bind", host, "--port", port, "--save", "", "--dir", f.dir}
	process, err := child.Start(c)
	if err != nil {
		return err
	}
	f.redis = process
	addr, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	config := filepath.Join(f.dir, "redis.yaml")
	if err := os.WriteFile(config, []byte(redisConfig(redisAddr, f.targets[targetUpstream].addr)), 0o600); err != nil {
		return err
	}
	return f.startProgram(ctx, targetRedisGateway, addr, f.program, "serve", "--config", config, "--listen", addr, "--admin-listen", "127.0.0.1:0")
}

// freeAddr finds a port for programs that cannot tell which one they took.
func freeAddr(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", errors.New("no port is free")
	}
	return listener.Addr().String(), listener.Close()
}

// redisConfig leaves no room in memory, so that every answer comes from Redis.
func redisConfig(redis, upstream string) string {
	return fmt.Sprintf(`projects:
  - id: main
    networks:
      - architecture: evm
        evm: {chainId: %d}
    upstreams:
      - endpoint: http://%s
database:
  evmJsonRpcCache:
    connectors:
      - {id: memory, driver: memory, memory: {maxTotalSize: 1B}}
      - {id: redis, driver: redis, redis: {uri: "redis://%s/0"}}
`, benchChain, upstream, redis)
}
