// Package s3test runs a real server with the API of S3 for a test: versitygw,
// the program that the chart support installs, built from test/versitygw. The
// first build on a machine takes a minute or two, later ones take nothing.
package s3test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/testprogram"
)

const (
	// startTimeout is until it answers.
	startTimeout = 30 * time.Second
	// starts is how often it is tried, since a port that was free may be taken.
	starts = 5
)

// Builder builds the program once in a test binary.
type Builder struct {
	once   sync.Once
	binary string
	err    error
}

func (b *Builder) build() (string, error) {
	b.once.Do(func() { b.binary, b.err = testprogram.Build("versitygw", "github.com/versity/versitygw/cmd/versitygw") })
	return b.binary, b.err
}

// Server is a store of one test, empty, that ends with it.
type Server struct {
	// Address is host:port.
	Address string
	// Data is the folder in which each bucket is a folder, and each object a file.
	Data string
}

// Keys of servers that Start starts.
const (
	AccessKey = "test-access"
	SecretKey = "test-secret-1f0c"
)

// Start starts a server with AccessKey and SecretKey. More are options of the
// program, such as --cert.
func (b *Builder) Start(t *testing.T, more ...string) Server {
	t.Helper()
	return b.Run(t, []string{"ROOT_ACCESS_KEY=" + AccessKey, "ROOT_SECRET_KEY=" + SecretKey}, func(address, data string) []string {
		return append(append([]string{"--port", address}, more...), "posix", data)
	})
}

// Run starts the program with arguments that are made of its address and its folder.
func (b *Builder) Run(t *testing.T, env []string, args func(address, data string) []string) Server {
	t.Helper()
	binary, err := b.build()
	require.NoError(t, err)
	server := Server{Data: t.TempDir()}
	var log bytes.Buffer
	for range starts {
		server.Address = freeAddress(t)
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, args(server.Address, server.Data)...)
		cmd.Env, cmd.Dir = env, server.Data
		log.Reset()
		cmd.Stdout, cmd.Stderr = &log, &log
		require.NoError(t, cmd.Start())
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait() // it is ended by a signal
			close(ended)
		}()
		if answers(t, server.Address, ended) {
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				<-ended
			})
			return server
		}
		_ = cmd.Process.Kill()
		<-ended
	}
	require.Fail(t, "versitygw does not start", "%s", &log)
	return Server{}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// answers waits until the server answers anything, with TLS or without.
func answers(t *testing.T, address string, ended <-chan struct{}) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		require.NoError(t, err)
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close() // that there is an answer is all that counts
			return true
		} else if !errors.Is(err, syscall.ECONNREFUSED) && ctx.Err() == nil {
			return true // a server with TLS hangs up
		}
		select {
		case <-tick.C:
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
