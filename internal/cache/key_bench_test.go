package cache_test

import (
	"testing"

	"github.com/slipwayhq/slipway/internal/cache"
)

func BenchmarkNewKey(b *testing.B) {
	params := []byte(`["0x56bC75e2d63100000000000000000000000000001", "0x1"]`)
	b.ReportAllocs()
	for b.Loop() {
		cache.NewKey("", 31337, "0x9e9e9e9e9e9e9e9e9e9e", "eth_getBalance", params)
	}
}
