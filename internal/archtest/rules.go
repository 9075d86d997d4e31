// Package archtest checks the shape of the house: which package may import
// which, and which library lives in which package. Its tests fail when a line
// is crossed; to add a rule, add a line to one of the tables below.
package archtest

import "strings"

const module = "github.com/slipwayhq/slipway/"

// anyones are the leaves that every package may import. They import nothing of
// ours but each other, as the table says.
func anyones() []string { return words("buildinfo failpoint jsonrpc lifecycle secret telemetry") }

// arrows says which packages of ours a package may import, besides the leaves.
// Paths are below internal/ unless they begin with cmd, charts, bench or test, or are deploy/hasura;
// "x/..." stands for x and all below it. Tests may import what they like.
func arrows() map[string][]string {
	table := map[string]string{ //nolint:gosec // "secret" is the name of a package
		// leaves
		"buildinfo": "", "failpoint": "", "http1": "", "jsonrpc": "", "lifecycle": "http1", "secret": "", "telemetry": "buildinfo secret",

		// both programs
		"tlsfiles": "", "secret/secrettest": "",

		// the gateway, from the bottom
		"methods":                "",
		"chain":                  "methods",
		"redisconn":              "",
		"redisconn/redistest":    "",
		"cache":                  "chain methods redisconn",
		"cache/shared":           "chain methods redisconn",
		"cache/cachetest":        "cache chain methods redisconn/redistest",
		"upstreams":              "chain methods",
		"upstreams/upstreamtest": "upstreams chain methods",
		"subscriptions":          "upstreams chain methods",
		"consensus":              "upstreams chain methods",
		"ratelimit":              "methods redisconn",
		"sharedstate":            "redisconn",
		"auth":                   "methods",
		"gateway":                "auth cache chain consensus methods ratelimit sharedstate subscriptions upstreams",

		// the signer, from the bottom
		"strictjson":              "",
		"contract":                "strictjson",
		"schema":                  "",
		"pglogin":                 "",
		"signing":                 "",
		"signing/local":           "signing",
		"signing/vault":           "signing",
		"signing/vault/vaulttest": "testprogram",
		"signing/awskms":          "signing",
		"signing/awskms/kmstest":  "",
		"signing/signingtest":     "signing",
		"signing/keys":            "signing signing/awskms signing/local signing/vault",
		"nodeclient":              "",
		"admission":               "access audit methods policy queue ratelimit",
		"access":                  "auth",
		"audit":                   "",
		"policy":                  "",
		"queue":                   "audit nodeclient policy schema signing",
		"queue/queuetest":         "nodeclient queue schema signing",
		"owners":                  "",
		"wallets":                 "owners schema sealed signing/...",
		"keyswitch":               "schema signing",
		"madekeys":                "owners schema signing signing/...",
		"sealed":                  "",
		"events":                  "",
		"events/eventstest":       "pgtest",
		"webhooks":                "events sealed",
		"api":                     "access admission audit contract events keyswitch madekeys nodeclient policy queue signing strictjson wallets webhooks",

		// operating it
		"chartgen":             "",
		"deploy":               "charts genesis network network/validators nodeclient",
		"deploy/hasuraactions": "deploy/hasura",
		"genesis":              "",
		"network":              "genesis",
		"network/cluster":      "genesis network",
		"network/validators":   "nodeclient",
		"clustertest":          "",
		"waitfor":              "nodeclient redisconn",
		"objectstore":          "",
		"objectstore/s3test":   "testprogram",
		"testprogram":          "",

		// development and tests
		"devnet":                  "",
		"embedpg":                 "",
		"pgtest":                  "embedpg schema",
		"devstack":                "chain config devnet embedpg gatewayapp signerapp signing/local upstreams",
		"e2e":                     "...",
		"e2e/pods":                "",
		"test/besustandin":        "devnet genesis",
		"test/clusterimages":      "clustertest",
		"test/clusternode":        "clustertest",
		"chaos":                   "...",
		"archtest":                "",
		"lifecycle/lifecycletest": "lifecycle",

		// wiring: the only rooms that may know a whole program; config fills the
		// programs' configurations from files
		"docgen":       "api config gatewayapp signerapp signerconfig telemetry",
		"config":       "auth cache chain consensus gateway gatewayapp methods ratelimit redisconn sharedstate subscriptions tlsfiles upstreams",
		"signerconfig": "admission config policy queue signerapp signing/keys",
		"gatewayapp":   "auth cache/... chain consensus gateway methods ratelimit redisconn sharedstate subscriptions tlsfiles upstreams",
		"signerapp":    "access admission api audit events keyswitch madekeys nodeclient pglogin policy queue schema sealed signing/... tlsfiles wallets webhooks",

		"cli":           "",
		"cmd/gateway":   "cli config gatewayapp upstreams",
		"cmd/signer":    "access audit cli signerapp signerconfig",
		"cmd/slipway":   "cli config deploy/... devnet devstack genesis network/... nodeclient objectstore waitfor",
		"charts":        "",
		"deploy/hasura": "",
	}
	out := make(map[string][]string, len(table))
	for from, to := range table {
		out[from] = words(to)
	}
	return out
}

