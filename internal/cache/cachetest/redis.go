package cachetest

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
)

// StartRedis runs a real server on a free port until the test ends. It returns
// the server's URL and a function that ends it early.
func StartRedis(tb testing.TB) (url string, stop func()) {
	tb.Helper()
	address, stop := redistest.Start(tb)
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
