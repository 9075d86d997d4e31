// Package redistest runs real Redis servers for tests: one, a master with a
// sentinel, or a cluster.
package redistest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Start runs a server on a free port of 127.0.0.1 until the test ends; args are
// added to its command line. It returns its address, and a function that kills it.
func Start(tb testing.TB, args ...string) (address string, stop func()) {
	tb.Helper()
	address, stop = run(tb, "", append([]string{"--save", "", "--appendonly", "no"}, args...)...)
	awaitPing(tb, &redis.Options{Addr: address})
	return address, stop
}

// StartAt runs a server at a known address, such as that of one that was killed.
func StartAt(tb testing.TB, address string) {
	tb.Helper()
	_, _ = runAt(tb, address, "", "--save", "", "--appendonly", "no")
	awaitPing(tb, &redis.Options{Addr: address})
}

// StartTLS runs a server that speaks nothing but TLS and asks clients for a
// certificate. The files are those of Certificates.
func StartTLS(tb testing.TB, files Files) (address string) {
	tb.Helper()
	address = FreeAddress(tb)
	_, port, err := net.SplitHostPort(address)
	require.NoError(tb, err)
	_, _ = runAt(tb, "127.0.0.1:0", "", "--save", "", "--tls-port", port,
		"--tls-cert-file", files.ServerCert, "--tls-key-file", files.ServerKey, "--tls-ca-cert-file", files.CA)
	awaitPing(tb, &redis.Options{Addr: address, TLSConfig: files.clientConfig(tb)})
	return address
}

// StartSentinel runs a master and a sentinel that watches it as "main".
func StartSentinel(tb testing.TB) (sentinel, master string) {
	tb.Helper()
	master, _ = Start(tb)
	host, port, err := net.SplitHostPort(master)
	require.NoError(tb, err)
	config := filepath.Join(tb.TempDir(), "sentinel.conf")
	require.NoError(tb, os.WriteFile(config, []byte("sentinel monitor main "+host+" "+port+" 1\n"), 0o600))
	sentinel, _ = run(tb, config, "--sentinel")
	client := redis.NewSentinelClient(&redis.Options{Addr: sentinel})
	defer func() { require.NoError(tb, client.Close()) }()
	require.Eventually(tb, func() bool {
		return client.GetMasterAddrByName(context.Background(), "main").Err() == nil
	}, 10*time.Second, 10*time.Millisecond, "the sentinel does not answer")
	return sentinel, master
}

// StartCluster runs a cluster of one node, which has all the slots.
func StartCluster(tb testing.TB) (address string) {
	tb.Helper()
	address, _ = Start(tb, "--cluster-enabled", "yes")
	client := redis.NewClient(&redis.Options{Addr: address})
	defer func() { require.NoError(tb, client.Close()) }()
	const lastSlot = 16383
	require.NoError(tb, client.ClusterAddSlotsRange(context.Background(), 0, lastSlot).Err())
	require.Eventually(tb, func() bool {
		info, err := client.ClusterInfo(context.Background()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	}, 10*time.Second, 10*time.Millisecond, "the cluster does not come up")
	return address
}

// FreeAddress is an address of 127.0.0.1 where nothing listens.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // only to find a free port
	require.NoError(tb, err)
	require.NoError(tb, listener.Close())
	return listener.Addr().String()
}

func run(tb testing.TB, config string, args ...string) (address string, stop func()) {
	tb.Helper()
	return runAt(tb, FreeAddress(tb), config, args...)
}

func runAt(tb testing.TB, address, config string, args ...string) (at string, stop func()) {
	tb.Helper()
	binary, err := exec.LookPath("redis-server")
	require.NoError(tb, err, "these tests need redis-server: install the package redis-server")
	_, port, err := net.SplitHostPort(address)
	require.NoError(tb, err)
	var words []string
	if config != "" {
		words = append(words, config)
	}
	words = append(words, "--port", port, "--bind", "127.0.0.1", "--dir", tb.TempDir())
	ctx, cancel := context.WithCancel(context.Background()) // outlives the cleanup of clients
	server := exec.CommandContext(ctx, binary, append(words, args...)...)
	require.NoError(tb, server.Start())
	stop = func() {
		cancel()
		_ = server.Wait() // it was killed
	}
	tb.Cleanup(stop)
	return address, stop
}

func awaitPing(tb testing.TB, options *redis.Options) {
	tb.Helper()
	client := redis.NewClient(options)
	defer func() { require.NoError(tb, client.Close()) }()
	require.Eventually(tb, func() bool {
		err := client.Ping(context.Background()).Err()
		return err == nil || redis.IsAuthError(err)
	}, 10*time.Second, 10*time.Millisecond, "redis-server does not answer")
}
