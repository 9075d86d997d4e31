package cachetest

import (
	"context"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// StartRedis runs a real server on a free port until the test ends. It returns
// the server's URL and a function that ends it early.
func StartRedis(tb testing.TB) (url string, stop func()) {
	tb.Helper()
	binary, err := exec.LookPath("redis-server")
	require.NoError(tb, err, "these tests need redis-server: install the package redis-server")
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // only to find a free port
	require.NoError(tb, err)
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	require.NoError(tb, err)
	require.NoError(tb, listener.Close())

	ctx, cancel := context.WithCancel(context.Background()) // outlives the cleanup of clients
	server := exec.CommandContext(ctx, binary, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", tb.TempDir())
	require.NoError(tb, server.Start())
	stop = func() {
		cancel()
		_ = server.Wait() // it was killed
	}
	tb.Cleanup(stop)

	client := redis.NewClient(&redis.Options{Addr: address})
	defer func() { require.NoError(tb, client.Close()) }()
	require.Eventually(tb, func() bool { return client.Ping(context.Background()).Err() == nil }, 10*time.Second, 10*time.Millisecond, "redis-server does not answer")
	return "redis://" + address + "/0", stop
}

// Keys counts the keys of a Redis database.
func Keys(tb testing.TB, url string) int64 {
	tb.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(tb, err)
	client := redis.NewClient(options)
	defer func() { require.NoError(tb, client.Close()) }()
	n, err := client.DBSize(context.Background()).Result()
	require.NoError(tb, err)
	return n
}
