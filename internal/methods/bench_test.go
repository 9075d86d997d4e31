package methods_test

import (
	"testing"

	"github.com/slipwayhq/slipway/internal/methods"
)

func BenchmarkDescribe(b *testing.B) {
	catalogue, params := methods.New(), []byte(`["0x0000000000000000000000000000000000000001","0x1"]`)
	b.ReportAllocs()
	for b.Loop() {
		catalogue.Describe("eth_getBalance", params)
	}
}
