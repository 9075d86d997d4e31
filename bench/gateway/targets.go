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
	for _, name := range []string{targetUpstream, targetFloorProxy, targetFloorHit} {
		if err := f.startRole(ctx, name); err != nil {
			return nil, err
		}
	}
	if err := f.startNginx(ctx, stdout); err != nil {
		return nil, err
	}
	return f, f.startGateway(ctx, o)
}

// stop ends everything and removes the folder.
func (f *field) stop() {
	for _, t := range f.targets {
		t.process.Stop()
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
		case <-time.After(50 * time.Millisecond):
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
	path := o.gateway
	if path == "" {
		path = filepath.Join(f.dir, "gateway-program")
		build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/slipwayhq/slipway/cmd/gateway")
		if output, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build the gateway: %w: %s", err, output)
		}
	}
	return f.startProgram(ctx, targetGateway, addr, path, "serve", "--upstream", "http://"+f.targets[targetUpstream].addr,
		"--listen", addr, "--admin-listen", "127.0.0.1:0")
}

// freeAddr finds a port for programs that cannot tell which one they took.
func freeAddr(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", errors.New("no port is free")
	}
	return listener.Addr().String(), listener.Close()
}