// cage keeps a library where it can be replaced in one change.
type cage struct {
	library string // import path, or the beginning of one
	homes   string // packages, or patterns of file names, where it may be imported
	tests   bool   // whether tests may import it anywhere
}

func cages() []cage {
	return []cage{
		{"github.com/labstack/echo", "api", false},
		{"helm.sh/helm", "deploy/...", false},
		{"k8s.io/", "deploy/... network/cluster clustertest", true},
		{"github.com/jackc/pgx", "store*.go schema embedpg pgtest pglogin signerapp", true},
		{"github.com/pressly/goose", "schema", false},
		{"github.com/redis/go-redis", "redisconn/... cache/... ratelimit sharedstate", true},
		{"github.com/maypok86/otter", "cache/...", false},
		{"github.com/coder/websocket", "upstreams gateway api nodeclient bench/soak", true},
		{"github.com/failsafe-go", "upstreams", false},
		{"github.com/aws/", "signing/awskms/... objectstore", false},
		{"github.com/hashicorp/vault", "signing/vault test/vaultserver", false},
		{"github.com/tyler-smith/go-bip39", "signing/local wallets network/cluster", true},
		{"golang.org/x/crypto", "wallets", false},
		{"github.com/prometheus/client_golang", "metrics.go telemetry", true},
		{"github.com/golang-jwt", "auth", true},
		{"github.com/valyala/fasthttp", "http1_conn.go bare.go", false},
		{"go.opentelemetry.io/", "telemetry gateway api", true},
		{"google.golang.org/grpc", "telemetry", false},
		{"github.com/klauspost/compress", "body_coding.go answer_coding.go entry_coding.go", true},
		{"github.com/goccy/go-yaml", "config docgen", true},
		{"gopkg.in/yaml", "config", true},
		{"go.yaml.in/yaml", "chartgen", false},
		{"sigs.k8s.io/yaml", "deploy/...", true},
		{"github.com/pmezard/go-difflib", "deploy", false},
		{"github.com/google/go-containerregistry", "deploy test/clusterimages", true},
		{"github.com/BurntSushi/toml", "test/besustandin", false},
		{"github.com/alecthomas/kong", "cli", false},
		{"github.com/ethereum/go-ethereum/eth", "devnet", false},
		{"github.com/ethereum/go-ethereum/node", "devnet", false},
		{"github.com/santhosh-tekuri/jsonschema", "deploy", true},
		{"github.com/stretchr/testify/assert", "", false},
		{"github.com/stretchr/testify/suite", "", false},
	}
}

// forbiddenInTests are calls that make a test slow or untrue.
func forbiddenInTests() map[string]string {
	return map[string]string{
		"time.Sleep": "wait for the event, or use testing/synctest",
		"t.Skip":     "a test that is not run proves nothing",
		"t.Skipf":    "a test that is not run proves nothing",
		"t.SkipNow":  "a test that is not run proves nothing",
	}
}

// Sizes above which a file or a function is printed, to be talked about.
const (
	maxFileLines     = 400
	maxFunctionLines = 80
)

func words(s string) []string { return strings.Fields(s) }
