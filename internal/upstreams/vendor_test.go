package upstreams

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVendorOf(t *testing.T) {
	t.Parallel()

	for version, want := range map[string]string{
		"besu/v25.7.0/linux-x86_64/openjdk-java-21": "besu",
		"Geth/v1.16.2-stable/linux-amd64/go1.25":    "geth",
		"Nethermind/v1.31.0/linux-x64/dotnet9.0":    "nethermind",
		"erigon/3.0.4/linux-amd64/go1.24":           "erigon",
		"reth/v1.5.1-d8451e5/x86_64-linux":          "reth",
		"anvil/v1.3.0":                              "anvil",
		"unknown/v1":                                "other",
		"other":                                     "other",
		"bor/v2":                                    "other",
		"":                                          "unknown",
	} {
		require.Equal(t, want, vendors()[vendorOf(version)], version)
	}
}

func TestAttemptLabel(t *testing.T) {
	t.Parallel()

	for number, want := range map[int]string{0: "1", 1: "1", 4: "4", 5: "5+", 99: "5+"} {
		require.Equal(t, want, attemptLabel(number))
	}
}
