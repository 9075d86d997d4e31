// Package cachetest is what every store of package cache must do.
package cachetest

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/methods"
)

// Everywhere is the plan that uses every store, for ever.
func Everywhere() cache.Plan { return cache.NewPlan(0) }

// Run tests a store; make gives a fresh, empty one.
func Run(t *testing.T, make func(t *testing.T) cache.Store) {
	t.Helper()

	t.Run("an unknown key is a miss", func(t *testing.T) {
		t.Parallel()
		_, ok := make(t).Get(t.Context(), "nothing", Everywhere())
		require.False(t, ok)
	})
	t.Run("what is set can be got", func(t *testing.T) {
		t.Parallel()
		store := make(t)
		for name, value := range map[string]string{
			"small": `"0x1"`, "large": `"0x` + strings.Repeat("ab", 200_000) + `"`, "text": `"\u00e9 é"`,
		} {
			store.Set(t.Context(), cache.Key(name), cache.Entry{Value: []byte(value), Number: 7, Finality: cache.Unfinalized, Asked: 42}, Everywhere())
			got, ok := store.Get(t.Context(), cache.Key(name), Everywhere())
			require.True(t, ok, name)
			require.Equal(t, value, string(got.Value), name)
			require.EqualValues(t, 7, got.Number)
			require.Equal(t, cache.Unfinalized, got.Finality)
			require.EqualValues(t, 42, got.Asked)
		}
	})
	t.Run("the last one set stays", func(t *testing.T) {
		t.Parallel()
		store := make(t)
		store.Set(t.Context(), "k", cache.Entry{Value: []byte("1")}, Everywhere())
		store.Set(t.Context(), "k", cache.Entry{Value: []byte("2")}, Everywhere())
		got, ok := store.Get(t.Context(), "k", Everywhere())
		require.True(t, ok)
		require.Equal(t, "2", string(got.Value))
	})
	t.Run("an entry expires", func(t *testing.T) {
		t.Parallel()
		store := make(t)
		store.Set(t.Context(), "k", cache.Entry{Value: []byte("1")}, cache.NewPlan(50*time.Millisecond))
		require.Eventually(t, func() bool {
			_, ok := store.Get(t.Context(), "k", Everywhere())
			return !ok
		}, 5*time.Second, 5*time.Millisecond)
	})
	t.Run("a store that the plan leaves out is not used", func(t *testing.T) {
		t.Parallel()
		store := make(t)
		store.Set(t.Context(), "k", cache.Entry{Value: []byte("1")}, cache.Plan{})
		_, ok := store.Get(t.Context(), "k", Everywhere())
		require.False(t, ok)
		store.Set(t.Context(), "k", cache.Entry{Value: []byte("1")}, Everywhere())
		_, ok = store.Get(t.Context(), "k", cache.Plan{})
		require.False(t, ok)
	})
	t.Run("a deleted entry is gone", func(t *testing.T) {
		t.Parallel()
		store := make(t)
		store.Set(t.Context(), "k", cache.Entry{Value: []byte("1")}, Everywhere())
		store.Delete(t.Context(), "k")
		_, ok := store.Get(t.Context(), "k", Everywhere())
		require.False(t, ok)
	})
	t.Run("a purge removes what is chosen", func(t *testing.T) {
		t.Parallel()
		runPurge(t, make)
	})
	t.Run("it can be used from many goroutines", func(t *testing.T) {
		t.Parallel()
		store := make(t)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for j := range 20 {
					key := cache.Key(fmt.Sprint(1+i, j))
					store.Set(t.Context(), key, cache.Entry{Value: []byte(strconv.Quote(string(key)))}, Everywhere())
					if got, ok := store.Get(t.Context(), key, Everywhere()); ok && string(got.Value) != strconv.Quote(string(key)) {
						t.Errorf("%s: got %s", key, got.Value)
					}
				}
			})
		}
		all.Wait()
	})
}

func runPurge(t *testing.T, make func(t *testing.T) cache.Store) {
	t.Helper()
	pattern := func(text string) methods.Pattern {
		p, err := methods.ParsePattern(text)
		require.NoError(t, err)
		return p
	}
	own := cache.KeySpace("one")
	cases := map[string]struct {
		selector cache.Selector
		gone     int
	}{
		"all":                  {cache.Selector{}, 5},
		"a network":            {cache.Selector{Network: "evm:1"}, 4},
		"methods":              {cache.Selector{Method: pattern("eth_get*")}, 2},
		"a method there":       {cache.Selector{Network: "evm:2", Method: pattern("eth_call")}, 1},
		"a project":            {cache.Selector{Project: "one"}, 4}, // its own, and what is shared
		"another project":      {cache.Selector{Project: "two"}, 4},
		"nothing":              {cache.Selector{Network: "evm:3"}, 0},
		"a project's, by name": {cache.Selector{Project: "one", Method: pattern("eth_getCode")}, 1},
	}
	for name, c := range cases {
		store := make(t)
		keys := []cache.Key{
			cache.NewKey("", 1, "0xaa", "eth_call", []byte(`[1]`)),
			cache.NewKey("", 2, "0xaa", "eth_call", []byte(`[1]`)),
			cache.NewKey("", 1, "0xaa", "eth_getBalance", []byte(`["a:b"]`)),
			cache.NewKey(own, 1, "0xaa", "eth_getCode", []byte(`[1]`)),
			cache.NewKey(cache.KeySpace("two"), 1, "0xaa", "eth_call", []byte(`[1]`)),
		}
		for _, key := range keys {
			store.Set(t.Context(), key, cache.Entry{Value: []byte("1")}, Everywhere())
		}
		gone, err := store.Purge(t.Context(), c.selector)
		require.NoError(t, err)
		require.Equal(t, c.gone, gone, name)
		left := 0
		for _, key := range keys {
			if _, ok := store.Get(t.Context(), key, Everywhere()); ok {
				left++
			}
		}
		require.Equal(t, len(keys)-c.gone, left, name)
		_, err = store.Purge(t.Context(), cache.Selector{})
		require.NoError(t, err)
	}
}
