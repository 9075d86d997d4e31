package redistest

import (
	"context"
	"regexp"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Scripts is how often the Redis at an address has run a script it knew.
func Scripts(tb testing.TB, address string) int {
	tb.Helper()
	client := redis.NewClient(&redis.Options{Addr: address})
	defer func() { _ = client.Close() }()
	info, err := client.Info(context.Background(), "commandstats").Result()
	require.NoError(tb, err)
	found := regexp.MustCompile(`cmdstat_evalsha:calls=(\d+)`).FindStringSubmatch(info)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	require.NoError(tb, err)
	return n
}
