// Package cachetest is what every store of package cache must do.
package cachetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache"
)

// Run tests a store; make gives a fresh, empty one.
func Run(t *testing.T, make func(t *testing.T) cache.Store) {
	t.Helper()

	t.Run("an unknown key is a miss", func(t *testing.T) {
		t.Parallel()
		_, ok := make(t).Get(t.Context(), "nothing")
		require.False(t, ok)
	})
	t.Run("what is set can be got", func(t *testing.T) {
		t.Parallel()
		store := make(t)
		for name, value := range map[string]string{
			"small": `"0x1"`, "large": `"0x` + strings.Repeat("ab", 200_000) + `"`, "odd bytes": "\"\x00\xff\"",
		} {
			store.Set(t.Context(), cache.Key(name), cache.Entry{Value: []byte(value)})
			got, ok := store.Get(t.Context(), cache.Key(name))
			require.True(t, ok, name)
			require.Equal(t, value, string(got.Value), name)
		}
	})
	t.Run("the last one set stays", func(t *testing.T) {
		t.Parallel()
		store := make(t)
		store.Set(t.Context(), "k", cache.Entry{Value: []byte("1")})
		store.Set(t.Context(), "k", cache.Entry{Value: []byte("2")})
		got, ok := store.Get(t.Context(), "k")
		require.True(t, ok)
		require.Equal(t, "2", string(got.Value))
	})
	t.Run("it can be used from many goroutines", func(t *testing.T) {
		t.Parallel()
		store := make(t)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for j := range 20 {
					key := cache.Key(fmt.Sprint(i, j))
					store.Set(t.Context(), key, cache.Entry{Value: []byte(key)})
					if got, ok := store.Get(t.Context(), key); ok && string(got.Value) != string(key) {
						t.Errorf("%s: got %s", key, got.Value)
					}
				}
			})
		}
		all.Wait()
	})
}
